"""One report model; HTML, JUnit, console and annotations are views of it.

Everything in it is a fact of the record. Why a system misbehaved is a guess, and stays out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.faults import FaultRecord
from harness.core.operations import Operation, Outcome
from harness.core.run import RunRecord
from harness.core.verdict import Anomaly, CheckResult, Verdict
from reports.scene import MOST_DRAWN, Scene, circumstances, culprit_of, scene_of
from reports.words import (
    check_command,
    clean,
    count,
    counted,
    noticed_words,
    path_words,
    replay_command,
    run_command,
    shorten,
)

MARKS = {
    "valid": "✓",
    "invalid": "✕",
    "unknown": "?",
    "inadequate": "▲",
    "environment": "▲",
    "interrupted": "▲",
    "internal": "▲",
}
"""The word that ends a run → the shape that doubles its colour."""

TONES = {"valid": "good", "invalid": "bad"}
"""The word that ends a run → its colour; all others warn."""

WHAT = {
    "valid": "no violation found",
    "unknown": "a limit was reached first",
    "inadequate": "the run tested nothing",
    "environment": "the run could not be made",
    "interrupted": "stopped before its end",
    "internal": "the harness failed",
}

BROKEN = {
    "linearizable": "not linearizable",
    "liveness": "no progress after the heal",
}
"""Checker → what its violation is called; others are called by the anomaly's kind."""

PROMISES = {
    "append": "every acknowledged element is in the list once, in one order for everybody",
    "bank": "all accounts together always hold what they began with",
    "counter": "a read counts every acknowledged addition, and none that was never asked for",
    "leader-completeness": "what is committed never changes, and every later leader has it",
    "linearizable": "every operation takes effect at an instant between its call and its return",
    "lock": "a lock has one holder at a time, and each a greater token than the one before",
    "liveness": "a healed cluster serves again",
    "log-matching": "logs with the same entry at an index are the same up to it",
    "majority-commit": "an acknowledged write is durable on a majority before it is acknowledged",
    "monotonic-state": "term, vote, commit index and state never go back",
    "pre-vote": "no node begins a term that nobody consented to",
    "one-leader": "no term has two leaders",
    "queue": "every acknowledged element comes out, once, and nothing that nobody put in",
    "set": "every acknowledged element is in every later read, and nothing that nobody added",
    "state-machine-safety": "all nodes that applied the same entries have the same state",
    "unique-ids": "no id is given out twice",
}
"""Checker → the promise it holds the system to, to complete "… promises that …"."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Operations by outcome."""

    ok: int = 0
    fail: int = 0
    info: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.ok + self.fail + self.info

    def words(self) -> str:
        """``3,163 operations: 3,081 ok, 24 failed, 58 unknown``."""
        return (
            f"{counted(self.total, 'operation')}: {count(self.ok)} ok, "
            f"{count(self.fail)} failed, {count(self.info)} unknown"
        )


@dataclass(frozen=True, slots=True)
class FaultView:
    """A fault with how the operations called while it lasted ended."""

    record: FaultRecord
    during: Counts


@dataclass(frozen=True, slots=True)
class Command:
    """Something to type: ``label`` says what it does."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """A record as people are told about it.

    Attributes:
        mark, word, what: ``✕``, ``INVALID``, ``not linearizable``.
        tone: the colour of the verdict: good, bad, warn.
        headline: the sentence that answers everything.
        explanation: who promised what, which node answered in which state, what limited the run.
        anomaly: the violation that is shown, from ``judge``; the ``others`` are listed.
        scene: the operations that are enough to show it; None when it is not about operations.
        circumstances: who answered the operation that is blamed, and in which state.
        tested: how many operations were called while a proven fault was in force.
    """

    record: RunRecord
    mark: str
    word: str
    what: str
    tone: str
    headline: str
    explanation: tuple[str, ...]
    circumstances: tuple[str, ...]
    commands: tuple[Command, ...]
    counts: Counts
    faults: tuple[FaultView, ...]
    tested: int
    judge: CheckResult | None
    anomaly: Anomaly | None
    others: tuple[Anomaly, ...]
    scene: Scene | None

    @property
    def title(self) -> str:
        """``INVALID: not linearizable``."""
        return f"{self.word}: {self.what}"

    @property
    def blame(self) -> str:
        """What the culprit's row is marked with."""
        return "✕ impossible" if self.scene is not None else "✕ violation"

    @property
    def drawn(self) -> bool:
        """Whether the counterexample is small enough for a picture."""
        return self.scene is not None and len(self.scene.actors) <= MOST_DRAWN

    @property
    def violation_ns(self) -> int | None:
        """Where the red line stands: when the violation became certain."""
        return None if self.anomaly is None else self.anomaly.at_ns


def build(record: RunRecord) -> Report:
    """The model of a record."""
    judge, anomaly, others = _pick(record.results)
    operations = record.history.operations
    counts = Counts(*record.history.outcomes())
    # Only faults need them, and a long history that somebody recorded has none.
    starts = [operation.start for operation in operations] if record.faults else []
    faults = tuple(
        FaultView(fault, tally(_called_during(operations, starts, (fault,))))
        for fault in record.faults
    )
    proven = tuple(fault for fault in record.faults if fault.bit.holds)
    tested = len(_called_during(operations, starts, proven))
    word = record.ending.word
    scene = None if anomaly is None else scene_of(record, anomaly)
    blamed = None if anomaly is None else culprit_of(record, anomaly)
    around = circumstances(record, blamed)
    return Report(
        record=record,
        mark=MARKS.get(word, "▲"),
        word=word.upper(),
        what=_what(record, judge, anomaly),
        tone=TONES.get(word, "warn"),
        headline=shorten(record.ending.sentence),
        explanation=_explanation(record, judge, anomaly, around, counts),
        circumstances=around,
        commands=_commands(record),
        counts=counts,
        faults=faults,
        tested=tested,
        judge=judge,
        anomaly=anomaly,
        others=others,
        scene=scene,
    )


def tally(operations: Sequence[Operation]) -> Counts:
    """Operations by outcome."""
    ok = sum(operation.outcome is Outcome.OK for operation in operations)
    fail = sum(operation.outcome is Outcome.FAIL for operation in operations)
    return Counts(ok, fail, len(operations) - ok - fail)


def target_name(record: RunRecord) -> str:
    """The system under test; a history that no run of ours made stands for itself."""
    return clean(record.plan.spec.target) if record.plan else "This history"


def run_name(record: RunRecord) -> str:
    """``raft · register · partition,kill · docker · seed 7312946``, or the file's path."""
    plan = record.plan
    if plan is None:
        return clean(path_words(record.folder))
    parts = [plan.spec.target, plan.spec.workload, ",".join(plan.spec.nemeses) or "no faults"]
    return clean(" · ".join([*parts, plan.runtime, f"seed {plan.spec.seed}"]))


def report_path(record: RunRecord) -> Path | None:
    """Where a run's report is; None for a history that has no folder."""
    return None if record.plan is None else record.folder / "report.html"


def fault_summary(record: RunRecord) -> str:
    """``5 faults, all proven, all healed``; what is missing is counted."""
    faults = record.faults
    if not faults:
        return "no faults"
    proven = sum(fault.bit.holds for fault in faults)
    healed = sum(fault.healed.holds for fault in faults)
    all_or = ("all" if number == len(faults) else str(number) for number in (proven, healed))
    return f"{counted(len(faults), 'fault')}, {next(all_or)} proven, {next(all_or)} healed"


def limits_hit(record: RunRecord) -> tuple[str, ...]:
    """What the undecided checkers ran into."""
    return tuple(
        clean(f"{result.checker}: {result.reason}")
        for result in record.results
        if result.verdict is Verdict.UNKNOWN
    )


def _pick(
    results: tuple[CheckResult, ...],
) -> tuple[CheckResult | None, Anomaly | None, tuple[Anomaly, ...]]:
    """The violation to show: one with a counterexample before one without, in checker order."""
    invalid = [result for result in results if result.verdict is Verdict.INVALID]
    found = [(result, anomaly) for result in invalid for anomaly in result.anomalies]
    if not found:
        return (invalid[0] if invalid else None), None, ()
    shown = min(found, key=lambda pair: not pair[1].operations)
    others = tuple(anomaly for _, anomaly in found if anomaly is not shown[1])
    return shown[0], shown[1], others


def _what(record: RunRecord, judge: CheckResult | None, anomaly: Anomaly | None) -> str:
    if record.ending.word != "invalid" or judge is None:
        return WHAT.get(record.ending.word, "see below")
    kind = anomaly.kind if anomaly is not None else f"{judge.checker} failed"
    return clean(BROKEN.get(judge.checker, kind))


def _called_during(
    operations: Sequence[Operation], starts: Sequence[int], faults: tuple[FaultRecord, ...]
) -> list[Operation]:
    """Operations called while at least one of ``faults`` was in force, each once.

    Operations are in order of invocation, so each interval is one slice.
    """
    chosen: list[Operation] = []
    reached = 0
    in_force = [(fault.began_ns, fault.ended_ns) for fault in faults if fault.began_ns is not None]
    for began, ended in sorted(in_force, key=lambda pair: pair[0]):
        first = max(reached, bisect_left(starts, began))
        last = len(starts) if ended is None else bisect_left(starts, ended)
        chosen += operations[first:last]
        reached = max(reached, last)
    return chosen


def _commands(record: RunRecord) -> tuple[Command, ...]:
    """Only commands that exist; a view leaves as many slots as there are."""
    plan, operations = record.plan, record.history.operations
    run = []
    if plan is not None:
        again = run_command(plan) if plan.follows else replay_command(record.folder)
        run.append(Command("Run again", again))
    check = [Command("Check again", check_command(record.folder))] if operations else []
    return (*run, *check)


def _kinds(record: RunRecord) -> str:
    """``Faults: 3 partition, 1 kill, 1 clock.``"""
    kinds = Counter(clean(fault.kind) for fault in record.faults)
    return "Faults: " + ", ".join(f"{number} {kind}" for kind, number in kinds.items()) + "."


def _explanation(
    record: RunRecord,
    judge: CheckResult | None,
    anomaly: Anomaly | None,
    around: tuple[str, ...],
    counts: Counts,
) -> tuple[str, ...]:
    name = target_name(record)
    match record.ending.word:
        case "invalid" if judge is not None:
            promise = PROMISES.get(judge.checker)
            held = f"{name} is held to this: {promise}." if promise else ""
            known = anomaly is None or anomaly.kind == _what(record, judge, anomaly)
            kind = "" if anomaly is None or known else f"Found: {clean(anomaly.kind)}."
            seen = "" if record.noticed is None else noticed_words(record.noticed)
            return tuple(item for item in (held, kind, *around, seen) if item)
        case "valid":
            checks = ", ".join(clean(result.checker) for result in record.results) or "nothing"
            what = f"Checked: {checks}."
            if not record.faults:
                return (what, f"{counted(counts.total, 'operation')}, without any fault.")
            return (what, _kinds(record), "A valid verdict covers this run, not every run.")
        case "unknown":
            return limits_hit(record)
        case "inadequate":
            return tuple(clean(reason) for reason in record.ending.adequacy.reasons)
        case _:
            return (f"What was recorded until then: {counts.words()}.",)
