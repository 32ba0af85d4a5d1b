"""The controls of a cluster, made of requests to an agent. Shared by every real runtime.

What runtimes differ in is how the agent is reached (:mod:`harness.runtime.wire`) and how a server
is started (:data:`Spawn`).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TypeAlias

from harness.core.cluster import (
    CLIENTS,
    ClockSkew,
    Hits,
    Limit,
    Link,
    LinkBehaviour,
    LinkCounts,
    ProcessState,
    ServerSpec,
)
from harness.core.errors import EnvironmentFailure
from harness.runtime import disks
from harness.runtime.wire import ANSWER_S, Agent


def united(wishes: Iterable[Mapping[str, frozenset[str]]]) -> set[Link]:
    """What several owners want dropped, as (from, to); a node is never cut from itself."""
    return {
        (source, to)
        for drops in wishes
        for to, sources in drops.items()
        for source in sources
        if source != to
    }


def added(wishes: Iterable[Mapping[Link, LinkBehaviour]]) -> dict[Link, LinkBehaviour]:
    """Several owners' behaviours at once: delays add up, chances strike independently, the least
    rate holds."""
    total: dict[Link, LinkBehaviour] = {}
    for links in wishes:
        for link, one in links.items():
            total[link] = _both(total.get(link, LinkBehaviour()), one)
    return {
        link: behaviour
        for link, behaviour in total.items()
        if behaviour != LinkBehaviour() and link[0] != link[1]
    }


def _both(one: LinkBehaviour, other: LinkBehaviour) -> LinkBehaviour:
    def either(name: str) -> float:
        chance: float = 1 - (1 - getattr(one, name)) * (1 - getattr(other, name))
        return chance

    rates = [rate for rate in (one.bytes_per_s, other.bytes_per_s) if rate]
    return LinkBehaviour(
        delay_ns=one.delay_ns + other.delay_ns,
        jitter_ns=one.jitter_ns + other.jitter_ns,
        loss=either("loss"),
        drop=either("drop"),
        duplicate=either("duplicate"),
        reorder=either("reorder"),
        corrupt=either("corrupt"),
        late_ns=max(one.late_ns, other.late_ns),
        bytes_per_s=min(rates, default=0),
    )


def told(behaviour: LinkBehaviour) -> dict[str, object]:
    """A behaviour for the agent: what is not nothing of it.

    A kernel knows packets only: a message that is dropped is a packet that is lost.
    """
    fields = asdict(_both(LinkBehaviour(loss=behaviour.drop), replace(behaviour, drop=0.0)))
    return {name: value for name, value in fields.items() if value}


class Network:
    """:class:`~harness.core.cluster.NetworkControl` by an agent that knows ``nodes``."""

    def __init__(self, agent: Agent, nodes: Sequence[str], firewall: str, shaper: str) -> None:
        """``firewall`` and ``shaper`` are what :func:`prepare_network` was told."""
        self.firewall = firewall
        self.shaper = shaper
        self._agent = agent
        self._nodes = frozenset(nodes)
        self._drops: dict[str, tuple[Mapping[str, frozenset[str]], bool]] = {}
        self._links: dict[str, Mapping[Link, LinkBehaviour]] = {}
        # What is in force is always the union as of the last change, so changes queue up.
        self._cutting = asyncio.Lock()
        self._shaping = asyncio.Lock()

    async def cut(
        self, owner: str, drops: Mapping[str, frozenset[str]], *, reject: bool = False
    ) -> None:
        """See the protocol. Raises ValueError: a node that is not of this cluster."""
        sources = frozenset[str]().union(*drops.values()) - {CLIENTS}
        self._check(sources.union(drops))
        async with self._cutting:
            self._drops[owner] = drops, reject
            if not drops:
                del self._drops[owner]
            wishes = self._drops.values()
            silent = united(drops for drops, rejects in wishes if not rejects)
            told = united(drops for drops, rejects in wishes if rejects) - silent
            await self._agent.request("cut", links=sorted(silent), rejected=sorted(told))

    async def dropped(self) -> Mapping[Link, int]:
        """See the protocol."""
        answer = await self._agent.request("dropped")
        return {(source, to): count for source, to, count in answer["links"]}

    async def shape(self, owner: str, links: Mapping[Link, LinkBehaviour]) -> None:
        """See the protocol. Raises ValueError: a node that is not of this cluster."""
        self._check(itertools.chain(*links))
        async with self._shaping:
            self._links[owner] = links
            if not links:
                del self._links[owner]
            total = sorted(added(self._links.values()).items())
            await self._agent.request(
                "shape",
                links=[[*link, told(one)] for link, one in total],
            )

    async def shaped(self) -> Mapping[Link, LinkCounts]:
        """See the protocol."""
        answer = await self._agent.request("shaped")
        return {(source, to): LinkCounts(*counts) for source, to, *counts in answer["links"]}

    async def probe(self, links: Sequence[Link], timeout_s: float = 0.3) -> Mapping[Link, bool]:
        """See the protocol; up to three datagrams are sent within the time."""
        answer = await self._agent.request(
            "probe", ANSWER_S + timeout_s, links=list(links), timeout_s=timeout_s
        )
        through = {(source, to) for source, to in answer["links"]}
        return {link: link in through for link in links}

    async def round_trip(self, link: Link, timeout_s: float = 2.0) -> int | None:
        """See the protocol."""
        answer = await self._agent.request(
            "round_trip", ANSWER_S + timeout_s, link=link, timeout_s=timeout_s
        )
        nanoseconds: int | None = answer["ns"]
        return nanoseconds

    def _check(self, nodes: Iterable[str]) -> None:
        strangers = sorted(set(nodes) - self._nodes)
        if strangers:
            raise ValueError(f"not of this cluster: {', '.join(strangers)}")


async def prepare_network(
    agent: Agent, nodes: Sequence[str], table: str, firewall: str, clients: str
) -> tuple[Network, tuple[str, ...]]:
    """The network control of nodes that the agent knows, and in words what was picked.

    ``table`` names the firewall's table (letters, digits, underscores; unique on the machine),
    ``firewall`` is auto, nft or iptables, ``clients`` the address from which clients come.

    Raises:
        EnvironmentFailure: it cannot be had here.
    """
    wall = await agent.request("firewall", how=firewall, table=table, clients=clients)
    shaper = await agent.request("shaper", how="auto")
    notes = (f"firewall: {wall['why']}", f"shaping: {shaper['why']}")
    return Network(agent, nodes, wall["how"], shaper["how"]), notes


Spawn: TypeAlias = Callable[[str, ServerSpec], Awaitable[None]]
"""Starts a node's server; returns when its process exists."""


class Processes:
    """:class:`~harness.core.cluster.ProcessControl`; all but the starting is the agent's."""

    def __init__(self, agent: Agent, nodes: Sequence[str], spawn: Spawn) -> None:
        self._agent = agent
        self._spawn = spawn
        self._specs: dict[str, ServerSpec] = {}
        self._starts = dict.fromkeys(nodes, 0)
        self._locks = {node: asyncio.Lock() for node in nodes}

    async def launch(self, node: str, spec: ServerSpec) -> None:
        """See the protocol."""
        self._specs[node] = spec
        await self.start(node)

    async def start(self, node: str) -> None:
        """See the protocol.

        Raises:
            EnvironmentFailure: it was never launched, or the command cannot be started.
        """
        if node not in self._specs:
            raise EnvironmentFailure(f"{node} was never launched, so it cannot be started again")
        async with self._locks[node]:
            if (await self.state(node)).state == "gone":
                await self._spawn(node, self._specs[node])
                self._starts[node] += 1

    async def kill(self, node: str) -> None:
        """See the protocol."""
        async with self._locks[node]:
            await self._agent.request("kill", node=node)

    async def stop(self, node: str, timeout_s: float = 5.0) -> bool:
        """See the protocol."""
        async with self._locks[node]:
            answer = await self._agent.request(
                "stop", ANSWER_S + timeout_s, node=node, timeout_s=timeout_s
            )
            ended: bool = answer["ended"]
            return ended

    async def power_off(self, node: str) -> int:
        """See :class:`~harness.core.cluster.PowerControl`; only with disks of the harness's own."""
        async with self._locks[node]:
            answer = await self._agent.request("power_off", 2 * ANSWER_S, node=node)
            lost: int = answer["lost"]
            return lost

    async def pause(self, node: str) -> None:
        """See the protocol; returns when every process of the server stands."""
        async with self._locks[node]:
            await self._agent.request("pause", node=node)

    async def resume(self, node: str) -> None:
        """See the protocol."""
        async with self._locks[node]:
            await self._agent.request("resume", node=node)

    async def wipe(self, node: str, keep: Collection[str]) -> int:
        """See :class:`~harness.core.cluster.WipesData`."""
        async with self._locks[node]:
            answer = await self._agent.request("wipe", node=node, keep=sorted(keep))
        removed: int = answer["bytes"]
        return removed

    async def state(self, node: str) -> ProcessState:
        """See the protocol; ``pid`` is the number in the agent's pid namespace."""
        answer = await self._agent.request("state", node=node)
        return ProcessState(answer["state"], answer["pid"], self._starts[node])


class Clocks:
    """:class:`~harness.core.cluster.ClockControl`: a file in the node's home, by rename."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def skew(self, node: str, skew: ClockSkew) -> None:
        """See the protocol."""
        await self._agent.request("clock", node=node, **asdict(skew))


class Resources:
    """:class:`~harness.core.cluster.ResourceControl`; ``name`` says whose the groups are."""

    def __init__(self, agent: Agent, name: str) -> None:
        self._agent = agent
        self._name = name

    async def limit(self, node: str, limit: Limit) -> None:
        """See the protocol."""
        await self._agent.request("limit", node=node, name=self._name, **asdict(limit))

    async def hits(self, node: str) -> Hits:
        """See the protocol."""
        return Hits(**await self._agent.request("hits", node=node))


def lacking(capability: str, abilities: Mapping[str, str | None]) -> str | None:
    """Why a capability cannot work where an agent has these abilities; None when it can.

    ``abilities`` is what an agent's ``hello`` says of its means: None or what is missing.
    """
    match capability:
        case "kill" | "pause" | "clock" | "membership" | "transfer" | "snapshot":
            return None
        case "partition":
            means: tuple[str, ...] = ("nft", "iptables")
        case "slow" | "loss" | "rate":
            means = ("netem", "nfqueue")
        case "duplicate" | "reorder" | "corrupt":
            means = ("nfqueue",)
        case "reject":
            means = ("iptables",)
        case "cpu" | "memory":
            means = ("limits",)
        case "files":
            means = ("prlimit",)
        case "resources":
            return abilities["limits"] or abilities["prlimit"]
        case "disk" | "power" | "io":
            reason = disks.lacks() or abilities["disks"]
            return None if reason is None else f"{reason}; or use --runtime sim"
        case "message":
            return "only a simulated network can cut between two messages (--runtime sim)"
        case _:
            return f"no runtime here knows how to do {capability!r}"
    reasons = [abilities[name] for name in means]
    return None if None in reasons else "; ".join(str(reason) for reason in reasons)
