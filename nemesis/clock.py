"""Clocks that lie, planned; :mod:`nemesis.clocks` carries it out."""

from __future__ import annotations

import random
from collections.abc import Mapping

from harness.core.faults import FaultSpec
from harness.core.values import Value
from nemesis.clocks import ClockFault
from nemesis.lies import Lie
from nemesis.roles import count_of
from nemesis.schedule import Planner, Window

_RATES = (0.5, 0.7, 0.8, 1.25, 1.5, 2.0)


class Clock(Planner):
    """Plans skewed clocks. Without a narrowing the kinds take turns."""

    name = capability = "clock"
    letter = "C"
    narrowings: Mapping[str, str] = {
        "offset": "the wall clock jumps, and stays wrong by that much",
        "drift": "wall and monotonic clock run too fast or too slow",
        "strobe": "the wall clock jumps forth and back many times a second",
        "skew": "the wall clock of every node jumps, each by another offset",
        "jump": "the wall clock jumps once, forth or back, and soon after back again",
        "monotonic": "the monotonic clock alone runs too fast or too slow",
    }
    only_named = ("skew", "jump", "monotonic")

    def draw(
        self, rng: random.Random, kind: str, nodes: tuple[str, ...], _window: Window
    ) -> dict[str, Value]:
        """See :class:`Planner`."""
        many = tuple(who for who in ("one", "minority", "all") if count_of(who, len(nodes)))
        wanted: dict[str, Value] = {
            "who": rng.choice(many),
            "order": tuple(rng.sample(nodes, len(nodes))),
            **_draw(rng, kind, len(nodes)),
        }
        return {**wanted, "who": "all"} if kind == "skew" else wanted

    def fault(self, spec: FaultSpec) -> ClockFault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return ClockFault(Lie.read(spec))


def _offset_ms(rng: random.Random) -> int:
    size = round(10 ** rng.uniform(2.7, 4.8))
    return rng.choice((-1, 1)) * size


def _draw(rng: random.Random, kind: str, nodes: int) -> dict[str, Value]:
    """Offsets and strobes are drawn evenly over orders of magnitude, in milliseconds."""
    match kind:
        case "skew":
            return {"offsets_ms": tuple(_offset_ms(rng) for _ in range(nodes))}
        case "offset":
            return {"offset_ms": _offset_ms(rng)}
        case "jump":
            return {"offset_ms": _offset_ms(rng), "hold_ms": round(10 ** rng.uniform(1.7, 3.3))}
        case "drift":
            return {"rate": rng.choice(_RATES)}
        case "monotonic":
            return {"monotonic_rate": rng.choice(_RATES)}
        case _:
            size = round(10 ** rng.uniform(2.6, 3.7))
            return {"strobe_ms": size, "period_ms": rng.randint(40, 250)}
