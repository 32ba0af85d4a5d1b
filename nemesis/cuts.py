"""Links that are cut, both ways or one way: done, proven, and healed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.core.cluster import Link, NetworkControl
from harness.core.errors import UsageError
from harness.core.faults import FaultSpec, Proof
from harness.core.protocols import FaultContext, Resolved
from harness.core.values import Value, freeze
from nemesis import params, shapes
from nemesis.roles import find_leader, glance_at_leader, leader_first
from nemesis.waiting import until

SHAPES: Mapping[str, str] = {
    **{name: shape.words for name, shape in shapes.SHAPES.items()},
    shapes.RANDOM: shapes.RANDOM_WORDS,
}
"""Name → what it means, of every shape that stands still."""

PROBE_TIMEOUT_S = 0.4
PROBE_ROUNDS = 8
MEET_LIMIT_S = 3.0
"""A probe may be lost or late by another fault: a link is called dead only after so many."""
HEAL_LIMIT_S = 10.0
STILL_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """A planned partition: the shape, the drawn order of nodes, the direction, or drawn links.

    ``reject``: who sends is told by a reset.
    """

    shape: str
    order: tuple[str, ...]
    way: str = "both"
    links: tuple[Link, ...] = ()
    reject: bool = False

    @classmethod
    def read(cls, spec: FaultSpec) -> Wish:
        """From a plan.

        Raises:
            UsageError: not parameters of a partition.
        """
        shape, order = params.text(spec, "shape"), params.names(spec, "order")
        if shape not in SHAPES:
            raise UsageError(f"fault partition: unknown shape {shape!r}")
        shapes.check_nodes(shape, len(order))
        if shape == shapes.RANDOM:
            return cls(shape, order, links=params.links(spec, "links"))
        way = params.text(spec, "way")
        if way not in ("both", "out", "in"):
            raise UsageError(f"fault partition: way should be both, out or in, but is {way!r}")
        return cls(shape, order, way, reject=spec.params.get("reject") is True)

    def resolve(self, leader: str | None) -> shapes.Cut:
        """The cut, given who leads."""
        if self.shape == shapes.RANDOM:
            return shapes.random_cut(self.order, self.links)
        order = self.order if shapes.aim(self.shape) == "any" else leader_first(self.order, leader)
        return shapes.SHAPES[self.shape].lay(order, self.way)


class PartitionFault:
    """One partition, from the cut to the proof that packets pass again."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._cut: shapes.Cut | None = None
        self._before: Mapping[Link, int] = {}

    async def begin(self, context: FaultContext) -> Resolved:
        """Looks up the leader if the shape wants it, and cuts."""
        wish = self._wish
        meant = wish.shape in SHAPES and shapes.aim(wish.shape) == "leader"
        seen = await (find_leader(context) if meant else glance_at_leader(context))
        cut = self._lay(context, seen)
        self._before = await context.cluster.network.dropped()
        # From here on there is something to undo, whatever becomes of the call.
        self._cut = cut
        context.claims.of("cut").take(context.id, cut.links)
        await self._apply(context, cut)
        data: dict[str, Value] = {
            "shape": wish.shape,
            "groups": cut.groups,
            "drops": freeze({node: sorted(missed) for node, missed in cut.drops.items()}),
        }
        if meant:
            data["leader"] = seen
        if wish.reject:
            data["reject"] = True
        return Resolved(self._words(cut, seen), data)

    def _lay(self, context: FaultContext, leader: str | None) -> shapes.Cut:  # noqa: ARG002
        return self._wish.resolve(leader)

    def _words(self, cut: shapes.Cut, leader: str | None) -> str:
        return cut.words(leader) + (", by reset" if self._wish.reject else "")

    async def _apply(self, context: FaultContext, cut: shapes.Cut) -> None:
        await context.cluster.network.cut(context.id, cut.drops, reject=self._wish.reject)

    async def prove_quickly(self, context: FaultContext) -> Proof:
        """Real packets were dropped: all there is time for when a cut has to be a short one."""
        met = await self._met(context)
        if self._cut is None or not met:
            return Proof(False, "no packet of the system met the cut")
        return Proof(True, f"{met} packets dropped", {"dropped": met})

    async def _met(self, context: FaultContext) -> int:
        """How many packets were dropped. A short cut may find that nobody has anything to say: it
        lasts until somebody has."""
        cut, met = self._cut, 0

        async def was_met() -> bool:
            nonlocal met
            links = cut.links if cut is not None else ()
            met = _increase(self._before, await context.cluster.network.dropped(), links)
            return met > 0

        await until(was_met, MEET_LIMIT_S)
        return met

    async def prove(self, context: FaultContext) -> Proof:
        """Real packets were dropped, no probe passes where it should not, all pass elsewhere."""
        cut, network = self._cut, context.cluster.network
        if cut is None:
            return Proof(False, "nothing was cut")
        met = await self._met(context)
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
            open_links -= context.claims.of("cut").of_others(context.id)
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
        context.claims.of("cut").release(context.id)
        loop = asyncio.get_running_loop()
        began = loop.time()
        silent = cut.links
        while True:
            silent -= context.claims.of("cut").of_others(context.id)
            passed = await network.probe(_listed(silent), PROBE_TIMEOUT_S) if silent else {}
            silent = frozenset(link for link in silent if not passed.get(link))
            if not silent:
                break
            if loop.time() - began > HEAL_LIMIT_S:
                return Proof(False, f"no packet passes {_show(silent)}")
            await asyncio.sleep(0.05)
        waited_ms = round((loop.time() - began) * 1000)
        grown = await self._grown(context, cut)
        figures: dict[str, Value] = {"links": len(cut.links), "heal_ms": waited_ms}
        if grown:
            return Proof(False, f"packets are still dropped on {_show(grown)}", figures)
        return Proof(True, f"probes passed all {len(cut.links)} links again", figures)

    async def _grown(self, context: FaultContext, cut: shapes.Cut) -> frozenset[Link]:
        """Links on which packets are still dropped, though nobody wants them cut."""
        network, claims = context.cluster.network, context.claims.of("cut")
        grown: frozenset[Link] = frozenset()
        for _ in range(STILL_ROUNDS):
            free = cut.links - claims.of_others(context.id)
            before = await network.dropped()
            if free:
                await network.probe(_listed(free), PROBE_TIMEOUT_S)
            after = await network.dropped()
            # Another fault may have begun meanwhile: what it drops is its own. One that has ended
            # too is not seen here, so whoever is suspected is looked at again.
            free -= claims.of_others(context.id)
            grown = frozenset(link for link in free if after.get(link, 0) > before.get(link, 0))
            if not grown:
                break
        return grown


def _increase(before: Mapping[Link, int], after: Mapping[Link, int], links: Iterable[Link]) -> int:
    return sum(after.get(link, 0) - before.get(link, 0) for link in links)


def _listed(links: frozenset[Link]) -> tuple[Link, ...]:
    """In an order that does not depend on the hash seed."""
    return tuple(sorted(links))


def _show(links: Iterable[Link]) -> str:
    pairs = [f"{start}→{end}" for start, end in sorted(links)]
    more = f" and {len(pairs) - 4} more" if len(pairs) > 4 else ""
    return ", ".join(pairs[:4]) + more
