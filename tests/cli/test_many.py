"""Many seeds in simulation: the seeds that fail are named, kept and found again."""

from __future__ import annotations

import json
import secrets
import signal
from pathlib import Path

import pytest

from harness.cli.meter import Meter
from harness.store import digest, load_run
from tests.audit import TOKEN, processes
from tests.cli.commands import harness, last_json, start, until

QUICK = ("run", "--runtime", "sim", "--nodes", "3", "--time-limit", "8")
STALE = (*QUICK, "--nemesis", "partition:leader", "--bug", "local-read-leader")


def test_clean_seeds_are_valid_and_nothing_is_kept(tmp_path: Path) -> None:
    done = harness(*QUICK, "--test-count", "4", "--seed", "3", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    answer = last_json(done)
    assert (answer["verdict"], answer["runs"], answer["failed"]) == ("valid", 4, [])
    assert answer["virtual_s"] > 4 * 8
    assert "4 of 4  4 valid" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_it_stops_at_the_first_violation_which_is_kept_and_found_again(tmp_path: Path) -> None:
    done = harness(*STALE, "--test-count", "30", "--seed", "1", "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    answer = last_json(done)
    assert answer["runs"] < 30
    (failed,) = answer["failed"]
    assert failed["found_by"] == ["linearizable"]
    record = load_run(tmp_path / failed["run"])
    assert record.ending.sentence == failed["sentence"]
    # What another process found is what was run here once more, to the byte.
    assert record.digest == failed["digest"] == digest(record.folder)
    assert (record.folder / "report.html").exists()
    assert failed["command"] in done.stdout
    again = harness(*failed["command"].split()[1:], "--json", cwd=tmp_path)
    assert again.returncode == 1
    assert last_json(again)["digest"] == failed["digest"]


def test_keep_going_finds_every_seed_that_fails(tmp_path: Path) -> None:
    arguments = (*STALE, "--test-count", "5", "--seed", "1", "--keep-going", "--json")
    done = harness(*arguments, cwd=tmp_path)
    answer = last_json(done)
    assert answer["runs"] == 5
    seeds = [item["seed"] for item in answer["failed"]]
    assert seeds == answer["seeds"]["invalid"] and len(seeds) > 1
    assert len({item["run"] for item in answer["failed"]}) == len(seeds)
    for item in answer["failed"]:
        assert load_run(tmp_path / item["run"]).digest == item["digest"]


def test_swarm_draws_and_its_command_repeats_it(tmp_path: Path) -> None:
    arguments = ("--nemesis", "partition,kill,pause", "--swarm", "--test-count", "2", "--json")
    done = harness(*QUICK, *arguments, "--seed", "5", cwd=tmp_path)
    assert last_json(done)["runs"] == 2, done.stdout + done.stderr
    one = harness(*QUICK, *arguments[:-3], "--seed", "5", "--json", cwd=tmp_path)
    plan = load_run(tmp_path / last_json(one)["run"]).plan
    assert plan is not None
    drawn = plan.spec
    assert (drawn.nodes, drawn.concurrency, drawn.rate) != (3, 10, 100.0)
    command = next(line for line in one.stdout.splitlines() if "run again" in line)
    again = harness(
        *command.split("harness run")[1].join(["run ", ""]).split(), "--json", cwd=tmp_path
    )
    assert last_json(again)["digest"] == last_json(one)["digest"]


def test_a_wrong_choice_is_told_before_anything_runs(tmp_path: Path) -> None:
    done = harness(*QUICK, "--test-count", "9", "--bug", "gremlins", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_terminal_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Meter(1000) as meter:
        for number in range(1000):
            meter.step(f"{number + 1} \x1b[31mvalid")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0] == r"100 of 1,000  100 \x1b[31mvalid"
    assert lines[-1].startswith("1,000 of 1,000")


def test_the_json_is_one_line_of_ascii(tmp_path: Path) -> None:
    done = harness(*STALE, "--test-count", "2", "--seed", "1", "--json", cwd=tmp_path)
    line = done.stdout.strip().splitlines()[-1]
    assert line.isascii() and json.loads(line)["exit_code"] == done.returncode


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(
    "arguments",
    [(*QUICK, "--test-count", "900"), ("zoo", "--mix", "faults", "--bug", "1", "--seeds", "900")],
)
def test_whoever_is_ended_in_the_middle_leaves_no_process(
    arguments: tuple[str, ...],
    ending: signal.Signals,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = secrets.token_hex(8)
    monkeypatch.setenv(TOKEN, token)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # As a shell's background job is started: Ctrl-C is not for it.
    process = start(*arguments, cwd=tmp_path, under=("env", "--ignore-signal=INT"))
    # The command, its tracker of resources, the server that forks, a worker.
    until(lambda: len(processes(token)) > 3, 60, "there is a worker")
    process.send_signal(ending)
    said, _ = process.communicate(timeout=60)
    until(lambda: not processes(token), 60, "nobody is left")
    if ending is signal.SIGTERM:
        assert process.returncode == 130, said
        assert list(tmp_path.glob("harness-*")) == []
