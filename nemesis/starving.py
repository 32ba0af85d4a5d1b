"""Servers that get less than they need: done, proven, and lifted.

Who gets no memory may be ended by the kernel, and who can open nothing may end itself. Both are
started again when the limit is lifted; no other fault takes such a server meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from harness.core.cluster import HasResources, Limit, ResourceControl
from harness.core.errors import EnvironmentFailure
from harness.core.faults import Proof
from harness.core.protocols import FaultContext, Resolved
from harness.core.values import Value, freeze
from nemesis.aims import DOWN, Aim, resolved
from nemesis.disks import HEAL_LIMIT_S, MEET_LIMIT_S, Servers
from nemesis.waiting import first_words, on_all, until

KINDS: Mapping[str, str] = {
    "cpu": "the server gets a few hundredths of a processor",
    "memory": "the server gets hardly any more memory than it has",
    "files": "the server can open no more files and connections than it has",
}
_MET: Mapping[str, str] = {
    "cpu": "periods of 100 ms cut short",
    "memory": "requests for memory refused",
    "files": "servers without a free descriptor",
}
_COUNTERS: Mapping[str, str] = {"cpu": "throttled", "memory": "refused", "files": "exhausted"}


class StarvedFault(Servers):
    """Some servers are limited."""

    def __init__(self, aim: Aim, how: str, amount: int) -> None:
        super().__init__(aim)
        self._how, self._amount = how, amount
        self._met: dict[str, int] = {}

    @property
    def _limit(self) -> Limit:
        match self._how:
            case "cpu":
                return Limit(cpu=self._amount / 100)
            case "memory":
                return Limit(memory=self._amount << 10)
            case _:
                return Limit(files=True)

    async def begin(self, context: FaultContext) -> Resolved:
        """Limits some servers, while they run."""
        resources = _resources(context)
        leader = await self._take(context)
        for node in self._nodes:
            await resources.limit(node, self._limit)
            await self._look(resources, node)
        amount = {"cpu": f" {self._amount} %", "memory": f" {self._amount} kB more"}
        how = f"{self._how}{amount.get(self._how, ' none more')}"
        words = self._aim.words(self._nodes, how, leader)
        return Resolved(words, {"how": self._how, **resolved(self._aim, self._nodes, leader)})

    async def _look(self, resources: ResourceControl, node: str) -> None:
        """Descriptors may be free again later: what counts is that once there was none."""
        hits: int = getattr(await resources.hits(node), _COUNTERS[self._how])
        self._met[node] = max(self._met.get(node, 0), hits)

    async def prove(self, context: FaultContext) -> Proof:
        """Each met its limit."""
        resources = _resources(context)
        met = self._met

        async def all_met() -> bool:
            for node in self._nodes:
                await self._look(resources, node)
            return all(met.values())

        await until(all_met, MEET_LIMIT_S)
        gone = await self._gone(context)
        figures: dict[str, Value] = {"met": freeze(met), "gone": tuple(gone)}
        spared = [node for node in self._nodes if not met.get(node) and node not in gone]
        if spared or not met:
            return Proof(False, f"not met by {' '.join(spared) or 'anybody'}", figures)
        words = f"{sum(met.values())} {_MET[self._how]}"
        return Proof(True, words + (f"; gave up: {' '.join(gone)}" if gone else ""), figures)

    async def end(self, context: FaultContext) -> Proof:
        """No limits; the servers that gave up start again."""
        resources = _resources(context)
        failed = await on_all(partial(_lift, resources), self._nodes)
        if failed:
            return Proof(False, f"not lifted: {first_words(failed)}")
        claims, processes = context.claims.of(DOWN), context.cluster.processes
        claims.release(context.id)
        started: set[str] = set()
        missing: list[str] = []

        async def all_serve() -> bool:
            """A server may give up a moment after its limit was lifted: it is looked at again."""
            missing[:] = [node for node in self._nodes if node not in claims.of_others(context.id)]
            for node in tuple(missing):
                state = (await processes.state(node)).state
                if state == "gone":
                    await processes.start(node)
                    started.add(node)
                elif state == "stopped" or await self._answering(context, (node,)):
                    missing.remove(node)
            return not missing

        if not await until(all_serve, HEAL_LIMIT_S):
            return Proof(False, f"no limits, but not there: {' '.join(missing)}")
        words = "no limits" + (f"; started: {' '.join(sorted(started))}" if started else "")
        return Proof(True, words, {"started": tuple(sorted(started))})


async def _lift(resources: ResourceControl, node: str) -> None:
    await resources.limit(node, Limit())


def _resources(context: FaultContext) -> ResourceControl:
    if not isinstance(context.cluster, HasResources):
        raise EnvironmentFailure("these servers cannot be limited")
    return context.cluster.resources
