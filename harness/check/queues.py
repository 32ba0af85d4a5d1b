"""Queues by what went in and what came out ("total queue"): no element lost, none twice.

Of order it knows nothing, so it holds for queues with and without one. Elements are unique within
a key. A dequeue that was never answered may have taken one element away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.check.elements import MOST_UNSEEN, by_key
from harness.check.limits import Budget
from harness.check.telling import anomaly, counted, in_key, judge
from harness.core.operations import Operation, Outcome
from harness.core.protocols import Evidence, Limits
from harness.core.values import Value, show
from harness.core.verdict import Anomaly, CheckResult, Verdict

FUNCTIONS = frozenset({"enqueue", "dequeue"})
SHOWN = 8
"""Elements that a sentence names."""


@dataclass(slots=True)
class Flow:
    """One key: enqueues by element, dequeues that took one, that found none, that say nothing.

    ``refused`` were definitely not put in.
    """

    key: Value
    entered: dict[Value, Operation] = field(default_factory=dict)
    refused: dict[Value, Operation] = field(default_factory=dict)
    left: dict[Value, list[Operation]] = field(default_factory=dict)
    empty: list[Operation] = field(default_factory=list)
    unanswered: list[Operation] = field(default_factory=list)

    def kept(self, before: int) -> list[Operation]:
        """Enqueues that were acknowledged before a time, and whose element never came out."""
        return [
            it
            for value, it in self.entered.items()
            if it.outcome is Outcome.OK
            and it.end is not None
            and it.end < before
            and value not in self.left
        ]


@dataclass(frozen=True, slots=True)
class QueueCheck:
    """Lost, duplicate and phantom elements of queues, key by key."""

    name: str = "queue"

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """Linear in the number of operations."""
        parts = by_key(evidence.history.operations, FUNCTIONS)
        if isinstance(parts, str):
            return CheckResult(self.name, Verdict.UNKNOWN, parts)
        flows: list[Flow] = []
        for key, operations in parts.items():
            known = flow(key, operations)
            if isinstance(known, str):
                return CheckResult(self.name, Verdict.UNKNOWN, known)
            flows.append(known)
        acknowledged = sum(
            it.outcome is Outcome.OK for known in flows for it in known.entered.values()
        )
        dequeued = sum(len(took) for known in flows for took in known.left.values())
        inside = sum(len(_undrained(known)) for known in flows)
        looked_at = (
            f"{counted(acknowledged, 'acknowledged element')}, {dequeued:,} dequeued, of "
            f"{counted(len(flows), 'key')}"
        )
        unknown = None
        if not acknowledged or not dequeued:
            unknown = f"nothing to check: {looked_at}"
        elif inside:
            words = f"of {inside:,} it was not seen whether they got lost: no dequeue came after"
            looked_at = f"{looked_at}; {words}"
            if inside > MOST_UNSEEN * acknowledged:
                unknown = looked_at
        budget = Budget(limits)
        figures = {
            "acknowledged": acknowledged,
            "dequeued": dequeued,
            "unanswered_dequeues": sum(len(known.unanswered) for known in flows),
            "not_drained": inside,
            "keys": len(flows),
        }
        found = (item for known in flows for item in _wrong(known, budget))
        return judge(self.name, found, looked_at, unknown, figures)


def flow(key: Value, operations: Sequence[Operation]) -> Flow | str:
    """One key's elements; a sentence where they are not unique, and nothing can be told."""
    known = Flow(key)
    for it in operations:
        match it.call.f, it.outcome:
            case "enqueue", outcome:
                if it.call.value is None or it.call.value in known.entered:
                    return f"event {it.index} enqueues {show(it.call.value)}, which is not unique"
                (known.refused if outcome is Outcome.FAIL else known.entered)[it.call.value] = it
            case _, Outcome.INFO:
                known.unanswered.append(it)
            case _, Outcome.OK if it.result is None:
                known.empty.append(it)
            case _, Outcome.OK:
                known.left.setdefault(it.result, []).append(it)
    return known


def _wrong(known: Flow, budget: Budget) -> Iterator[Anomaly]:
    budget.look()
    yield from _strange(known)
    yield from _twice(known)
    yield from _lost(known)


def _strange(known: Flow) -> Iterator[Anomaly]:
    for value, (first, *_) in known.left.items():
        entered = known.entered.get(value)
        if entered is not None and entered.start <= (first.end or 0):
            continue
        if entered is not None:
            cause, other = "which was enqueued only after that had returned", [entered]
        elif value in known.refused:
            cause, other = "whose enqueue had been refused", [known.refused[value]]
        else:
            cause, other = "which nobody ever enqueued", []
        yield anomaly(
            "phantom element",
            f"Process {first.process} dequeued {show(value)}{in_key(known.key)}, {cause}.",
            known.key,
            [*other, first],
            at_ns=first.end or 0,
        )


def _twice(known: Flow) -> Iterator[Anomaly]:
    for value, took in known.left.items():
        if len(took) > 1:
            who = " and ".join(f"process {it.process}" for it in took)
            last = max(took, key=lambda it: it.end or 0)
            others = [it for it in took if it is not last]
            entered = [known.entered[value]] if value in known.entered else []
            yield anomaly(
                "duplicate element",
                f"{who[:1].upper()}{who[1:]} each dequeued {show(value)}{in_key(known.key)}, which "
                "was enqueued once.",
                known.key,
                [*entered, *others, last],
                at_ns=last.end or 0,
            )


def _lost(known: Flow) -> Iterator[Anomaly]:
    """The first dequeue that found nothing although more were inside than can have been taken.

    An element that was acknowledged before that dequeue was called, and never came out, can only
    have gone to a dequeue that was never answered, one to each, and called before that one ended.
    """
    for look in known.empty:
        kept = known.kept(look.start)
        takers = [it for it in known.unanswered if it.start <= (look.end or 0)]
        if len(kept) <= len(takers):
            continue
        names = ", ".join(show(it.call.value) for it in kept[:SHOWN])
        names += ", …" if len(kept) > SHOWN else ""
        words = f"although {names} had been acknowledged and never came out"
        if takers:
            words += f"; {counted(len(takers), 'dequeue')} without an answer can have taken as many"
        yield anomaly(
            "lost element",
            f"Process {look.process} found the queue empty{in_key(known.key)}, {words}.",
            known.key,
            [*kept[:SHOWN], *takers[:SHOWN], look],
            at_ns=look.end or 0,
        )
        return


def _undrained(known: Flow) -> list[Operation]:
    """Acknowledged elements that neither came out nor were missed by an empty dequeue."""
    last = max((it.start for it in known.empty), default=0)
    told = {it.index for it in known.kept(last)}
    return [
        it
        for value, it in known.entered.items()
        if it.outcome is Outcome.OK and value not in known.left and it.index not in told
    ]
