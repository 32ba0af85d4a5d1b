"""A short run as steps: everything that happened is there, once, in order of time."""

from __future__ import annotations

from pathlib import Path

from harness.core.faults import FaultRecord, Proof
from harness.core.operations import Call, History, Operation, Outcome
from harness.core.plan import Plan, RunSpec, Script, node_names
from harness.core.run import Ending, RunRecord
from harness.core.verdict import Anomaly, CheckResult, ExitCode, Verdict
from reports.steps import FIRST_FINAL, lines

MS = 1_000_000
CALL = Call("write", "k1", 3)


def record(hostile: str = "late") -> RunRecord:
    operations = [
        Operation(0, 0, CALL, Outcome.OK, 10 * MS, 22 * MS, node="n1"),
        Operation(
            2, 1, Call("read", "k1"), Outcome.FAIL, 30 * MS, 31 * MS, error=hostile, node="n2"
        ),
        Operation(4, 2, Call("read", "k1"), Outcome.INFO, 60 * MS, None, error="timed out"),
        Operation(6, FIRST_FINAL, Call("read", "k1"), Outcome.OK, 90 * MS, 91 * MS, node="n2"),
    ]
    fault = FaultRecord(
        *("K1", "kill", 5 * MS, 30 * MS, 50 * MS, "n2", {}, Proof(True, ""), Proof(True, ""))
    )
    anomaly = Anomaly("lost write", "The write of 3 is lost.", operations=(0, 6), culprit=6)
    result = CheckResult("linearizable", Verdict.INVALID, "…", (anomaly,))
    spec = RunSpec(nodes=2, concurrency=2, seed=7, bugs=("early-ack",))
    return RunRecord(
        folder=Path("runs/x"),
        plan=Plan(spec, "sim", node_names(2), (), script=Script(("n1", "n2"), ())),
        started_utc="",
        history=History(operations),
        faults=(fault,),
        results=(result,),
        ending=Ending("invalid", ExitCode.VIOLATION, anomaly.sentence),
        duration_ns=100 * MS,
    )


def test_steps() -> None:
    assert lines(record()) == (
        "raft with the seeded bug early-ack: 2 nodes, 2 clients, seed 7, sim",
        "  1  0.010 s  client 0 at n1  write 3 on k1, ok after 12 ms  ✕",
        "  2  0.030 s  fault K1        kill n2, until 0.050 s",
        "  3  0.030 s  client 1 at n2  read on k1, refused after 1.0 ms (late)",
        "  4  0.060 s  client 0        read on k1, unknown (timed out)",
        "  5  0.090 s  final at n2     read → nil on k1, ok after 1.0 ms  ✕",
        "✕ linearizable: The write of 3 is lost.",
    )


def test_nothing_in_a_record_steers_the_terminal() -> None:
    assert all(line.isprintable() for line in lines(record("\x1b[31m\r")))
