"""Event-scaled time: bars of 2 ms a second apart would vanish on a true scale.

Every instant that matters gets a place; the gap between neighbours grows with the logarithm of
the time between them, and is stretched further where a label needs room. The order is exact, the
distances are not, and the captions say so.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.core.units import MILLISECOND


@dataclass(frozen=True, slots=True)
class Need:
    """Between the instants ``start`` and ``end`` there must be ``width``."""

    start: int
    end: int
    width: float


@dataclass(frozen=True, slots=True)
class Scale:
    """Instants (run nanoseconds, ascending) and their places."""

    instants: tuple[int, ...]
    places: tuple[float, ...]

    def at(self, at_ns: int) -> float:
        """The place of any instant: linear between neighbours, clamped outside."""
        if at_ns <= self.instants[0]:
            return self.places[0]
        if at_ns >= self.instants[-1]:
            return self.places[-1]
        right = bisect_right(self.instants, at_ns)
        before, after = self.instants[right - 1], self.instants[right]
        share = (at_ns - before) / (after - before)
        return self.places[right - 1] + share * (self.places[right] - self.places[right - 1])


def scale(
    instants: Iterable[int],
    needs: Sequence[Need],
    *,
    start: float,
    width: float,
    least: float,
) -> Scale:
    """Places for ``instants`` beginning at ``start``.

    They fill ``width`` when every gap can have at least ``least``; more room is taken when they
    cannot, or when a need asks for it. Needs must run between given instants.
    """
    points = sorted(set(instants))
    gaps = [math.log1p((after - before) / MILLISECOND) for before, after in pairwise(points)]
    spare = max(0.0, width - least * len(gaps))
    total = sum(gaps) or 1.0
    places = [start]
    for gap in gaps:
        places.append(places[-1] + least + spare * gap / total)
    where = {point: number for number, point in enumerate(points)}
    for need in sorted(needs, key=lambda item: item.end):
        first, last = where[need.start], where[need.end]
        missing = need.width - (places[last] - places[first])
        if missing > 0:
            for number in range(last, len(places)):
                places[number] += missing
    return Scale(tuple(points), tuple(places))
