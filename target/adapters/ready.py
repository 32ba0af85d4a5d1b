"""Waiting for a cluster that has a leader to serve: the same for every system of that kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from harness.core.cluster import Cluster
from harness.core.errors import NodeFailure
from harness.core.protocols import HasLeader

POLL_S = 0.05
STATUS_S = 1.0
LOG_LINES = 5

Serves: TypeAlias = Callable[[str], Awaitable[str]]
"""Asks a node for something that it can answer only with a quorum; what is wrong, or nothing."""


async def await_leader(
    cluster: Cluster, target: HasLeader, serves: Serves, timeout_s: float
) -> None:
    """Returns when all running nodes know one leader and each of them serves.

    Raises:
        NodeFailure: not within the time; the message says what is missing.
    """
    lacking = "no node runs"
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                running = [
                    node
                    for node in cluster.nodes
                    if (await cluster.processes.state(node)).state == "running"
                ]
                lacking = await _lacking(cluster, target, serves, running)
                if not lacking:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise NodeFailure(f"the cluster is not ready after {timeout_s:g} s: {lacking}") from None


async def _lacking(cluster: Cluster, target: HasLeader, serves: Serves, running: list[str]) -> str:
    """What is missing to be ready; empty when nothing is."""
    statuses = await target.statuses(cluster, STATUS_S)
    for node in running:
        if node not in statuses:
            return f"{node} does not answer{_tail(cluster, node)}"
    leaders = {status.leader for status in statuses.values()}
    if len(leaders) != 1 or None in leaders:
        words = ", ".join(f"{node} follows {it.leader}" for node, it in statuses.items())
        return f"no common leader ({words})" if words else "no node runs"
    said = await asyncio.gather(*(serves(node) for node in running))
    return "; ".join(word for word in said if word)


def _tail(cluster: Cluster, node: str) -> str:
    """The last lines of a node's log, to end a message with."""
    try:
        lines = (cluster.home(node) / "log.txt").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in lines[-LOG_LINES:])
