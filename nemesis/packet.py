"""Slow links and lossy links, planned; :mod:`nemesis.shaping` carries them out."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from harness.core.cluster import Link
from harness.core.errors import UsageError
from harness.core.faults import FaultSpec, FaultStep
from harness.core.values import Value
from nemesis.holds import Holds
from nemesis.schedule import rotation, windows
from nemesis.shaping import WHERE, LossFault, SlowFault, Treatment

Draw = Callable[[random.Random, str], dict[str, Value]]


def _plan(
    family: str,
    rng: random.Random,
    nodes: tuple[str, ...],
    duration_ns: int,
    narrowing: str | None,
    draw: Draw,
) -> tuple[FaultStep, ...]:
    if narrowing is not None and narrowing not in WHERE:
        raise UsageError(f"unknown {family}: {narrowing!r} (known: {', '.join(WHERE)})")
    if len(nodes) < 2:
        raise UsageError(f"{family} needs at least 2 nodes: it treats the links between them")
    times = windows(rng, duration_ns)
    if narrowing is not None:
        places: tuple[str, ...] = (narrowing,) * len(times)
    else:
        places = rotation(rng, len(times), tuple(WHERE), ())
    steps = []
    for number, (window, where) in enumerate(zip(times, places, strict=True), start=1):
        wanted: dict[str, Value] = {
            "where": where,
            "order": tuple(rng.sample(nodes, len(nodes))),
            **draw(rng, where),
        }
        name = f"{family[0].upper()}{number}"
        steps.append(FaultStep(name, window.at_ns, window.duration_ns, FaultSpec(family, wanted)))
    return tuple(steps)


class Slow:
    """Plans delays on links, with jitter (which reorders packets)."""

    name = "slow"
    capability = "slow"
    narrowings: Mapping[str, str] = WHERE

    def __init__(self) -> None:
        self._holds: Holds[Link] = Holds()

    def plan(
        self,
        rng: random.Random,
        nodes: tuple[str, ...],
        duration_ns: int,
        narrowing: str | None,
    ) -> tuple[FaultStep, ...]:
        """The schedule.

        Raises:
            UsageError: an unknown place, one node only, or too short a load.
        """
        return _plan(self.name, rng, nodes, duration_ns, narrowing, _delay)

    def fault(self, spec: FaultSpec) -> SlowFault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return SlowFault(Treatment.read(spec), self._holds)


class Loss:
    """Plans links that lose packets at random."""

    name = "loss"
    capability = "loss"
    narrowings: Mapping[str, str] = WHERE

    def __init__(self) -> None:
        self._holds: Holds[Link] = Holds()

    def plan(
        self,
        rng: random.Random,
        nodes: tuple[str, ...],
        duration_ns: int,
        narrowing: str | None,
    ) -> tuple[FaultStep, ...]:
        """The schedule.

        Raises:
            UsageError: an unknown place, one node only, or too short a load.
        """
        return _plan(self.name, rng, nodes, duration_ns, narrowing, _loss)

    def fault(self, spec: FaultSpec) -> LossFault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return LossFault(Treatment.read(spec), self._holds)


def _delay(rng: random.Random, where: str) -> dict[str, Value]:
    """50 ± 20 ms on the whole: a round trip stays below common election time-outs.

    One node alone may be slower than that: the others can go on without it.
    """
    low, high = (30, 70) if where == "all" else (40, 150)
    delay = rng.randint(low, high)
    return {"delay_ms": delay, "jitter_ms": rng.randint(delay // 5, delay // 2)}


def _loss(rng: random.Random, where: str) -> dict[str, Value]:
    """5 to 20 %; around one node alone up to 40 %."""
    return {"percent": rng.randint(5, 20) if where == "all" else rng.randint(10, 40)}
