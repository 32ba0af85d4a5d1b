"""Whom a fault of servers means, and how it finds them; see :mod:`nemesis.signals`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.faults import FaultSpec
from harness.core.protocols import FaultContext
from harness.core.values import Value
from nemesis import params
from nemesis.roles import LEADER_WAIT_S, ask_leader, bracket, choose, count_of, leader_words
from nemesis.waiting import on_all

VICTIM_WAIT_S = LEADER_WAIT_S
"""How long a fault waits for a server that it can hit: others may be down for another fault."""

DOWN, PAUSED = "down", "paused"
"""What these faults claim: servers that are not to run, servers that stand still."""

WHO: Mapping[str, str] = {
    "one": "one node, whichever",
    "leader": "the leader",
    "minority": "as many as can fail without harm",
    "majority": "so many that the rest cannot go on",
    "all": "every node",
}


@dataclass(frozen=True, slots=True)
class Aim:
    """Whom a planned fault means, and the drawn order in which nodes are taken.

    ``gap_ms`` lies between one node's heal and the next one's.
    """

    who: str
    order: tuple[str, ...]
    gap_ms: int = 0

    @classmethod
    def read(cls, spec: FaultSpec) -> Aim:
        """From a plan.

        Raises:
            UsageError: not parameters of a kill or a pause.
        """
        who = params.text(spec, "who")
        if who not in WHO:
            raise UsageError(f"fault {spec.kind}: unknown role {who!r} (known: {', '.join(WHO)})")
        return cls(who, params.names(spec, "order"), params.whole(spec, "gap_ms"))

    def words(self, nodes: Iterable[str], signal: str, leader: str | None) -> str:
        """``n4 SIGKILL (leader was n4)``."""
        hit = tuple(nodes)
        many = self.who if self.who not in ("one", "leader") else ""
        if many and len(hit) < count_of(self.who, len(self.order)):
            many += ": no more could be hit"
        return f"{' '.join(hit)} {signal}" + bracket(many, leader_words(leader))


async def pick(
    context: FaultContext, aim: Aim, states: frozenset[str], what: str
) -> tuple[tuple[str, ...], str | None]:
    """(the nodes to hit, the leader if it was meant and is one of them); they are claimed.

    Waits while no server is in one of ``states`` or, if the leader is meant, while nobody leads.

    Raises:
        EnvironmentFailure: no server could be hit in time.
    """
    processes, claims = context.cluster.processes, context.claims.of(what)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + VICTIM_WAIT_S
    attempt = 0
    while True:
        leader = await ask_leader(context, attempt) if aim.who == "leader" else None
        fit = [node for node in aim.order if (await processes.state(node)).state in states]
        # From here to the claim nothing is awaited: no other fault can take the same node.
        able = set(fit) - claims.of_others(context.id)
        late = loop.time() >= deadline
        if able and (aim.who != "leader" or leader in able or late):
            chosen = choose(aim.who, aim.order, leader, able)
            claims.take(context.id, chosen)
            return chosen, leader if leader in chosen else None
        if late:
            raise EnvironmentFailure(f"no server is {' or '.join(sorted(states))}")
        await asyncio.sleep(0.1)
        attempt += 1


def resolved(aim: Aim, nodes: Iterable[str], leader: str | None) -> dict[str, Value]:
    """The choice as data, for the record."""
    data: dict[str, Value] = {"who": aim.who, "nodes": tuple(nodes)}
    if aim.who == "leader":
        data["leader"] = leader
    return data


async def one_by_one(
    nodes: Sequence[str], gap_ms: int, act: Callable[[str], Awaitable[None]]
) -> dict[str, BaseException]:
    """Acts on each node, with a gap in between; an error on one does not spare the others."""
    failed: dict[str, BaseException] = {}
    for place, node in enumerate(nodes):
        if place and gap_ms:
            await asyncio.sleep(gap_ms / 1000)
        failed |= await on_all(act, (node,))
    return failed
