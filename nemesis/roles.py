"""Who is meant: sizes of majorities, the leader of the moment, the nodes that can be hit."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from harness.core.protocols import FaultContext

LEADER_WAIT_S = 30.0
"""How long a fault that wants the leader waits for there to be one: other faults of the same run
may have taken the majority away, for as long as a window of theirs or two."""

_ASK_S = (0.4, 0.4, 1.0, 2.0)
"""How long nodes are given to say who leads, in turn: a node that is paused costs all of it, but on
a busy host nobody may answer soon."""
_GLANCE_S = 0.2
_POLL_S = 0.1


def majority(nodes: int) -> int:
    """The least number of nodes that is more than half."""
    return nodes // 2 + 1


def minority(nodes: int) -> int:
    """The greatest number of nodes whose loss leaves a majority; 0 for one or two nodes."""
    return (nodes - 1) // 2


def roles_of_few(nodes: int) -> tuple[str, ...]:
    """Roles that leave a majority alone, or mean a single node."""
    return ("one", "leader", "minority") if minority(nodes) else ("one", "leader")


def count_of(who: str, nodes: int) -> int:
    """How many nodes of ``nodes`` a role means: one, leader, minority, majority or all."""
    match who:
        case "one" | "leader":
            return 1
        case "minority":
            return minority(nodes)
        case "majority":
            return majority(nodes)
        case _:
            return nodes


def leader_first(order: tuple[str, ...], leader: str | None) -> tuple[str, ...]:
    """The drawn order with the leader, where there is one, in front."""
    if leader is None or leader not in order:
        return order
    return (leader, *(node for node in order if node != leader))


def choose(
    who: str, order: tuple[str, ...], leader: str | None, able: Collection[str]
) -> tuple[str, ...]:
    """The nodes to hit: the first of the drawn order that are ``able``, the leader first if meant.

    Fewer than the role asks for when fewer are able.
    """
    candidates = leader_first(order, leader) if who == "leader" else order
    return tuple(node for node in candidates if node in able)[: count_of(who, len(order))]


async def ask_leader(context: FaultContext, attempt: int) -> str | None:
    """The leader if somebody leads and says so in time; more patient with every attempt."""
    return await context.leader(_ASK_S[min(attempt, len(_ASK_S) - 1)])


async def find_leader(context: FaultContext) -> str | None:
    """The leader, waiting a while for there to be one; None when nobody leads even then."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LEADER_WAIT_S
    attempt = 0
    while True:
        leader = await ask_leader(context, attempt)
        if leader is not None or loop.time() >= deadline:
            return leader
        await asyncio.sleep(_POLL_S)
        attempt += 1


async def glance_at_leader(context: FaultContext) -> str | None:
    """The leader if that can be known at once: for words, not for choices."""
    return await context.leader(_GLANCE_S)


def leader_words(leader: str | None) -> str:
    """``leader was n2``, for the bracket behind a fault's words; empty when unknown."""
    return "" if leader is None else f"leader was {leader}"


def bracket(*parts: str) -> str:
    """`` (a; b)`` of the parts that are not empty, or nothing."""
    said = "; ".join(filter(None, parts))
    return f" ({said})" if said else ""
