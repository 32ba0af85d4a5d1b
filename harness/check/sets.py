"""Sets that only grow: is every acknowledged element there, and no other?

For unique elements the rules together are exact: a history passes if and only if it is
linearizable. Reads that pass ``missing`` and are a chain under ⊆ can be put on a line from the
smallest up, each at the latest start among itself, the reads before it, and its elements; this
instant is no later than the read's own end (else an element came from the future, or was seen
before and is missing) and no later than the end of any acknowledged element that it lacks (else
``missing`` or ``overtaken`` had spoken). The elements go between the reads they separate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from harness.check.elements import (
    Growth,
    check_growth,
    content,
    first_of,
    overtaken,
)
from harness.check.limits import Budget
from harness.check.telling import anomaly
from harness.core.protocols import Evidence, Limits
from harness.core.values import show
from harness.core.verdict import Anomaly, CheckResult


@dataclass(frozen=True, slots=True)
class SetCheck:
    """Lost, stale, duplicate and phantom elements of grow-only sets, key by key."""

    name: str = "set"

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """Linear in what the reads returned."""
        return check_growth(self.name, evidence, limits, "add", _wrong)


def _wrong(known: Growth, budget: Budget) -> Iterator[Anomaly]:
    return first_of(
        content(known, budget),
        lambda: chain(overtaken(known, budget), _incomparable(known)),
    )


def _incomparable(known: Growth) -> Iterator[Anomaly]:
    """Two reads of which each has an element that the other lacks: a set that only grows cannot.

    Sorted by size, a chain is a chain exactly when each is a subset of the next.
    """
    elements = known.elements.keys()
    for small, large in pairwise(sorted(known.looks, key=lambda look: len(look.present))):
        only_small = (small.present - large.present) & elements
        only_large = (large.present - small.present) & elements
        if only_small and only_large:
            first = min(only_small, key=lambda value: known.elements[value].start)
            other = min(only_large, key=lambda value: known.elements[value].start)
            late, early = sorted((small, large), key=lambda look: -look.end)
            yield anomaly(
                "reads that disagree",
                f"Process {small.operation.process} saw {show(first)} but not {show(other)}, "
                f"process {large.operation.process} saw {show(other)} but not {show(first)}: "
                "no order of adding allows both.",
                known.key,
                [
                    known.elements[first].operation,
                    known.elements[other].operation,
                    early.operation,
                    late.operation,
                ],
                at_ns=late.end,
            )
