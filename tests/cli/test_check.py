"""``harness check``: verdicts, exit codes, JSON, and nobody steers the terminal."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.core.faults import FaultRecord, Proof
from harness.core.operations import Call, Complete, Completion, Event, Invoke, Outcome
from harness.core.plan import Plan, RunSpec
from harness.core.run import Ending
from harness.core.verdict import CheckResult, ExitCode, Verdict
from harness.store import Header, HistoryWriter, RunFolder
from tests.cli.commands import command, environment, start
from tests.property.samples import register_events


def history(path: Path, events: Iterable[Event], model: str | None = None) -> Path:
    writer = HistoryWriter(path, Header(model=model, nodes=("n1", "n2", "n3")))
    for event in events:
        writer.write(event)
    writer.close()
    return path


def answered(*calls: tuple[str, Any]) -> list[Event]:
    """One process, one call after the other; a read is given what it returns."""
    events: list[Event] = []
    for f, value in calls:
        at = len(events)
        asked = None if f == "read" else value
        events.append(Invoke(at, 0, "n1", at * 10, Call(f, "k", asked)))
        told = value if f == "read" else None
        events.append(Complete(at + 1, at, at * 10 + 5, Completion(Outcome.OK, told)))
    return events


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return history(tmp_path / "good.jsonl", register_events(random.Random(1), 60, ("a", "b")))


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return history(tmp_path / "bad.jsonl", answered(("write", 1), ("write", 2), ("read", 1)))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return history(tmp_path / "empty.jsonl", [])


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("name", "code", "word"), [("good", 0, "VALID"), ("bad", 1, "INVALID"), ("empty", 3, "UNKNOWN")]
)
def test_a_verdict_and_its_exit_code(
    name: str,
    code: int,
    word: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path: Path = request.getfixturevalue(name)
    assert main(["check", str(path)]) == code
    out = capsys.readouterr()
    assert out.err == ""
    assert str(path) in out.out
    assert any(word in line.split() for line in out.out.splitlines())
    assert main(["check", "--json", str(path)]) == code
    (data,) = objects(capsys.readouterr().out)
    assert (data["path"], data["verdict"], data["exit_code"]) == (str(path), word.lower(), code)
    assert data["checkers"]["linearizable"]["verdict"] == word.lower()
    assert data["checkers"]["linearizable"]["reason"]
    assert data["check_ms"] >= 0
    assert data["model"] == ("cas-register" if name == "good" else "register")
    assert data["operations"] == {"good": 31, "bad": 3, "empty": 0}[name]


def test_a_violation_is_told_in_words(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(bad)])
    out = capsys.readouterr().out
    assert "not linearizable" in out
    assert "1" in out and "2" in out
    main(["check", "--json", str(bad)])
    (data,) = objects(capsys.readouterr().out)
    (anomaly,) = data["checkers"]["linearizable"]["anomalies"]
    assert anomaly["culprit"] == 4
    assert anomaly["sentence"] == data["sentence"]
    assert anomaly["key"] == "k"


def test_several_paths_in_order_and_one_that_is_broken(
    good: Path, bad: Path, empty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text("what?\n")
    paths = [str(path) for path in (empty, broken, good, bad, tmp_path / "nowhere")]
    assert main(["check", "--json", *paths]) == ExitCode.VIOLATION
    out = capsys.readouterr()
    found = objects(out.out)
    assert [item["path"] for item in found] == paths
    assert [item["verdict"] for item in found] == ["unknown", "error", "valid", "invalid", "error"]
    assert [item["exit_code"] for item in found] == [3, 2, 0, 1, 2]
    complaints = out.err.splitlines()
    assert len(complaints) == 2
    assert complaints[0].startswith(f"harness: {broken}:1:1: expected a history")
    # Without a violation, input that could not be judged is the worst.
    assert main(["check", "--json", *paths[:3]]) == ExitCode.USAGE
    assert main(["check", "--json", paths[0], paths[2]]) == ExitCode.UNKNOWN


def test_the_header_names_the_model_and_the_flag_wins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = history(tmp_path / "h", answered(("read", 7)), model="register:initial=7")
    assert main(["check", "--json", str(path)]) == 0
    assert main(["check", "--json", str(path), "--model", "register"]) == 1
    models = [item["model"] for item in objects(capsys.readouterr().out)]
    assert models == ["register:initial=7", "register"]


@pytest.mark.parametrize(
    ("calls", "model"),
    [
        ([("write", 1), ("read", 1)], "register"),
        ([("append", 1), ("read", (1,))], "kv-append"),
        ([("put", "x"), ("delete", None)], "kv"),
    ],
)
def test_an_unmistakable_model_is_found(
    calls: list[tuple[str, Any]], model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = history(tmp_path / "h", answered(*calls))
    assert main(["check", "--json", str(path)]) == 0
    assert objects(capsys.readouterr().out)[0]["model"] == model


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "rigester"], "unknown model 'rigester'"),
        (["--model", "register:colour=1"], "has no option"),
        (["--model", "counter"], "has only: add, increment, read"),
        (["--format", "edn"], "expected"),
        (["--timeout", "0"], "--timeout must be more than 0"),
        (["--html", "/nowhere/at/all.html"], "/nowhere/at/all.html: No such file"),
    ],
)
def test_usage_is_one_line(
    arguments: list[str], words: str, bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(bad), *arguments]) == ExitCode.USAGE
    out = capsys.readouterr()
    assert words in out.err
    assert len(out.err.splitlines()) == 1


def test_a_model_that_must_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = history(tmp_path / "h", answered(("add", 1)))
    assert main(["check", str(path)]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert "--model" in error and "counter" in error and "set" in error


def test_html(bad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.html"
    assert main(["check", str(bad), "--html", str(report)]) == 1
    assert report.read_text().startswith("<!doctype html>")
    assert "report.html" in capsys.readouterr().out
    assert main(["check", str(bad), str(bad), "--html", str(report)]) == ExitCode.USAGE


def test_values_do_not_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = "\x1b[31m\u202e[bold]\r::error::\x00"
    path = history(
        tmp_path / "h\x1b[2J", answered(("write", nasty), ("write", "b"), ("read", nasty))
    )
    main(["check", str(path)])
    main(["check", "--json", str(path)])
    main(["check", str(tmp_path / "no\x1b[2J")])
    out = capsys.readouterr()
    for text in (out.out, out.err):
        assert not {letter for letter in text if letter in "\x1b\x00\r\u202e"}
        assert not any(line.startswith("::") for line in text.splitlines())


def test_a_limit_is_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = register_events(random.Random(1), 200_000, ("a", "b", "c"))
    path = history(tmp_path / "long", events)
    assert main(["check", "--json", "--timeout", "1ms", str(path)]) == ExitCode.UNKNOWN
    (data,) = objects(capsys.readouterr().out)
    assert data["verdict"] == "unknown"
    assert "0.001 s" in data["checkers"]["linearizable"]["limit"]


def test_ctrl_c_is_unknown_for_the_rest(good: Path, tmp_path: Path) -> None:
    """More paths than can be judged before the signal comes."""
    count = 5000
    with start("check", "--json", *[good.name] * count, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["verdict"] == "valid"
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
    assert process.returncode == ExitCode.INTERRUPTED, out[-500:]
    verdicts = [item["verdict"] for item in objects(out)]
    assert len(verdicts) == count - 1
    judged = verdicts.index("unknown")
    assert set(verdicts[:judged]) <= {"valid"}
    assert set(verdicts[judged:]) == {"unknown"}


# -- models of other packages -------------------------------------------------------------------

LIGHT = """
import os
from harness.check import Model, Refused

def step(state, action):
    if os.path.exists("gate"):
        open("gate").read()
    if action.f == "switch":
        return "green" if state == "red" else "red"
    return state if state == action.result else Refused("it was", state)

LIGHT = Model("light", "red", step, frozenset({"switch", "read"}))
"""


@pytest.fixture
def package(tmp_path: Path) -> dict[str, str]:
    """Another package, as if installed; the environment in which it is."""
    site = tmp_path / "site"
    metadata = site / "lights-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "lights.py").write_text(LIGHT)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: lights\nVersion: 1.0\n")
    points = "light = lights:LIGHT\nlamp = lights:step\ngone = nowhere:LIGHT\n"
    (metadata / "entry_points.txt").write_text(f"[quorum_harness.models]\n{points}")
    known = environment()
    return {**known, "PYTHONPATH": f"{known['PYTHONPATH']}:{site}"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("check", "--model", "light", "light"), 1, "legal: green"),
        (("check", "--model", "light:colour=red", "light"), 2, "has no option"),
        (("check", "--model", "lamp", "light"), 2, "lights:step is no harness.check.Model"),
        (("check", "--model", "gone", "light"), 2, "cannot be loaded from nowhere:LIGHT"),
        (("check", "--model", "sun", "light"), 2, "light"),
        (("list", "models"), 0, "another package's: lights:LIGHT"),
    ],
)
def test_models_of_other_packages(
    arguments: tuple[str, ...], code: int, words: str, package: dict[str, str], tmp_path: Path
) -> None:
    history(tmp_path / "light", answered(("switch", None), ("read", "red")))
    done = subprocess.run(
        command(*arguments), cwd=tmp_path, env=package, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_check_over_a_second_shows_that_it_is_at_work(
    package: dict[str, str], tmp_path: Path
) -> None:
    """The model's step waits at a gate, which opens when the words are there."""
    history(tmp_path / "light", answered(("switch", None), ("read", "green")))
    os.mkfifo(tmp_path / "gate")
    terminal, its = os.openpty()
    with subprocess.Popen(
        command("check", "--model", "light", "light"),
        cwd=tmp_path,
        env={**package, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=its,
        text=True,
    ) as process:
        os.close(its)
        said = b""
        while b"checking light" not in said:
            said += os.read(terminal, 1024)
        # In this order: no step may find the gate again and wait for ever.
        gate = os.open(tmp_path / "gate", os.O_RDWR)
        (tmp_path / "gate").rename(tmp_path / "opened")
        os.close(gate)
        out, _ = process.communicate()
    os.close(terminal)
    assert process.returncode == 0
    assert "light" in out


# -- runs -----------------------------------------------------------------------------------------

PLAN = Plan(RunSpec(nemeses=("partition",), nodes=3), "netns", ("n1", "n2", "n3"), ())
BITTEN = Proof(True, "41 packets were dropped")
HEALED = Proof(True, "packets pass")


def run(out: Path, events: Iterable[Event], *, bit: Proof = BITTEN, finished: bool = True) -> Path:
    folder = RunFolder.create(out, PLAN.spec)
    folder.save_plan(PLAN)
    folder.begin(0, "register", ("linearizable",))
    for event in events:
        folder.event(event)
    fault = FaultRecord("F1", "partition", 0, 0, 50, "n1 | n2 n3", {}, bit, HEALED)
    folder.fault(fault)
    liveness = CheckResult("liveness", Verdict.VALID, "every node served")
    if finished:
        folder.finish(1000)
        folder.save_ending(Ending("valid", ExitCode.VALID, "Fine."), [liveness])
    folder.close()
    return folder.path


LEGAL = answered(("write", 1), ("read", 1), ("write", 2), ("read", 2), ("read", 2))
STALE = answered(("write", 1), ("read", 1), ("write", 2), ("read", 1), ("read", 2))


@pytest.mark.parametrize(
    ("events", "bit", "finished", "code", "word"),
    [
        (LEGAL, BITTEN, True, 0, "valid"),
        (STALE, BITTEN, True, 1, "invalid"),
        (LEGAL, Proof(False, "no packet was dropped"), True, 4, "inadequate"),
        (LEGAL, BITTEN, False, 3, "unknown"),
        (STALE, BITTEN, False, 1, "invalid"),
    ],
)
def test_a_run_is_judged_again(
    events: list[Event],
    bit: Proof,
    finished: bool,
    code: int,
    word: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = run(tmp_path, events, bit=bit, finished=finished)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert main(["check", "--json", str(path)]) == code
    (data,) = objects(capsys.readouterr().out)
    assert (data["verdict"], data["exit_code"], data["format"]) == (word, code, None)
    assert set(data["checkers"]) == {"linearizable", *(["liveness"] if finished else [])}
    assert bool(data["inadequate"]) is (word == "inadequate")
    assert main(["check", str(path)]) == code
    assert word.upper() in capsys.readouterr().out
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_report_is_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run(tmp_path, STALE)
    assert main(["report", str(path)]) == 0
    assert (path / "report.html").exists()
    assert (path / "junit.xml").exists()
    assert str(path / "report.html") in capsys.readouterr().out
    assert main(["report", str(tmp_path), str(path)]) == ExitCode.USAGE
    cut = run(tmp_path, STALE, finished=False)
    assert main(["report", str(cut)]) == 0
    assert "INTERRUPTED" in (cut / "report.html").read_text()


def test_runs_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished, cut = run(tmp_path, LEGAL), run(tmp_path, LEGAL, finished=False)
    damaged = run(tmp_path, LEGAL)
    (damaged / "verdict.json").write_text("{")
    assert main(["list", "runs", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for path in (finished, cut, damaged):
        assert path.name in out.replace("\n", "")
    for word in ("valid", "unfinished", "damaged"):
        assert word in out


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("models", "cas-register"),
        ("bugs", "early-ack"),
        ("targets", "raft"),
        ("workloads", "register"),
        ("nemeses", "partition"),
        ("runtimes", "netns"),
    ],
)
def test_what_there_is_is_listed(kind: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind]) == 0
    assert name in capsys.readouterr().out


def test_a_terminal_that_is_not_utf8(tmp_path: Path) -> None:
    events = answered(("write", "é"), ("write", "b"), ("read", "é"))
    path = history(tmp_path / "späť.jsonl", events)
    poor = {**environment(), "PYTHONIOENCODING": "ascii"}
    for arguments in (["check", str(path)], ["list"], ["check", "nowhere-ť"]):
        done = subprocess.run(
            command(*arguments), capture_output=True, env=poor, cwd=tmp_path, check=False
        )
        assert b"Traceback" not in done.stderr, done.stderr
        assert done.stdout.isascii()
