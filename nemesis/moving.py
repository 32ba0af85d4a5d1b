"""Partitions that move: links that flap, nodes cut off one by one and back in another order."""

from __future__ import annotations

import asyncio
import random

from harness.core.cluster import Link
from harness.core.errors import HarnessError, UsageError
from harness.core.faults import FaultSpec, Proof
from harness.core.protocols import FaultContext
from harness.core.values import Value
from nemesis import params
from nemesis.cuts import PartitionFault, Wish
from nemesis.roles import minority
from nemesis.shapes import Cut, between

LEAST_SWIZZLED = 5
"""Nodes of which two can be cut off, while the rest goes on."""
_TURNS = 8
"""Drawn lengths of a flapping link's times; then they come again."""


def draw_flaps(rng: random.Random) -> dict[str, Value]:
    """How long links are cut and whole in turn: 50 ms to 1.5 s, evenly over orders of magnitude."""
    return {
        name: tuple(round(10 ** rng.uniform(1.7, 3.17)) for _ in range(_TURNS))
        for name in ("cut_ms", "whole_ms")
    }


def draw_swizzle(rng: random.Random, nodes: tuple[str, ...]) -> dict[str, Value]:
    """A minority in the order in which it is cut off, and in that in which it comes back.

    FoundationDB's "swizzle-clogging" (its testing documentation): what is slow to notice one fails
    when the ends come in another order than the beginnings.
    """
    count = rng.randint(2, minority(len(nodes)))
    chosen = tuple(rng.sample(nodes, count))
    return {
        "shape": "swizzle",
        "order": chosen,
        "back": tuple(rng.sample(chosen, count)),
        "gap_ms": rng.choice((50, 150, 400)),
    }


class FlapFault(PartitionFault):
    """A partition that comes and goes; it is there in the end."""

    def __init__(self, wish: Wish, cut_ms: tuple[int, ...], whole_ms: tuple[int, ...]) -> None:
        super().__init__(wish)
        self._cut_ms, self._whole_ms = cut_ms or (500,), whole_ms or (500,)
        self._over = False
        self._flaps = 0
        self._task: asyncio.Task[None] | None = None

    async def _apply(self, context: FaultContext, cut: Cut) -> None:
        await super()._apply(context, cut)
        self._task = asyncio.create_task(self._flap(context, cut))

    async def _flap(self, context: FaultContext, cut: Cut) -> None:
        while not self._over:
            turn = self._flaps % min(len(self._cut_ms), len(self._whole_ms))
            await asyncio.sleep(self._cut_ms[turn] / 1000)
            await context.cluster.network.cut(context.id, {})
            await asyncio.sleep(self._whole_ms[turn] / 1000)
            await super()._apply(context, cut)
            self._flaps += 1

    def _words(self, cut: Cut, leader: str | None) -> str:
        return f"{super()._words(cut, leader)}, flapping"

    async def prove(self, context: FaultContext) -> Proof:
        """It was whole and cut again at least once, and is cut now as any partition."""
        self._over = True
        if self._task is not None:
            try:
                await self._task
            except (HarnessError, OSError, TimeoutError) as error:
                return Proof(False, f"it flaps no more: {error or type(error).__name__}")
        proof = await super().prove(context)
        words = f"{proof.words}; cut {self._flaps + 1} times"
        holds = proof.holds and self._flaps > 0
        return Proof(holds, words, {**proof.figures, "cuts": self._flaps + 1})

    async def end(self, context: FaultContext) -> Proof:
        """See :meth:`PartitionFault.end`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        return await super().end(context)


class SwizzleFault(PartitionFault):
    """Nodes are cut off one by one, and come back one by one in another order."""

    def __init__(self, order: tuple[str, ...], back: tuple[str, ...], gap_ms: int) -> None:
        super().__init__(Wish("swizzle", order))
        self._order, self._back, self._gap_s = order, back, gap_ms / 1000
        self._off: tuple[str, ...] = ()

    @classmethod
    def read(cls, spec: FaultSpec) -> SwizzleFault:
        """From a plan.

        Raises:
            UsageError: not parameters of a swizzle.
        """
        order, back = params.names(spec, "order"), params.names(spec, "back")
        if sorted(order) != sorted(back) or not order:
            raise UsageError("fault partition: a swizzle's order and back name the same nodes")
        return cls(order, back, params.whole(spec, "gap_ms"))

    def _lay(self, context: FaultContext, leader: str | None) -> Cut:  # noqa: ARG002
        nodes = context.cluster.nodes
        back = " ".join(self._back)
        fronts = tuple(_around(node, nodes) for node in self._order)
        return Cut((), fronts, f"{' '.join(self._order)} one by one", f"back: {back}")

    async def _apply(self, context: FaultContext, cut: Cut) -> None:  # noqa: ARG002
        for place, node in enumerate(self._order):
            if place:
                await asyncio.sleep(self._gap_s)
            self._off = (*self._off, node)
            await self._cut_off(context)

    async def _cut_off(self, context: FaultContext) -> None:
        nodes = context.cluster.nodes
        links = frozenset[Link]().union(*(_around(node, nodes) for node in self._off))
        await context.cluster.network.cut(context.id, Cut((), (links,), "").drops)

    async def end(self, context: FaultContext) -> Proof:
        """One by one, then as any partition."""
        for node in self._back[:-1]:
            if node in self._off:
                self._off = tuple(other for other in self._off if other != node)
                await self._cut_off(context)
                await asyncio.sleep(self._gap_s)
        self._off = ()
        return await super().end(context)


def _around(node: str, nodes: tuple[str, ...]) -> frozenset[Link]:
    others = [other for other in nodes if other != node]
    return between((node,), others) | between(others, (node,))
