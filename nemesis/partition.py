"""Partitions, planned; :mod:`nemesis.cuts`, :mod:`nemesis.moving` and :mod:`nemesis.clients` carry
them out."""

from __future__ import annotations

import random
from collections.abc import Mapping

from harness.core.cluster import CLIENTS
from harness.core.errors import UsageError
from harness.core.faults import FaultSpec, FaultStep
from harness.core.protocols import Fault
from harness.core.values import Value
from nemesis import params, shapes
from nemesis.clients import ClientsFault
from nemesis.cuts import SHAPES, PartitionFault, Wish
from nemesis.moving import (
    LEAST_SWIZZLED,
    FlapFault,
    SwizzleFault,
    draw_flaps,
    draw_swizzle,
)
from nemesis.schedule import rotation, windows

EARLY = ("leader", "leader-minority")
"""Shapes that leave a leader without its majority, and the others able to elect the next one."""

SPECIAL: Mapping[str, str] = {
    "reject": "two-way shapes in turn, and who sends is told by a reset",
    "flapping": "two-way shapes in turn, coming and going",
    "swizzle": "nodes of a minority, cut off one by one, back one by one in another order",
    CLIENTS: "clients do not reach a node, the leader, or a minority",
}
"""Only planned when asked for by name."""


class Partition:
    """Plans partitions. Without a narrowing, shapes that hit the leader alternate with others."""

    name = "partition"
    capability = "partition"
    narrowings: Mapping[str, str] = {**SHAPES, **SPECIAL}
    needs: Mapping[str, str] = {"reject": "reject"}

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
            UsageError: an unknown shape, too few nodes for it, or too short a load.
        """
        if narrowing is not None and narrowing not in self.narrowings:
            raise UsageError(f"unknown shape of a partition: {narrowing!r}")
        special = narrowing in SPECIAL
        shapes.check_nodes("one" if special else narrowing or "one", len(nodes))
        if narrowing == "swizzle" and len(nodes) < LEAST_SWIZZLED:
            raise UsageError(
                f"partition:swizzle needs at least {LEAST_SWIZZLED} nodes, not {len(nodes)}"
            )
        times = windows(rng, duration_ns, intensity)
        chosen = _shapes(rng, len(nodes), len(times), None if special else narrowing, special)
        drawn = [_draw(rng, shape, nodes, narrowing) for shape in chosen]
        return tuple(
            FaultStep(
                id=f"P{number}",
                at_ns=window.at_ns,
                duration_ns=window.duration_ns,
                fault=FaultSpec(self.name, wanted),
            )
            for number, (window, wanted) in enumerate(zip(times, drawn, strict=True), start=1)
        )

    def fault(self, spec: FaultSpec) -> Fault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        match spec.params.get("shape"):
            case "swizzle":
                return SwizzleFault.read(spec)
            case "clients":
                return ClientsFault.read(spec)
            case _ if "cut_ms" in spec.params:
                times = params.wholes(spec, "cut_ms"), params.wholes(spec, "whole_ms")
                return FlapFault(Wish.read(spec), *times)
            case _:
                return PartitionFault(Wish.read(spec))


def _shapes(
    rng: random.Random, nodes: int, count: int, narrowing: str | None, two_way: bool
) -> tuple[str, ...]:
    if narrowing is not None:
        return (narrowing,) * count
    there = shapes.possible(nodes)
    if two_way:
        there = tuple(
            name for name in there if name != shapes.RANDOM and not name.startswith(shapes.ONE_WAY)
        )
    leader = tuple(name for name in there if shapes.aim(name) == "leader")
    others = tuple(name for name in there if name not in leader)
    return rotation(rng, count, leader, others, early=EARLY)


def _draw(
    rng: random.Random, shape: str, nodes: tuple[str, ...], narrowing: str | None
) -> dict[str, Value]:
    order = tuple(rng.sample(nodes, len(nodes)))
    if narrowing == "swizzle":
        return draw_swizzle(rng, nodes)
    if narrowing == CLIENTS:
        roles = ("one", "leader", "minority") if len(nodes) > 2 else ("one", "leader")
        return {"shape": CLIENTS, "order": order, "who": rng.choice(roles)}
    if shape == shapes.RANDOM:
        return {"shape": shape, "order": order, "links": shapes.random_links(rng, nodes)}
    way = rng.choice(("out", "in")) if shape.startswith(shapes.ONE_WAY) else "both"
    wanted: dict[str, Value] = {"shape": shape, "order": order, "way": way}
    match narrowing:
        case "reject":
            return {**wanted, "reject": True}
        case "flapping":
            return {**wanted, **draw_flaps(rng)}
        case _:
            return wanted
