"""Partitions: links between nodes are cut, both ways or one way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.core.cluster import Link, NetworkControl
from harness.core.errors import UsageError
from harness.core.faults import FaultSpec, FaultStep, Proof
from harness.core.protocols import FaultContext, Resolved
from harness.core.values import Value, freeze
from nemesis import params, shapes
from nemesis.holds import Holds
from nemesis.roles import find_leader, glance_at_leader, leader_first
from nemesis.schedule import rotation, windows

EARLY = ("leader", "leader-minority")
"""Shapes that leave a leader without its majority, and the others able to elect the next one."""

PROBE_TIMEOUT_S = 0.4
PROBE_ROUNDS = 8
"""A probe may be lost or late by another fault: a link is called dead only after so many."""
HEAL_LIMIT_S = 10.0


class Partition:
    """Plans partitions. Without a narrowing, shapes that hit the leader alternate with others."""

    name = "partition"
    capability = "partition"
    narrowings: Mapping[str, str] = {
        **{name: shape.words for name, shape in shapes.SHAPES.items()},
        shapes.RANDOM: shapes.RANDOM_WORDS,
    }

    def __init__(self) -> None:
        self._wishes: Holds[Link] = Holds()

    def plan(
        self,
        rng: random.Random,
        nodes: tuple[str, ...],
        duration_ns: int,
        narrowing: str | None,
    ) -> tuple[FaultStep, ...]:
        """The schedule; see :class:`~harness.core.protocols.Nemesis`.

        Raises:
            UsageError: an unknown shape, too few nodes for it, or too short a load.
        """
        if narrowing is not None and narrowing not in self.narrowings:
            raise UsageError(f"unknown shape of a partition: {narrowing!r}")
        shapes.check_nodes(narrowing or "one", len(nodes))
        times = windows(rng, duration_ns)
        chosen = _shapes(rng, len(nodes), len(times), narrowing)
        return tuple(
            FaultStep(
                id=f"P{number}",
                at_ns=window.at_ns,
                duration_ns=window.duration_ns,
                fault=FaultSpec(self.name, _draw(rng, shape, nodes)),
            )
            for number, (window, shape) in enumerate(zip(times, chosen, strict=True), start=1)
        )

    def fault(self, spec: FaultSpec) -> PartitionFault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return PartitionFault(Wish.read(spec), self._wishes)


def _shapes(rng: random.Random, nodes: int, count: int, narrowing: str | None) -> tuple[str, ...]:
    if narrowing is not None:
        return (narrowing,) * count
    there = shapes.possible(nodes)
    leader = tuple(name for name in there if shapes.aim(name) == "leader")
    others = tuple(name for name in there if name not in leader)
    return rotation(rng, count, leader, others, early=EARLY)


def _draw(rng: random.Random, shape: str, nodes: tuple[str, ...]) -> dict[str, Value]:
    order = tuple(rng.sample(nodes, len(nodes)))
    if shape == shapes.RANDOM:
        return {"shape": shape, "order": order, "links": shapes.random_links(rng, nodes)}
    way = rng.choice(("out", "in")) if shape.startswith(shapes.ONE_WAY) else "both"
    return {"shape": shape, "order": order, "way": way}


@dataclass(frozen=True, slots=True)
class Wish:
    """A planned partition: the shape, the drawn order of nodes, the direction, or drawn links."""

    shape: str
    order: tuple[str, ...]
    way: str = "both"
    links: tuple[Link, ...] = ()

    @classmethod
    def read(cls, spec: FaultSpec) -> Wish:
        """From a plan.

        Raises:
            UsageError: not parameters of a partition.
        """
        shape, order = params.text(spec, "shape"), params.names(spec, "order")
        if shape not in Partition.narrowings:
            raise UsageError(f"fault partition: unknown shape {shape!r}")
        shapes.check_nodes(shape, len(order))
        if shape == shapes.RANDOM:
            return cls(shape, order, links=params.links(spec, "links"))
        way = params.text(spec, "way")
        if way not in ("both", "out", "in"):
            raise UsageError(f"fault partition: way should be both, out or in, but is {way!r}")
        return cls(shape, order, way)

    def resolve(self, leader: str | None) -> shapes.Cut:
        """The cut, given who leads."""
        if self.shape == shapes.RANDOM:
            return shapes.random_cut(self.order, self.links)
        order = self.order if shapes.aim(self.shape) == "any" else leader_first(self.order, leader)
        return shapes.SHAPES[self.shape].lay(order, self.way)


class PartitionFault:
    """One partition, from the cut to the proof that packets pass again."""

    def __init__(self, wish: Wish, wishes: Holds[Link]) -> None:
        self._wish = wish
        self._wishes = wishes
        self._cut: shapes.Cut | None = None
        self._before: Mapping[Link, int] = {}

    async def begin(self, context: FaultContext) -> Resolved:
        """Looks up the leader if the shape wants it, and cuts."""
        wish = self._wish
        meant = shapes.aim(wish.shape) == "leader"
        seen = await (find_leader(context) if meant else glance_at_leader(context))
        network = context.cluster.network
        cut = wish.resolve(seen)
        self._before = await network.dropped()
        # From here on there is something to undo, whatever becomes of the call.
        self._cut = cut
        self._wishes.take(context.id, cut.links)
        await network.cut(context.id, cut.drops)
        data: dict[str, Value] = {
            "shape": wish.shape,
            "groups": cut.groups,
            "drops": freeze({node: sorted(missed) for node, missed in cut.drops.items()}),
        }
        if meant:
            data["leader"] = seen
        return Resolved(cut.words(seen), data)

    async def prove(self, context: FaultContext) -> Proof:
        """Real packets were dropped, no probe passes where it should not, all pass elsewhere."""
        cut, network = self._cut, context.cluster.network
        if cut is None:
            return Proof(False, "nothing was cut")
        met = _increase(self._before, await network.dropped(), cut.links)
        leaks: set[Link] = set()
        for _ in range(2):
            passed = await network.probe(_listed(cut.links), PROBE_TIMEOUT_S)
            leaks |= {link for link in cut.links if passed.get(link)}
        idle = await self._idle_fronts(network, cut)
        dead = await self._dead(context, cut)
        figures: dict[str, Value] = {
            "dropped": met,
            "links_cut": len(cut.links),
            "links_leaking": len(leaks),
            "links_dead_beside": len(dead),
        }
        if leaks:
            return Proof(False, f"packets still pass {_show(leaks)}", figures)
        if dead:
            return Proof(False, f"cut more than was asked for: {_show(dead)}", figures)
        if idle:
            return Proof(False, f"no packet was dropped on {_show(idle)}", figures)
        if not met:
            return Proof(False, "no packet of the system met the cut", figures)
        return Proof(
            True, f"{met} packets dropped, no probe passed {len(cut.links)} links", figures
        )

    async def _idle_fronts(self, network: NetworkControl, cut: shapes.Cut) -> frozenset[Link]:
        """Links of a front on which nothing was dropped, though probes were sent there as well."""
        after = await network.dropped()
        fronts = (front for front in cut.fronts if not _increase(self._before, after, front))
        return frozenset().union(*fronts)

    async def _dead(self, context: FaultContext, cut: shapes.Cut) -> frozenset[Link]:
        """Links that nobody wants cut, yet no probe passes."""
        nodes = context.cluster.nodes
        every = shapes.between(nodes, nodes) - {(node, node) for node in nodes}
        open_links = every - cut.links
        for _ in range(PROBE_ROUNDS):
            open_links -= self._wishes.of_others(context.id)
            if not open_links:
                break
            passed = await context.cluster.network.probe(_listed(open_links), PROBE_TIMEOUT_S)
            open_links = frozenset(link for link in open_links if not passed.get(link))
        return open_links

    async def end(self, context: FaultContext) -> Proof:
        """Withdraws the cut; healed when a probe has passed every link and no count grows."""
        cut, network = self._cut, context.cluster.network
        if cut is None:
            return Proof(True, "nothing had been cut")
        await network.cut(context.id, {})
        self._wishes.release(context.id)
        loop = asyncio.get_running_loop()
        began = loop.time()
        silent = cut.links
        while True:
            silent -= self._wishes.of_others(context.id)
            passed = await network.probe(_listed(silent), PROBE_TIMEOUT_S) if silent else {}
            silent = frozenset(link for link in silent if not passed.get(link))
            if not silent:
                break
            if loop.time() - began > HEAL_LIMIT_S:
                return Proof(False, f"no packet passes {_show(silent)}")
            await asyncio.sleep(0.05)
        waited_ms = round((loop.time() - began) * 1000)
        grown = await self._grown(network, context.id, cut)
        figures: dict[str, Value] = {"links": len(cut.links), "heal_ms": waited_ms}
        if grown:
            return Proof(False, f"packets are still dropped on {_show(grown)}", figures)
        return Proof(True, f"probes passed all {len(cut.links)} links again", figures)

    async def _grown(self, network: NetworkControl, fault: str, cut: shapes.Cut) -> frozenset[Link]:
        """Links on which packets are still dropped, though nobody wants them cut."""
        free = cut.links - self._wishes.of_others(fault)
        before = await network.dropped()
        await network.probe(_listed(cut.links), PROBE_TIMEOUT_S)
        after = await network.dropped()
        # Another fault may have begun meanwhile: what it drops is its own.
        free -= self._wishes.of_others(fault)
        return frozenset(link for link in free if after.get(link, 0) > before.get(link, 0))


def _increase(before: Mapping[Link, int], after: Mapping[Link, int], links: Iterable[Link]) -> int:
    return sum(after.get(link, 0) - before.get(link, 0) for link in links)


def _listed(links: frozenset[Link]) -> tuple[Link, ...]:
    """In an order that does not depend on the hash seed."""
    return tuple(sorted(links))


def _show(links: Iterable[Link]) -> str:
    pairs = [f"{start}→{end}" for start, end in sorted(links)]
    more = f" and {len(pairs) - 4} more" if len(pairs) > 4 else ""
    return ", ".join(pairs[:4]) + more
