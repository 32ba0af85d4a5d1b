"""Nodes that no client reaches, while they reach each other."""

from __future__ import annotations

from harness.core.cluster import CLIENTS
from harness.core.errors import UsageError
from harness.core.faults import FaultSpec, Proof
from harness.core.protocols import FaultContext, HasLeader, Resolved
from harness.core.values import Value
from nemesis import params
from nemesis.aims import WHO
from nemesis.roles import bracket, choose, find_leader, leader_words
from nemesis.waiting import until

ASK_S = 0.5
MEET_LIMIT_S = 3.0
HEAL_LIMIT_S = 10.0
CUT = "clients cut"
"""What this claims: nodes without clients."""
_NOBODYS_PORT = 1


class ClientsFault:
    """Packets of clients do not reach some nodes."""

    def __init__(self, who: str, order: tuple[str, ...]) -> None:
        self._who, self._order = who, order
        self._nodes: tuple[str, ...] = ()
        self._before = 0

    @classmethod
    def read(cls, spec: FaultSpec) -> ClientsFault:
        """From a plan.

        Raises:
            UsageError: not parameters of a cut of clients.
        """
        who = params.text(spec, "who")
        if who not in WHO:
            raise UsageError(f"fault partition: unknown role {who!r} (known: {', '.join(WHO)})")
        return cls(who, params.names(spec, "order"))

    async def begin(self, context: FaultContext) -> Resolved:
        """Looks up the leader if it is meant, and cuts."""
        leader = await find_leader(context) if self._who == "leader" else None
        network = context.cluster.network
        nodes = choose(self._who, self._order, leader, self._order)
        self._before = await self._count(context, nodes)
        self._nodes = nodes
        context.claims.of(CUT).take(context.id, nodes)
        await network.cut(context.id, dict.fromkeys(nodes, frozenset({CLIENTS})))
        data: dict[str, Value] = {"shape": CLIENTS, "who": self._who, "nodes": nodes}
        if self._who == "leader":
            data["leader"] = leader
        words = f"clients | {' '.join(nodes)}" + bracket(leader_words(leader))
        return Resolved(words, data)

    async def _count(self, context: FaultContext, nodes: tuple[str, ...]) -> int:
        counts = await context.cluster.network.dropped()
        return sum(counts.get((CLIENTS, node), 0) for node in nodes)

    async def _reached(self, context: FaultContext) -> list[str]:
        """The nodes that answer a client, if only by refusing it."""
        if isinstance(context.target, HasLeader):
            answers = await context.target.statuses(context.cluster, ASK_S)
            return [node for node in self._nodes if node in answers]
        reached = []
        for node in self._nodes:
            try:
                _, writer = await context.cluster.dial(node, _NOBODYS_PORT, ASK_S)
                writer.close()
            except ConnectionRefusedError:
                pass
            except (OSError, TimeoutError):
                continue
            reached.append(node)
        return reached

    async def prove(self, context: FaultContext) -> Proof:
        """Packets of clients were dropped, and no node answers one."""
        if not self._nodes:
            return Proof(False, "nobody was cut off")
        met = 0

        async def was_met() -> bool:
            nonlocal met
            met = await self._count(context, self._nodes) - self._before
            return met > 0

        await until(was_met, MEET_LIMIT_S)
        reached = await self._reached(context)
        figures: dict[str, Value] = {"dropped": met, "reached": tuple(reached)}
        if reached:
            return Proof(False, f"clients still reach {' '.join(reached)}", figures)
        if not met:
            return Proof(False, "no client's packet met the cut", figures)
        return Proof(True, f"{met} packets of clients dropped, no node answers one", figures)

    async def end(self, context: FaultContext) -> Proof:
        """Withdraws the cut; healed when every node that runs answers, or none is dropped."""
        if not self._nodes:
            return Proof(True, "nobody had been cut off")
        await context.cluster.network.cut(context.id, {})
        claims = context.claims.of(CUT)
        claims.release(context.id)
        missing: list[str] = []

        async def answered() -> bool:
            reached = await self._reached(context)
            missing.clear()
            for node in self._nodes:
                runs = (await context.cluster.processes.state(node)).state == "running"
                if runs and node not in reached and node not in claims.of_others(context.id):
                    missing.append(node)
            return not missing

        if await until(answered, HEAL_LIMIT_S):
            return Proof(True, "every node that runs answers clients again")
        return Proof(False, f"clients do not reach {' '.join(missing)}")
