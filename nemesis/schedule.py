"""When faults happen: windows in a load, with room to breathe before, between and after."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core.errors import UsageError
from harness.core.faults import FaultSpec, FaultStep
from harness.core.units import MILLISECOND, SECOND
from harness.core.values import Value

INTENSITIES = ("calm", "normal", "brutal")
SHORTEST_LOAD_NS = 4 * SECOND
"""Below this no fault fits between a quiet beginning and a heal that is seen to work."""
MOST_AT_ONCE = 4
"""Faults in force at a time, but with ``brutal``. Under more of them a cluster has no leader most
of the time: faults of leaders find none, little is answered, and little can be broken."""
_HEAL_NS = SECOND
"""What a heal takes: so much longer a fault counts as in force."""


@dataclass(frozen=True, slots=True)
class Window:
    """A fault's time, in nanoseconds since the load began."""

    at_ns: int
    duration_ns: int

    @property
    def end_ns(self) -> int:
        """When it is healed."""
        return self.at_ns + self.duration_ns


def windows(rng: random.Random, load_ns: int, intensity: str = "normal") -> tuple[Window, ...]:
    """Windows that never overlap, at least one.

    The first begins at about 8 % of the load (2 s at least, if the load is long enough for that),
    and the last is healed 8 % (at least 1 s) before its end. ``normal``: each lasts 6.5 to 13 % of
    the load (within 3 to 12 s), and 2 to 4 s lie between two. ``calm``: twice to four times as much
    lies between two. ``brutal``: a tenth of a second to four, and no more in between, drawn evenly
    over orders of magnitude: what is done to a system while it still gets over what was done.

    Raises:
        UsageError: the load is too short for a fault, or there is no such intensity.
    """
    if intensity not in INTENSITIES:
        known = ", ".join(INTENSITIES)
        raise UsageError(f"unknown intensity: {intensity!r} (known: {known})")
    if load_ns < SHORTEST_LOAD_NS:
        raise UsageError(
            f"--time-limit {load_ns / SECOND:g} is too short for a fault: "
            f"give {SHORTEST_LOAD_NS // SECOND} s or more, or --nemesis none"
        )
    first = min(max(2 * SECOND, load_ns * 8 // 100), load_ns // 4)
    last = load_ns - max(SECOND, load_ns * 8 // 100)
    if intensity == "brutal":
        short, long = SECOND // 10, 4 * SECOND
    else:
        short = min(max(3 * SECOND, load_ns * 65 // 1000), 6 * SECOND)
        long = min(max(4 * SECOND, load_ns * 13 // 100), 12 * SECOND)
    # A load this short has room for one window only; the jitter below then has none.
    short = min(short, last - first)
    found: list[Window] = []
    at = first + rng.randint(0, min(SECOND, last - first - short))
    while at + short <= last:
        most = max(short, min(long, last - at))
        if intensity == "brutal":
            duration = _evenly(rng, short, most)
            gap = _evenly(rng, short, 2 * SECOND)
        else:
            duration = rng.randint(short, most)
            gap = rng.randint(2 * SECOND, 4 * SECOND)
        if intensity == "calm":
            gap *= rng.randint(2, 4)
        found.append(Window(_whole(at), _whole(duration)))
        at += duration + gap
    return tuple(found)


def _evenly(rng: random.Random, low: int, high: int) -> int:
    """Drawn evenly over orders of magnitude."""
    return int(low * math.exp(rng.random() * math.log(high / low)))


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


class Planner:
    """A family whose kinds take turns; with a narrowing only that one comes, over and over.

    What a family adds is what is drawn for each of its faults. ``only_named`` kinds are planned
    when they are asked for by name, and ``early`` ones come before the others.
    """

    name: str
    letter: str
    """Steps are numbered behind it; no other family has it."""
    narrowings: Mapping[str, str]
    only_named: Collection[str] = ()
    early: tuple[str, ...] = ()
    least_nodes = 1

    def plan(
        self,
        rng: random.Random,
        nodes: tuple[str, ...],
        duration_ns: int,
        narrowing: str | None,
        intensity: str = "normal",
    ) -> tuple[FaultStep, ...]:
        """The schedule; see :class:`~harness.core.protocols.Nemesis`.

        Raises:
            UsageError: an unknown narrowing, too few nodes, or too short a load.
        """
        if narrowing is not None and narrowing not in self.narrowings:
            known = ", ".join(self.narrowings)
            raise UsageError(f"unknown {self.name}: {narrowing!r} (known: {known})")
        if len(nodes) < self.least_nodes:
            least = f"at least {self.least_nodes} nodes"
            raise UsageError(f"{self.name} needs {least}, not {len(nodes)}")
        times = windows(rng, duration_ns, intensity)
        usual = tuple(kind for kind in self.narrowings if kind not in self.only_named)
        turns = usual if narrowing is None else (narrowing,)
        kinds = rotation(rng, len(times), turns, (), early=self.early)
        return tuple(
            FaultStep(
                id=f"{self.letter}{number}",
                at_ns=window.at_ns,
                duration_ns=window.duration_ns,
                fault=FaultSpec(self.name, self.draw(rng, kind, nodes, window)),
            )
            for number, (window, kind) in enumerate(zip(times, kinds, strict=True), start=1)
        )

    def draw(
        self, rng: random.Random, kind: str, nodes: tuple[str, ...], window: Window
    ) -> dict[str, Value]:
        """The parameters of one fault."""
        raise NotImplementedError


def thinned(
    rng: random.Random, schedule: Iterable[FaultStep], intensity: str
) -> tuple[FaultStep, ...]:
    """As much of the families' schedules as may be in force at once, by time.

    Families take turns in a drawn order, each with the earliest of its steps that still fits. All
    get one before one gets a second: if none of a family's fits, its first one comes later, and in
    a load that is too short for that as many more are in force at once as it takes. Up to
    :data:`MOST_AT_ONCE` families, and with ``brutal``, everything stays as it was drawn.
    """
    families: dict[str, list[FaultStep]] = defaultdict(list)
    for step in sorted(schedule, key=_by_time):
        families[step.fault.kind].append(step)
    every = [step for steps in families.values() for step in steps]
    if intensity == "brutal" or len(families) <= MOST_AT_ONCE:
        return tuple(sorted(every, key=_by_time))
    order = rng.sample(sorted(families), len(families))
    for most in range(MOST_AT_ONCE, len(families)):
        kept = _packed(families, order, most)
        if {step.fault.kind for step in kept} == set(families):
            return kept
    return tuple(sorted(every, key=_by_time))


def _packed(
    drawn: Mapping[str, Sequence[FaultStep]], order: Sequence[str], most: int
) -> tuple[FaultStep, ...]:
    """Steps in turns, as many as can be in force at once."""
    families = {name: list(steps) for name, steps in drawn.items()}
    last = max(_end(step) for steps in drawn.values() for step in steps)
    kept: list[FaultStep] = []
    names = list(order)
    first = True
    while names:
        for name in tuple(names):
            steps = families[name]
            fit = next((step for step in steps if _fits(kept, step, most)), None)
            if fit is not None:
                steps.remove(fit)
            elif first:
                fit = _later(kept, steps[0], last, most)
            if fit is None:
                names.remove(name)
            else:
                kept.append(fit)
        first = False
    return tuple(sorted(kept, key=_by_time))


def _by_time(step: FaultStep) -> tuple[int, str]:
    return step.at_ns, step.id


def _end(step: FaultStep) -> int:
    return step.at_ns + step.duration_ns


def _later(kept: Iterable[FaultStep], step: FaultStep, last: int, most: int) -> FaultStep | None:
    """The step when the first of others are healed that leave room for it, until ``last``."""
    times = sorted(_end(other) + _HEAL_NS for other in kept)
    moved = (replace(step, at_ns=at) for at in times if step.at_ns < at <= last - step.duration_ns)
    return next((step for step in moved if _fits(kept, step, most)), None)


def _fits(kept: Iterable[FaultStep], new: FaultStep, most: int) -> bool:
    """Whether fewer than ``most`` are in force at every moment of ``new``."""
    met = [
        step
        for step in kept
        if step.at_ns < _end(new) + _HEAL_NS and new.at_ns < _end(step) + _HEAL_NS
    ]
    # There are never more of them than when one begins.
    starts = [new.at_ns, *(step.at_ns for step in met if step.at_ns > new.at_ns)]
    return all(
        sum(step.at_ns <= at < _end(step) + _HEAL_NS for step in met) < most for at in starts
    )
