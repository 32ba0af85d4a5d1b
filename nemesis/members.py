"""Changes of membership: made, proven, and undone until everybody votes again.

Only what an operator may do is done: one change at a time, nobody leaves while a disk is lost, and
a disk that is lost is a node's that is then removed and comes back as a new one. Whoever takes
itself for the leader is asked, also one that is cut off and does not know that it leads no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from harness.core.cluster import WipesData
from harness.core.errors import EnvironmentFailure, HarnessError
from harness.core.faults import Proof
from harness.core.protocols import (
    FaultContext,
    HasClockFile,
    HasMembership,
    HasTrace,
    Members,
    Resolved,
)
from harness.core.values import freeze
from nemesis.aims import DOWN, Aim, pick, resolved
from nemesis.waiting import until

BEGIN_LIMIT_S = 20.0
LOOK_LIMIT_S = 6.0
HEAL_LIMIT_S = 50.0
"""How long the members are worked on: without a majority nothing changes, and other faults of the
same run may have taken that away."""
ASK_S = 1.0
PAUSE_S = 0.05

STALE = "stale"
"""Nodes that lost their disk, and that the others still take for the ones that they were. It is
claimed for the family, not for one fault: one that could not be removed is the next fault's."""

WORDS = {
    "remove": "removed",
    "learner": "made a learner",
    "replace": "removed, its disk emptied",
    "wipe": "lost its disk",
}


def membership_of(context: FaultContext) -> HasMembership:
    """The target, as one whose members can be changed.

    Raises:
        EnvironmentFailure: they cannot.
    """
    if not isinstance(context.target, HasMembership):
        raise EnvironmentFailure("the members of this system cannot be changed")
    return context.target


class MembersFault:
    """One change: see :data:`nemesis.membership.HOWS`."""

    def __init__(self, aim: Aim, how: str) -> None:
        self._aim = aim
        self._how = how
        self._changed: dict[str, str] = {}
        """Node → what was done to it."""
        self._lost: dict[str, int] = {}
        """Node → bytes that went with its disk."""
        self._down: tuple[str, ...] = ()

    async def begin(self, context: FaultContext) -> Resolved:
        """Makes the change.

        Raises:
            EnvironmentFailure: no server could be had, or nobody took the change in time.
        """
        membership = membership_of(context)
        nodes, leader = await pick(context, self._aim, frozenset({"running"}), DOWN)
        until_s = asyncio.get_running_loop().time() + BEGIN_LIMIT_S
        if self._how == "wipe":
            context.claims.of(STALE).take(STALE, nodes)
            await self._empty(context, nodes)
        else:
            if self._how != "replace":
                # Nobody is down for this. Who is to lose its disk is nobody else's until then: a
                # disk fault that takes it meanwhile would keep what it has.
                context.claims.of(DOWN).release(context.id)
            # All are asked for at once: that they are made one by one is for the system to see to.
            self._changed = dict.fromkeys(nodes, "being removed")
            removals = (_insist(membership.remove_member, context, it, until_s) for it in nodes)
            await asyncio.gather(*removals)
            self._changed = dict.fromkeys(nodes, "removed")
            if self._how == "replace":
                await self._empty(context, nodes)
            if self._how == "learner":
                for node in nodes:
                    await _insist(membership.add_learner, context, node, until_s)
                    self._changed[node] = "a learner"
        words = self._aim.words(nodes, WORDS[self._how], leader)
        return Resolved(words, {"how": self._how, **resolved(self._aim, nodes, leader)})

    async def _empty(self, context: FaultContext, nodes: tuple[str, ...]) -> None:
        """Kills servers, removes what they stored, and starts them on nothing."""
        processes, claims = context.cluster.processes, context.claims.of(DOWN)
        if not isinstance(processes, WipesData):
            raise EnvironmentFailure("what these nodes store cannot be removed")
        self._down = nodes
        claims.take(context.id, nodes)
        for node in nodes:
            await processes.kill(node)
            self._lost[node] = await processes.wipe(node, _evidence(context))
        await self._start(context)

    async def _start(self, context: FaultContext) -> None:
        claims = context.claims.of(DOWN)
        for node in self._down:
            claims.release(context.id, (node,))
            if node not in claims.of_others(context.id):
                await context.cluster.processes.start(node)
        self._down = ()

    async def prove(self, context: FaultContext) -> Proof:
        """A disk was lost with something on it; a leader says that they are no voters."""
        figures = {"lost_bytes": freeze(self._lost), "changed": freeze(self._changed)}
        told = [f"{node} lost {size:,} bytes" for node, size in self._lost.items()]
        if self._how in ("wipe", "replace") and not (self._lost and all(self._lost.values())):
            return Proof(False, "nothing was stored that could be lost", figures)
        if self._how != "wipe":
            members = await self._members(context)
            if members is not None:
                still = [node for node in self._changed if node in members.voters]
                if still or not self._changed:
                    return Proof(False, f"{' '.join(still) or 'everybody'} votes", figures)
                told.append(f"voters: {' '.join(members.voters)}")
            else:
                told += [f"{node} {what}, as a leader said" for node, what in self._changed.items()]
        return Proof(True, "; ".join(told), figures)

    async def _members(self, context: FaultContext) -> Members | None:
        found: list[Members] = []

        async def told() -> bool:
            members = await membership_of(context).members(context.cluster, ASK_S)
            if members is not None:
                found.append(members)
            return bool(found)

        await until(told, LOOK_LIMIT_S)
        return found[-1] if found else None

    async def end(self, context: FaultContext) -> Proof:
        """All come back, as new ones where their disk was lost; healed when all nodes vote."""
        membership = membership_of(context)
        await self._start(context)
        context.claims.of(DOWN).release(context.id)
        last: list[str] = ["nobody was asked"]

        async def whole() -> bool:
            try:
                return await self._next_step(context, membership, last)
            except (HarnessError, OSError, TimeoutError) as error:
                last[0] = str(error) or "no answer"
                return False

        healed = await until(whole, HEAL_LIMIT_S, PAUSE_S)
        return Proof(healed, last[0] if healed else f"not all vote: {last[0]}")

    async def _next_step(
        self, context: FaultContext, membership: HasMembership, last: list[str]
    ) -> bool:
        """One change towards all voting; True when they do."""
        cluster = context.cluster
        stale = context.claims.of(STALE)
        for node in sorted(stale.by_fault.get(STALE, ())):
            await membership.remove_member(cluster, node, ASK_S)
            stale.release(STALE, (node,))
        members = await membership.members(cluster, ASK_S)
        if members is None:
            last[0] = "nobody leads"
            return False
        missing = [node for node in cluster.nodes if node not in members.voters]
        last[0] = f"voters: {' '.join(sorted(members.voters))}"
        for node in missing:
            if node not in members.learners:
                await membership.add_learner(cluster, node, ASK_S)
            await membership.promote(cluster, node, ASK_S)
        return not missing


async def _insist(
    change: Callable[..., Awaitable[None]], context: FaultContext, node: str, until_s: float
) -> None:
    """Asks again and again until the change is made.

    Raises:
        EnvironmentFailure: not in time; the words are those of the last refusal.
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            await change(context.cluster, node, ASK_S)
        except (HarnessError, OSError, TimeoutError) as error:
            if loop.time() >= until_s:
                raise EnvironmentFailure(f"members not changed: {error or 'no answer'}") from error
            await asyncio.sleep(PAUSE_S)
        else:
            return


def _evidence(context: FaultContext) -> Collection[str]:
    """Files in a node's home that are the harness's, not the node's."""
    target = context.target
    names = [target.trace_file] if isinstance(target, HasTrace) else []
    return [*names, target.clock_file] if isinstance(target, HasClockFile) else names
