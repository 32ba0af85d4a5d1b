"""How the checks that need no search say what they found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from harness.check.limits import LimitReached
from harness.core.operations import Operation, Outcome
from harness.core.values import Value, show
from harness.core.verdict import Anomaly, CheckResult, Verdict

SHOWN = 10
"""Anomalies of a kind that are told in words; the figures count all."""

TOLD = 100
"""Letters of an operation in a sentence: a read of a large set is cut."""


def anomaly(
    kind: str,
    sentence: str,
    key: Value,
    operations: Sequence[Operation],
    *,
    at_ns: int,
    legal: tuple[str, ...] = (),
) -> Anomaly:
    """An anomaly whose culprit is the last of its operations."""
    culprit = operations[-1]
    ordered = sorted({operation.index: operation for operation in operations}.items())
    told = [tell(operation) for index, operation in ordered if index != culprit.index]
    return Anomaly(
        kind=kind,
        sentence=sentence,
        operations=tuple(index for index, _ in ordered),
        culprit=culprit.index,
        steps=(*told, sentence),
        legal=legal,
        key=key,
        at_ns=at_ns,
    )


def tell(operation: Operation) -> str:
    """One operation as a sentence."""
    words = operation.words()
    if len(words) > TOLD:
        words = f"{words[:TOLD]}…"
    who = f"Process {operation.process} called {words}{in_key(operation.call.key)}"
    match operation.outcome:
        case Outcome.OK:
            return f"{who}: acknowledged."
        case Outcome.FAIL:
            return f"{who}: refused."
        case Outcome.INFO:
            return f"{who}: never answered."


def judge(
    checker: str,
    found: Iterator[Anomaly],
    looked_at: str,
    unknown: str | None,
    figures: Mapping[str, Value],
) -> CheckResult:
    """A result from what was found; ``unknown`` says why finding nothing is not enough.

    A limit that is hit ends the search: what was found until then stands.
    """
    counts: Counter[str] = Counter()
    kept: list[Anomaly] = []
    limit: str | None = None
    try:
        for item in found:
            counts[item.kind] += 1
            if counts[item.kind] <= SHOWN:
                kept.append(item)
    except LimitReached as reached:
        limit = reached.words
        unknown = f"gave up after {reached.words}: nothing wrong so far in {looked_at}"
    kept.sort(key=lambda item: item.at_ns or 0)
    numbers: dict[str, Value] = dict(figures)
    numbers.update({kind.replace(" ", "_"): count for kind, count in sorted(counts.items())})
    verdict, reason = Verdict.VALID, f"{looked_at}: nothing wrong"
    if counts:
        words = ", ".join(f"{count} × {kind}" for kind, count in counts.most_common())
        verdict, reason = Verdict.INVALID, f"{words} in {looked_at}"
    elif unknown is not None:
        verdict, reason = Verdict.UNKNOWN, unknown
    return CheckResult(checker, verdict, reason, tuple(kept), numbers, limit)


def counted(number: int, noun: str) -> str:
    """``1 fault``, ``5 faults``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def in_key(key: Value) -> str:
    """`` in k7``; nothing for the only object of a history."""
    return "" if key is None else f" in {show(key)}"
