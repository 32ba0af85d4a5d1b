"""Operations, traces and records for the tests of the checks, in few words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.check.checkers import CHECKERS
from harness.core.faults import FaultRecord, Proof
from harness.core.operations import Call, History, Operation, Outcome
from harness.core.plan import Plan, RunSpec
from harness.core.protocols import Evidence, Limits
from harness.core.run import Ending, RunRecord
from harness.core.values import Value
from harness.core.verdict import CheckResult, ExitCode

OK, FAIL, INFO = Outcome.OK, Outcome.FAIL, Outcome.INFO


def operation(
    f: str,
    value: Value,
    start: int,
    end: int | None,
    outcome: Outcome = OK,
    *,
    index: int = 0,
    key: Value = None,
    error: str | None = None,
    position: int | None = None,
) -> Operation:
    """``value`` is the result of a read, the argument of everything else."""
    result = value if f == "read" and outcome is OK else None
    call = Call(f, key, None if f == "read" else value)
    return Operation(index, index, call, outcome, start, end, result, error, None, position)


def history(*operations: Operation) -> History:
    """In order of invocation, each with its place as its index and process."""
    ordered = sorted(operations, key=lambda item: item.start)
    return History(
        tuple(
            Operation(
                place,
                place,
                item.call,
                item.outcome,
                item.start,
                item.end,
                item.result,
                item.error,
                item.node,
                item.position,
            )
            for place, item in enumerate(ordered)
        )
    )


def judged(checker: str, *operations: Operation) -> CheckResult:
    """The verdict of a check on a history."""
    return CHECKERS[checker].check(Evidence(history(*operations)), Limits())


def kinds(result: CheckResult) -> set[str]:
    """What was found."""
    return {anomaly.kind for anomaly in result.anomalies}


def write_traces(
    folder: Path, lines: Iterable[Mapping[str, object]], cut: str = ""
) -> dict[str, Path]:
    """Trace files of the nodes that have lines; ``cut`` is appended to each."""
    texts: dict[str, list[str]] = {}
    for line in lines:
        texts.setdefault(str(line["node"]), []).append(json.dumps(line))
    paths = {}
    for node, rows in texts.items():
        paths[node] = folder / f"{node}.jsonl"
        paths[node].write_text("\n".join(rows) + "\n" + cut)
    return paths


def traced(checker: str, nodes: Sequence[str], traces: Mapping[str, Path]) -> CheckResult:
    """The verdict of a check on traces."""
    evidence = Evidence(History(()), tuple(nodes), traces=traces)
    return CHECKERS[checker].check(evidence, Limits())


def fault(
    id: str,
    began: int | None = 100,
    ended: int | None = 200,
    *,
    kind: str = "partition",
    bit: bool = True,
    healed: bool = True,
    resolved: Mapping[str, Value] | None = None,
    error: str | None = None,
) -> FaultRecord:
    """A fault that did what it should, unless said otherwise."""
    return FaultRecord(
        id,
        kind,
        90,
        began,
        ended,
        "n1 | n2 n3",
        resolved or {},
        Proof(bit, "41 packets were dropped" if bit else "no packet was dropped"),
        Proof(healed, "packets pass" if healed else "packets are still dropped"),
        error,
    )


def record(
    operations: Sequence[Operation],
    faults: Sequence[FaultRecord] = (),
    nemeses: tuple[str, ...] = ("partition",),
) -> RunRecord:
    """A run's record."""
    plan = Plan(RunSpec(nemeses=nemeses), "netns", ("n1", "n2", "n3"), ())
    return RunRecord(
        Path("runs/x"),
        plan,
        "",
        History(tuple(operations)),
        tuple(faults),
        (),
        Ending("unknown", ExitCode.UNKNOWN, ""),
        1000,
    )
