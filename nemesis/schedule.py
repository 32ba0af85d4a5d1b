"""When faults happen: windows in a load, with room to breathe before, between and after."""

from __future__ import annotations

import random
from dataclasses import dataclass

from harness.core.errors import UsageError
from harness.core.units import MILLISECOND, SECOND

SHORTEST_LOAD_NS = 4 * SECOND
"""Below this no fault fits between a quiet beginning and a heal that is seen to work."""


@dataclass(frozen=True, slots=True)
class Window:
    """A fault's time, in nanoseconds since the load began."""

    at_ns: int
    duration_ns: int

    @property
    def end_ns(self) -> int:
        """When it is healed."""
        return self.at_ns + self.duration_ns


def windows(rng: random.Random, load_ns: int) -> tuple[Window, ...]:
    """Windows that never overlap, at least one.

    The first begins at about 8 % of the load (2 s at least, if the load is long enough for that),
    each lasts 6.5 to 13 % of it (within 3 to 12 s), 2 to 4 s lie between two, and the last is
    healed 8 % (at least 1 s) before the end.

    Raises:
        UsageError: the load is too short for a fault.
    """
    if load_ns < SHORTEST_LOAD_NS:
        raise UsageError(
            f"--time-limit {load_ns / SECOND:g} is too short for a fault: "
            f"give {SHORTEST_LOAD_NS // SECOND} s or more, or --nemesis none"
        )
    first = min(max(2 * SECOND, load_ns * 8 // 100), load_ns // 4)
    last = load_ns - max(SECOND, load_ns * 8 // 100)
    short = min(max(3 * SECOND, load_ns * 65 // 1000), 6 * SECOND)
    long = min(max(4 * SECOND, load_ns * 13 // 100), 12 * SECOND)
    # A load this short has room for one window only; the jitter below then has none.
    short = min(short, last - first)
    found: list[Window] = []
    at = first + rng.randint(0, min(SECOND, last - first - short))
    while at + short <= last:
        duration = rng.randint(short, max(short, min(long, last - at)))
        found.append(Window(_whole(at), _whole(duration)))
        at += duration + rng.randint(2 * SECOND, 4 * SECOND)
    return tuple(found)


def _whole(nanoseconds: int) -> int:
    """Whole milliseconds: nobody's timer is better, and plans are read by people."""
    return nanoseconds // MILLISECOND * MILLISECOND


def shortened(window: Window, rng: random.Random, shortest_ns: int, longest_ns: int) -> Window:
    """The window with a shorter time drawn from a range; never longer than it was."""
    duration = _whole(rng.randint(shortest_ns, longest_ns))
    return Window(window.at_ns, min(window.duration_ns, duration))


def rotation(
    rng: random.Random,
    count: int,
    first: tuple[str, ...],
    second: tuple[str, ...],
    early: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """``count`` names, taken in turn from ``first`` and from ``second``, each in a drawn order.

    Every second name, the very first included, is one of ``first``; no name comes again before
    all others of its side have come. Those in ``early`` come before the others of their side: what
    hurts most should happen in short runs too. One of the sides may be empty.
    """
    sides = []
    for side in filter(None, (first, second)):
        drawn = rng.sample(side, len(side))
        sides.append(sorted(drawn, key=lambda name: name not in early))
    turns = [0] * len(sides)
    names = []
    for number in range(count):
        place = number % len(sides)
        names.append(sides[place][turns[place] % len(sides[place])])
        turns[place] += 1
    return tuple(names)
