"""A run's folder: written as things happen, read back whatever state it was left in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.core.errors import EnvironmentFailure, FormatError, UsageError
from harness.core.faults import FaultRecord, Proof
from harness.core.operations import Call, Complete, Completion, Invoke, Outcome
from harness.core.plan import Plan, RunSpec
from harness.core.protocols import NodeStatus
from harness.core.run import Ending, RoleSpan
from harness.core.verdict import CheckResult, ExitCode, Verdict
from harness.store import (
    RunFolder,
    load_ending,
    load_evidence,
    load_meta,
    load_run,
)

SPEC = RunSpec(seed=7, nodes=2)
PLAN = Plan(SPEC, "netns", ("n1", "n2"), ())
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ORIGIN = 1_000_000
BEGAN = FaultRecord("F1", "kill", 10, 20, None, "n1", {"nodes": ("n1",)}, *(Proof(False, "-"),) * 2)
ENDED = FaultRecord("F1", "kill", 10, 20, 50, "n1", {"nodes": ("n1",)}, *(Proof(True, "+"),) * 2)
RESULT = CheckResult("linearizable", Verdict.VALID, "fine")
ENDING = Ending("valid", ExitCode.VALID, "Fine.")


def written(out: Path, *, finished: bool = True) -> Path:
    folder = RunFolder.create(out, SPEC, NOW)
    folder.save_plan(PLAN)
    folder.phase(-100, "set-up")
    folder.begin(ORIGIN, "register", ("linearizable",))
    folder.phase(0, "load")
    folder.event(Invoke(0, 0, "n1", 5, Call("write", "k", 3)))
    folder.fault(BEGAN)
    folder.event(Complete(1, 0, 30, Completion(Outcome.OK)))
    folder.sample(35, {"n1": NodeStatus("n1", "leader", 1, "n1", 0)})
    folder.sample(
        40,
        {
            "n1": NodeStatus("n1", "leader", 1, "n1", 0),
            "n2": NodeStatus("n2", "follower", 1, "n1", 0),
        },
    )
    folder.event(Invoke(2, 0, "n1", 45, Call("read", "k")))
    folder.fault(ENDED)
    home = folder.nodes / "n1"
    home.mkdir()
    (home / "log.txt").write_text("".join(f"line {number}\n" for number in range(10_000)))
    if finished:
        folder.event(Complete(3, 2, 60, Completion(Outcome.OK, 3)))
        folder.phase(70, "recovery")
        folder.note("something")
        folder.finish(100)
        folder.save_ending(ENDING, [RESULT])
    folder.close()
    return folder.path


def test_a_finished_run(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert path == tmp_path / "register-partition" / "20260102T030405Z-7"
    assert (tmp_path / "latest").resolve() == path.resolve()
    record = load_run(path)
    assert record.plan == PLAN
    assert record.started_utc == "2026-01-02T03:04:05+00:00"
    assert record.faults == (ENDED,)
    assert record.results == (RESULT,)
    assert record.ending == ENDING == load_ending(path)
    assert (record.duration_ns, record.load_ns) == (100, (0, 70))
    assert [item.outcome for item in record.history.operations] == [Outcome.OK, Outcome.OK]
    assert record.logs["n1"].endswith("line 9999\n")
    assert record.logs["n1"].startswith("line ")
    assert len(record.logs["n1"]) < 20_000
    evidence = load_evidence(path)
    assert (evidence.model, evidence.origin_ns, evidence.nodes) == ("register", ORIGIN, PLAN.nodes)
    assert load_meta(path).checkers == ("linearizable",)


def test_roles_from_samples_and_clocks(tmp_path: Path) -> None:
    record = load_run(written(tmp_path))
    assert record.roles == (
        RoleSpan("n1", "down", 0, 20, 35),
        RoleSpan("n1", "leader", 1, 35, 100),
        RoleSpan("n2", "follower", 1, 40, 100),
    )
    # The sample in which n2 did not answer in time says nothing about clocks.
    assert {node: len(readings) for node, readings in record.clocks.items()} == {"n1": 1, "n2": 1}
    assert all(at == 40 and offset < 0 for ((at, offset),) in record.clocks.values())


def test_roles_from_traces(tmp_path: Path) -> None:
    path = written(tmp_path)
    lines = [
        {"t": ORIGIN - 50, "e": "boot", "term": 0},
        {"t": ORIGIN + 5, "e": "role", "role": "candidate", "term": 1},
        {"t": ORIGIN + 8, "e": "role", "role": "leader", "term": 1},
        {"t": ORIGIN + 50, "e": "boot", "term": 1},
        {"t": ORIGIN + 60, "e": "role", "role": "follower", "term": 2},
    ]
    trace = path / "nodes" / "n1" / "trace.jsonl"
    rows = [json.dumps({**line, "node": "n1"}) for line in lines]
    trace.write_text("\n".join(rows) + '\n{"t": 99')
    assert load_run(path).roles == (
        RoleSpan("n1", "follower", 0, 0, 5),
        RoleSpan("n1", "candidate", 1, 5, 8),
        RoleSpan("n1", "leader", 1, 8, 20),
        RoleSpan("n1", "down", 0, 20, 50),
        RoleSpan("n1", "follower", 1, 50, 60),
        RoleSpan("n1", "follower", 2, 60, 100),
    )
    assert list(load_evidence(path).traces) == ["n1"]


def test_an_interrupted_run_loads(tmp_path: Path) -> None:
    path = written(tmp_path, finished=False)
    for name in ("history.jsonl", "faults.jsonl", "samples.jsonl"):
        with (path / name).open("ab") as file:
            file.write(b'{"index":3,"ty')
    record = load_run(path)
    assert (record.ending.word, record.ending.exit_code) == ("interrupted", ExitCode.INTERRUPTED)
    assert load_ending(path) is None
    assert len(record.history) == 2
    assert record.history.operations[1].outcome is Outcome.INFO
    assert len(record.history.warnings) == 1
    assert record.faults == (ENDED,)
    assert record.duration_ns == 50


def test_phases_before_the_load_are_negative(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, SPEC)
    folder.phase(0, "set-up")
    folder.begin(folder._made_ns + 10**12)
    for at_ns, name in ((0, "warm-up"), (500, "faults"), (900, "tear-down")):
        folder.phase(at_ns, name)
    folder.finish(1000)
    spans = [(it.name, it.start, it.end) for it in load_run(folder.path).phases]
    (set_up, *others) = spans
    assert set_up[0] == "set-up"
    assert -(10**12) <= set_up[1] < -(10**11)
    assert set_up[2] == 0
    assert others == [("warm-up", 0, 500), ("faults", 500, 900)]


def test_a_run_that_ended_before_its_load(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, SPEC)
    record = load_run(folder.path)
    assert (record.plan, len(record.history), record.ending.word) == (None, 0, "interrupted")
    assert record.history.warnings == ("the run ended before its load began",)


def test_events_need_the_clock(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, SPEC)
    with pytest.raises(RuntimeError, match="call begin first"):
        folder.event(Invoke(0, 0, None, 0, Call("read")))
    with pytest.raises(RuntimeError, match="call begin first"):
        folder.fault(BEGAN)
    with pytest.raises(RuntimeError, match="call begin first"):
        folder.sample(0, {})


def test_two_runs_in_one_second_are_two_folders(tmp_path: Path) -> None:
    first = RunFolder.create(tmp_path, SPEC, NOW)
    second = RunFolder.create(tmp_path, SPEC, NOW)
    assert first.path != second.path
    assert (tmp_path / "latest").resolve() == second.path.resolve()


def test_no_place_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure, match="cannot make a run's folder"):
        RunFolder.create(tmp_path / "file", SPEC)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        for load in (load_run, load_evidence, load_meta, load_ending):
            with pytest.raises(UsageError, match="not the folder of a run"):
                load(path)


@pytest.mark.parametrize(
    "name", ["plan.json", "meta.json", "verdict.json", "faults.jsonl", "samples.jsonl"]
)
@pytest.mark.parametrize("damage", [b"nonsense\n", b"{}\n", b'{"colour":1}\n', b"\xff\n"])
def test_damage_is_named(name: str, damage: bytes, tmp_path: Path) -> None:
    path = written(tmp_path)
    (path / name).write_bytes(damage)
    with pytest.raises(FormatError, match=name):
        load_run(path)
