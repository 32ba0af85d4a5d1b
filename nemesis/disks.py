"""Disks that refuse, that are slow, that changed what they hold: done, proven, and healed.

Writes that are refused end most servers, and rightly so; what was damaged is refused by the better
ones when they start. Both are started again when the disk is sound. So no disk fault takes a server
that another fault has down, and no kill one whose disk is bad: it could not come back in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import partial

from harness.core.cluster import DiskControl, DiskTrouble, HasDisks
from harness.core.errors import EnvironmentFailure
from harness.core.faults import FaultSpec, Proof
from harness.core.protocols import FaultContext, HasLeader, Resolved
from harness.core.units import MILLISECOND
from harness.core.values import Value, freeze
from nemesis import params
from nemesis.aims import DOWN, PAUSED, Aim, pick, resolved
from nemesis.waiting import first_words, on_all, until

MEET_LIMIT_S = 6.0
"""How long a trouble waits for somebody to write."""
PAUSE_LIMIT_S = 20.0
"""The same when it is paused by another fault."""
HEAL_LIMIT_S = 10.0
ASK_S = 0.5
FILL_S = 0.5
FILL_LIMIT_S = 10.0
"""How long a server is given, each time and in all, to write to an empty disk."""
DAMAGES: Mapping[str, str] = {
    "flip": "bits flipped",
    "misdirect": "a block misdirected",
    "truncate": "a file truncated",
    "torn": "the end of a file torn",
}
REFUSALS: Mapping[str, DiskTrouble] = {
    "full": DiskTrouble(full=True),
    "io-error": DiskTrouble(broken=True),
    "read-only": DiskTrouble(read_only=True),
}
SOUND = DiskTrouble()


def read_trouble(spec: FaultSpec) -> DiskTrouble:
    """From a plan.

    Raises:
        UsageError: not parameters of a disk fault.
    """
    how = params.text(spec, "how")
    if how in REFUSALS:
        return REFUSALS[how]
    if how == "io":
        return DiskTrouble(bytes_per_s=params.whole(spec, "kbytes_per_s") << 10)
    return DiskTrouble(slow_ns=params.whole(spec, "slow_ms") * MILLISECOND)


def disks_of(context: FaultContext) -> DiskControl:
    """The cluster's disks.

    Raises:
        EnvironmentFailure: it does not have any that could be hurt.
    """
    if not isinstance(context.cluster, HasDisks):
        raise EnvironmentFailure("these disks cannot be hurt")
    return context.cluster.disks


class Servers:
    """What such faults have in common: the choice of servers, and that they run in the end."""

    def __init__(self, aim: Aim) -> None:
        self._aim = aim
        self._nodes: tuple[str, ...] = ()

    async def _take(self, context: FaultContext) -> str | None:
        """Chooses the servers and claims them; the leader, if it was meant."""
        states = frozenset({"running", "stopped"})
        nodes, leader = await pick(context, self._aim, states, DOWN)
        self._nodes = nodes
        return leader

    async def _gone(self, context: FaultContext) -> list[str]:
        states = context.cluster.processes.state
        return [node for node in self._nodes if (await states(node)).state == "gone"]

    async def _answering(self, context: FaultContext, nodes: Collection[str]) -> set[str]:
        """Those that serve, as far as that can be asked; else those whose process is there."""
        if isinstance(context.target, HasLeader):
            statuses = await context.target.statuses(context.cluster, ASK_S)
            return {node for node in nodes if node in statuses}
        return set(nodes) - set(await self._gone(context))

    async def _asleep(self, context: FaultContext) -> list[str]:
        """Those that stand still: another fault has them."""
        processes = context.cluster.processes
        states = {node: await processes.state(node) for node in self._nodes}
        return [node for node, it in states.items() if it.state == "stopped"]

    async def _up_again(self, context: FaultContext, done: str) -> Proof:
        """Starts those that are gone, and waits until they serve."""
        claims, processes = context.claims.of(DOWN), context.cluster.processes
        gone = await self._gone(context)
        claims.release(context.id)
        mine = [node for node in gone if node not in claims.of_others(context.id)]
        failed = await on_all(processes.start, mine)
        if failed:
            return Proof(False, f"not started: {first_words(failed)}")
        dead = list(mine)

        async def serve() -> bool:
            """Or are another fault's by now, or stand still."""
            nonlocal dead
            held = claims.of_others(context.id)
            dead = [node for node in dead if node not in held]
            up = await self._answering(context, dead)
            for node in dead:
                if (await processes.state(node)).state == "stopped":
                    up.add(node)
            dead = [node for node in dead if node not in up]
            return not dead

        if not await until(serve, HEAL_LIMIT_S):
            return Proof(False, f"started, but not there: {' '.join(dead)}")
        words = f"{done}; started: {' '.join(mine)}" if mine else done
        return Proof(True, words, {"started": tuple(mine)})


class TroubleFault(Servers):
    """Writes that are refused, syncs that are slow, or a rate that is low."""

    def __init__(self, aim: Aim, how: str, trouble: DiskTrouble) -> None:
        super().__init__(aim)
        self._how = how
        self._trouble = trouble
        self._before: dict[str, int] = {}

    async def begin(self, context: FaultContext) -> Resolved:
        """Makes the disks of some servers bad, while they run."""
        disks = disks_of(context)
        leader = await self._take(context)
        for node in self._nodes:
            self._before[node] = await self._count(disks, node)
            await disks.trouble(node, self._trouble)
        words = self._aim.words(self._nodes, self._words, leader)
        return Resolved(words, {"how": self._how, **resolved(self._aim, self._nodes, leader)})

    @property
    def _words(self) -> str:
        if self._trouble.bytes_per_s:
            return f"disk limited to {self._trouble.bytes_per_s >> 10} kB a second"
        slow = self._trouble.slow_ns
        return f"disk {self._how}" + (f", {slow // MILLISECOND} ms a sync" if slow else "")

    async def _count(self, disks: DiskControl, node: str) -> int:
        counts = await disks.counts(node)
        if self._trouble.bytes_per_s:
            return counts.limited
        return counts.slowed if self._trouble.slow_ns else counts.refused

    async def prove(self, context: FaultContext) -> Proof:
        """Each disk was written to, and refused that, or took its time."""
        disks = disks_of(context)
        met: dict[str, int] = {}

        async def all_met() -> bool:
            for node, before in self._before.items():
                met[node] = await self._count(disks, node) - before
            return all(met.values())

        async def met_by_the_awake() -> bool:
            """True as well while one that has not written cannot: another fault has it."""
            asleep = context.claims.of(PAUSED).of_others(context.id)
            return await all_met() or any(not met[node] for node in asleep & met.keys())

        if await until(met_by_the_awake, MEET_LIMIT_S) and not all(met.values()):
            await until(all_met, PAUSE_LIMIT_S)
        gone = await self._gone(context)
        figures: dict[str, Value] = {"met": freeze(met), "gone": tuple(gone)}
        spared = [node for node, count in met.items() if not count]
        if spared or not met:
            return Proof(False, f"nothing was written by {' '.join(spared) or 'anybody'}", figures)
        word = "syncs slowed" if self._trouble.slow_ns else "writes refused"
        if self._trouble.bytes_per_s:
            word = "reads and writes held back"
        words = f"{sum(met.values())} {word}"
        return Proof(True, words + (f"; gave up: {' '.join(gone)}" if gone else ""), figures)

    async def end(self, context: FaultContext) -> Proof:
        """Sound disks again, and the servers that gave up start again."""
        disks = disks_of(context)
        failed = await on_all(partial(self._make_sound, disks), tuple(self._before))
        if failed:
            return Proof(False, f"disk not set right: {first_words(failed)}")
        return await self._up_again(context, "disks are sound")

    async def _make_sound(self, disks: DiskControl, node: str) -> None:
        await disks.trouble(node, SOUND)


class DamageFault(Servers):
    """What is stored changes while the server is down."""

    def __init__(self, aim: Aim, how: str) -> None:
        super().__init__(aim)
        self._how = how
        self._damaged: dict[str, str] = {}
        self._read = False
        """Is it known what each server made of the damage?"""

    async def begin(self, context: FaultContext) -> Resolved:
        """Kills some servers, damages a file of each, and starts them on what is left."""
        processes = context.cluster.processes
        leader = await self._take(context)
        failed = await on_all(processes.kill, self._nodes)
        if failed:
            raise EnvironmentFailure(f"not killed: {first_words(failed)}")
        for node in self._nodes:
            where = await self._damage(context, node)
            if where is not None:
                self._damaged[node] = where
        failed = await on_all(processes.start, self._nodes)
        if failed:
            raise EnvironmentFailure(f"not started: {first_words(failed)}")
        words = self._aim.words(self._nodes, f"disk: {DAMAGES[self._how]}", leader)
        data = resolved(self._aim, self._nodes, leader)
        return Resolved(words, {"how": self._how, "where": freeze(self._damaged), **data})

    async def _damage(self, context: FaultContext, node: str) -> str | None:
        """To a disk that another fault has just emptied its server is let write again first."""
        disks, processes = disks_of(context), context.cluster.processes
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FILL_LIMIT_S
        while (where := await disks.damage(node, self._how)) is None and loop.time() < deadline:
            await processes.start(node)
            await asyncio.sleep(FILL_S)
            await processes.kill(node)
        return where

    async def prove(self, context: FaultContext) -> Proof:
        """Something was changed, and each server has read it: it gave up, or serves."""
        refused: list[str] = []
        serving: set[str] = set()
        asleep: set[str] = set()

        async def decided() -> bool:
            refused[:] = await self._gone(context)
            serving.clear()
            serving.update(await self._answering(context, self._nodes))
            asleep.clear()
            asleep.update(await self._asleep(context))
            return all(node in refused or node in serving for node in self._damaged)

        async def decided_by_the_awake() -> bool:
            """True as well while one that has not read cannot: another fault has it."""
            return await decided() or bool(asleep - serving)

        known = await until(decided_by_the_awake, MEET_LIMIT_S)
        if known and asleep:
            known = await until(decided, PAUSE_LIMIT_S)
        self._read = known
        figures: dict[str, Value] = {"refused": tuple(refused), "serving": tuple(sorted(serving))}
        if not self._damaged:
            return Proof(False, "nothing is stored that could be damaged", figures)
        if not known:
            return Proof(False, "nobody knows whether the damage was read", figures)
        words = "; ".join(f"{node}: {where}" for node, where in self._damaged.items())
        took = [node for node in self._damaged if node not in refused]
        words += f"; refused by {' '.join(refused)}" if refused else ""
        words += f"; taken by {' '.join(took)}" if took else ""
        return Proof(True, words, figures)

    async def end(self, context: FaultContext) -> Proof:
        """Whoever refused gets the disk as it was, and starts; so does who stands still and has
        perhaps not read it yet."""
        disks = disks_of(context)
        unread = [] if self._read else await self._asleep(context)
        for node in (*await self._gone(context), *unread):
            await disks.repair(node)
        return await self._up_again(context, "disks are sound")
