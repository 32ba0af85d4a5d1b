"""Lists that only grow at their end: nothing lost, nothing twice, one order for everybody.

For unique elements the rules together are exact. When reads are prefixes of one another, the
longest gives the order; beyond the rules of :mod:`~harness.check.sets` it must not turn around two
appends of which one had returned before the other was called.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from harness.check.elements import (
    Element,
    Growth,
    Look,
    check_growth,
    content,
    first_of,
    overtaken,
)
from harness.check.limits import Budget
from harness.check.telling import anomaly
from harness.core.operations import Operation
from harness.core.protocols import Evidence, Limits
from harness.core.values import show
from harness.core.verdict import Anomaly, CheckResult


@dataclass(frozen=True, slots=True)
class AppendCheck:
    """Lost, stale, duplicate and phantom elements of lists, and their order, key by key."""

    name: str = "append"

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """Linear in what the reads returned."""
        return check_growth(self.name, evidence, limits, "append", _wrong)


def _wrong(known: Growth, budget: Budget) -> Iterator[Anomaly]:
    return first_of(
        content(known, budget),
        lambda: chain(overtaken(known, budget), _forks(known, budget), _turned_around(known)),
    )


def _forks(known: Growth, budget: Budget) -> Iterator[Anomaly]:
    """Two reads of which neither continues the other.

    Sorted by length, all are prefixes of one another exactly when each is one of the next.
    """
    for short, long in pairwise(sorted(known.looks, key=lambda look: len(look.items))):
        budget.look()
        if long.items[: len(short.items)] == short.items:
            continue
        place = next(
            place
            for place, (one, other) in enumerate(zip(short.items, long.items, strict=False))
            if one != other
        )
        early, late = sorted((short, long), key=lambda look: look.end)
        mine, other = show(early.items[place]), show(late.items[place])
        yield anomaly(
            "order that differs",
            f"The read by process {late.operation.process} has {other} at place {place + 1}"
            f"{_of(known)}, where the read by process {early.operation.process} had {mine}.",
            known.key,
            [*_appends(known, early, late, place), early.operation, late.operation],
            at_ns=late.end,
        )


def _turned_around(known: Growth) -> Iterator[Anomaly]:
    """An element behind one that was called only after it had been acknowledged: one per read.

    ``latest`` is the element before this place that was called last.
    """
    for look in known.looks:
        latest: Element | None = None
        for value in look.items:
            element = known.elements.get(value)
            if element is None or element.chances > 1:
                continue
            end = element.acknowledged
            if latest is not None and end is not None and end < latest.start:
                yield anomaly(
                    "order against time",
                    f"The read by process {look.operation.process} has {show(value)} behind "
                    f"{show(latest.value)}{_of(known)}, although {show(value)} had been "
                    f"acknowledged before {show(latest.value)} was appended.",
                    known.key,
                    [element.operation, latest.operation, look.operation],
                    at_ns=look.end,
                )
                break
            if latest is None or element.start > latest.start:
                latest = element


def _appends(known: Growth, early: Look, late: Look, place: int) -> list[Operation]:
    values = (early.items[place], late.items[place])
    return [known.elements[value].operation for value in values if value in known.elements]


def _of(known: Growth) -> str:
    return "" if known.key is None else f" of {show(known.key)}"
