"""What an operator may ask of a healthy system: another leader, a shorter log. Nothing to heal."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

from harness.core.errors import EnvironmentFailure, HarnessError
from harness.core.faults import FaultSpec, FaultStep, Proof
from harness.core.protocols import (
    FaultContext,
    HasCompaction,
    HasLeader,
    HasTransfer,
    NodeStatus,
    Resolved,
)
from harness.core.values import Value, freeze
from nemesis import params
from nemesis.aims import DOWN, WHO, Aim, pick, resolved
from nemesis.process import check_who
from nemesis.roles import count_of
from nemesis.schedule import Planner, Window, rotation, windows

ASK_S = 1.0
BEGIN_LIMIT_S = 50.0
"""How long it waits for a leader, or a log, that other faults of the same run keep away."""
MOVE_LIMIT_S = 1.0
"""How long one handing over may take: after an election time-out the old leader goes on."""
POLL_S = 0.01
PAUSE_S = 0.1
MOVES: Mapping[str, str] = {
    "once": "to one node",
    "row": "to one after the other, each as soon as it leads",
}


class Transfer(Planner):
    """Plans transfers of leadership. Without a narrowing, single ones and rows take turns."""

    name = capability = "transfer"
    letter = "T"
    narrowings = MOVES
    least_nodes = 2

    def draw(
        self, rng: random.Random, kind: str, nodes: tuple[str, ...], _window: Window
    ) -> dict[str, Value]:
        """See :class:`Planner`."""
        return {
            "moves": 1 if kind == "once" else rng.randint(2, 4),
            "order": tuple(rng.sample(nodes, len(nodes))),
        }

    def fault(self, spec: FaultSpec) -> TransferFault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return TransferFault(params.names(spec, "order"), params.whole(spec, "moves"))


class TransferFault:
    """Leadership goes to the next of the drawn order that can have it, some times over."""

    def __init__(self, order: tuple[str, ...], moves: int) -> None:
        self._order = order
        self._moves = moves
        self._led: list[tuple[str, int]] = []
        """(leader, term), the one that was found first."""

    async def begin(self, context: FaultContext) -> Resolved:
        """Hands over, as often as planned while that succeeds.

        Raises:
            EnvironmentFailure: nobody led, or nobody could be handed the lead.
        """
        if not isinstance(context.target, HasTransfer):
            raise EnvironmentFailure("the leadership of this system cannot be handed over")
        loop = asyncio.get_running_loop()
        until_s = loop.time() + BEGIN_LIMIT_S
        turn = 0
        while len(self._led) <= self._moves and loop.time() < until_s:
            leader = await _leading(context)
            if leader is None:
                await asyncio.sleep(POLL_S)
                continue
            if not self._led:
                self._led.append((leader.node, leader.term))
            others = [node for node in self._order if node != leader.node]
            to = others[turn % len(others)]
            turn += 1
            try:
                await context.target.transfer(context.cluster, to, ASK_S)
            except (HarnessError, OSError, TimeoutError):
                await asyncio.sleep(POLL_S)
                continue
            await self._await_move(context, leader)
        if len(self._led) < 2:
            raise EnvironmentFailure("leadership was handed to nobody")
        names = [node for node, _ in self._led]
        words = f"leadership handed from {names[0]} to {', then '.join(names[1:])}"
        return Resolved(words, {"leader": names[0], "to": tuple(names[1:])})

    async def _await_move(self, context: FaultContext, before: NodeStatus) -> None:
        """Notes who leads next, if somebody does soon."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + MOVE_LIMIT_S
        while loop.time() < until_s:
            leader = await _leading(context)
            if leader is not None and leader.term > before.term:
                if leader.node != before.node:
                    self._led.append((leader.node, leader.term))
                return
            await asyncio.sleep(POLL_S)

    async def prove(self, context: FaultContext) -> Proof:  # noqa: ARG002
        """Others were seen to lead, each in a later term."""
        told = [f"{node} in term {term}" for node, term in self._led]
        figures: dict[str, Value] = {"terms": tuple(term for _, term in self._led)}
        return Proof(len(told) > 1, f"led: {', then '.join(told) or 'nobody'}", figures)

    async def end(self, context: FaultContext) -> Proof:  # noqa: ARG002
        """Whoever leads by now may."""
        return Proof(True, "nothing to undo: another leader is as good")


async def _leading(context: FaultContext) -> NodeStatus | None:
    if not isinstance(context.target, HasLeader):
        return None
    statuses = await context.target.statuses(context.cluster, 0.2)
    leaders = [status for status in statuses.values() if status.role == "leader"]
    return max(leaders, key=lambda status: status.term, default=None)


class Compaction:
    """Plans snapshots. Without a narrowing, every second one is the leader's."""

    name = capability = "snapshot"
    narrowings = WHO

    def plan(
        self,
        rng: random.Random,
        nodes: tuple[str, ...],
        duration_ns: int,
        narrowing: str | None,
        intensity: str = "normal",
    ) -> tuple[FaultStep, ...]:
        """The schedule. Logs are compacted at the beginning of a fault's time and at its end.

        Raises:
            UsageError: an unknown role, too few nodes for it, or too short a load.
        """
        check_who(self.name, narrowing or "one", len(nodes))
        times = windows(rng, duration_ns, intensity)
        others = tuple(who for who in WHO if who != "leader" and count_of(who, len(nodes)))
        chosen = rotation(rng, len(times), ("leader",), others)
        steps = []
        for number, (window, who) in enumerate(zip(times, chosen, strict=True), start=1):
            order = tuple(rng.sample(nodes, len(nodes)))
            wanted: dict[str, Value] = {"who": narrowing or who, "order": order, "gap_ms": 0}
            fault = FaultSpec(self.name, wanted)
            steps.append(FaultStep(f"N{number}", window.at_ns, window.duration_ns, fault))
        return tuple(steps)

    def fault(self, spec: FaultSpec) -> CompactionFault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return CompactionFault(Aim.read(spec))


class CompactionFault:
    """Some nodes' logs become a snapshot, whatever their length."""

    def __init__(self, aim: Aim) -> None:
        self._aim = aim
        self._indices: dict[str, list[int]] = {}

    async def begin(self, context: FaultContext) -> Resolved:
        """Compacts now.

        Raises:
            EnvironmentFailure: no server could be had, or none did it.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + BEGIN_LIMIT_S
        while True:
            nodes, leader = await pick(context, self._aim, frozenset({"running"}), DOWN)
            # Nobody is down for this: who else wants one of them may have it.
            context.claims.of(DOWN).release(context.id)
            await self._compact(context, nodes)
            if self._indices:
                break
            if loop.time() >= until_s:
                raise EnvironmentFailure(f"{' '.join(nodes)} did not compact a log")
            await asyncio.sleep(PAUSE_S)
        hit = tuple(self._indices)
        words = self._aim.words(hit, "log compacted", leader if leader in hit else None)
        return Resolved(words, resolved(self._aim, hit, leader if leader in hit else None))

    async def _compact(self, context: FaultContext, nodes: tuple[str, ...]) -> None:
        if not isinstance(context.target, HasCompaction):
            raise EnvironmentFailure("the logs of this system cannot be compacted at will")
        ends = await asyncio.gather(
            *(context.target.compact(context.cluster, node, ASK_S) for node in nodes),
            return_exceptions=True,
        )
        for node, end in zip(nodes, ends, strict=True):
            if isinstance(end, int):
                if end > 0:  # an empty disk's log has nothing to compact
                    self._indices.setdefault(node, []).append(end)
            elif not isinstance(end, HarnessError | OSError | TimeoutError):
                raise end

    async def prove(self, context: FaultContext) -> Proof:
        """They said up to where, at the beginning and, those that still answer, now."""
        await self._compact(context, tuple(self._indices))
        told = [f"{node} up to {indices[-1]}" for node, indices in self._indices.items()]
        figures: dict[str, Value] = {
            "indices": freeze({node: tuple(indices) for node, indices in self._indices.items()})
        }
        return Proof(bool(told), f"compacted: {', '.join(told) or 'nothing'}", figures)

    async def end(self, context: FaultContext) -> Proof:  # noqa: ARG002
        """A snapshot stays."""
        return Proof(True, "nothing to undo: a snapshot is as good as its log")
