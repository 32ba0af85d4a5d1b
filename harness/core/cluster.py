"""Where nodes live: what a runtime gives, and what may be done to it.

Small protocols, like those of :mod:`harness.core.protocols`, and for the same reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from harness.core.protocols import Target

Link = tuple[str, str]
"""A directed link: (from node, to node)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node as its own server sees it: what a target needs to write a command line.

    ``home`` is a directory of the node's own that survives restarts; ``code`` holds the Python
    packages of the project. Both are paths in the node's view.
    """

    node: str
    addresses: Mapping[str, str]
    python: str
    code: str
    home: str


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """The server of one node. Its output goes to ``log.txt`` in the node's home."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Provision:
    """What a runtime is asked to build.

    ``run_id`` is short, unique on the machine, and safe in names of networks, tables and
    containers. ``folder`` is where each node's home appears on this side: ``folder/<node>``.
    ``target`` and ``seed`` are for a runtime that brings servers and chance by itself.
    """

    run_id: str
    nodes: tuple[str, ...]
    folder: Path
    firewall: str = "auto"
    target: Target | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class LinkBehaviour:
    """How a directed link treats packets. Delays in nanoseconds, probabilities in 0..1.

    ``loss`` is of packets: a connection repeats them. ``drop``, ``duplicate``, ``reorder`` and
    ``corrupt`` are of whole messages, which no connection repairs; what comes a second time or out
    of its order does so ``late_ns`` later on average. ``bytes_per_s`` 0 is no limit.
    """

    delay_ns: int = 0
    jitter_ns: int = 0
    loss: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    late_ns: int = 0
    bytes_per_s: int = 0


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """How a node's wall clock lies: ``true + offset + (rate - 1) · elapsed``, and a strobe.

    With ``strobe_ns`` > 0 the wall clock jumps forth and back by that much every
    ``strobe_period_ns``. ``rate`` also drives the node's monotonic clock, which never goes back.
    """

    offset_ns: int = 0
    rate: float = 1.0
    strobe_ns: int = 0
    strobe_period_ns: int = 0


@dataclass(frozen=True, slots=True)
class ProcessState:
    """A node's server as the kernel sees it.

    ``state`` is ``running``, ``stopped`` (SIGSTOP) or ``gone``; ``pid`` None when gone.
    ``starts`` counts how often it was started.
    """

    state: str
    pid: int | None
    starts: int


class NetworkControl(Protocol):
    """Cuts and shapes links between nodes; links between clients and nodes are never touched.

    Each caller names itself (``owner``, a fault's id); what is in force is the union of all
    owners' wishes, applied as one change. An empty wish withdraws the owner's.
    """

    firewall: str
    """``nft`` or ``iptables``: what does the cutting."""
    shaper: str
    """``netem`` or ``nfqueue``: what does the delaying."""

    async def cut(self, owner: str, drops: Mapping[str, frozenset[str]]) -> None:
        """``drops``: node → the nodes whose packets never reach it. One-way cuts are natural."""

    async def dropped(self) -> Mapping[Link, int]:
        """Packets dropped by our rules since the cluster was built, by directed link."""

    async def shape(self, owner: str, links: Mapping[Link, LinkBehaviour]) -> None:
        """Delay, jitter and loss on directed links. Behaviours of several owners add up."""

    async def shaped(self) -> Mapping[Link, tuple[int, int]]:
        """(packets delayed, packets lost) by our shaping, by directed link."""

    async def probe(self, links: Sequence[Link], timeout_s: float = 0.3) -> Mapping[Link, bool]:
        """Does a packet get from one node to the other right now?

        A datagram to a port of the harness's own; no answer is needed, so one-way cuts show.
        """

    async def round_trip(self, link: Link, timeout_s: float = 2.0) -> int | None:
        """Nanoseconds for a datagram there and back, None when it did not come back."""


class ProcessControl(Protocol):
    """The server process of each node. The node itself (address, disk, rules) stays."""

    async def launch(self, node: str, spec: ServerSpec) -> None:
        """First start; ``start`` uses the same command again."""

    async def start(self, node: str) -> None:
        """Starts the server; a no-op when it runs."""

    async def kill(self, node: str) -> None:
        """SIGKILL, and waits until the process is gone."""

    async def stop(self, node: str, timeout_s: float = 5.0) -> None:
        """SIGTERM, then SIGKILL after the timeout."""

    async def pause(self, node: str) -> None:
        """SIGSTOP to all of the node's server."""

    async def resume(self, node: str) -> None:
        """SIGCONT."""

    async def state(self, node: str) -> ProcessState:
        """As read from /proc."""


@runtime_checkable
class PowerControl(Protocol):
    """A :class:`ProcessControl` whose machines can lose their power."""

    async def power_off(self, node: str) -> int:
        """The server is gone, and what it wrote and had not synced with it: all of it, or part, or
        none, as disks do. Returns how many bytes were lost."""


class ClockControl(Protocol):
    """The clocks that the nodes' servers read. The host's clock is never touched."""

    async def skew(self, node: str, skew: ClockSkew) -> None:
        """Takes effect at the server's next reading. ``ClockSkew()`` is the true clock again."""


class Cluster(Protocol):
    """Nodes that exist. Leaving the provisioning context removes every trace of them."""

    runtime: str
    nodes: tuple[str, ...]
    addresses: Mapping[str, str]
    network: NetworkControl
    processes: ProcessControl
    clocks: ClockControl
    notes: tuple[str, ...]
    """What was picked, in words, for the plan and the report."""

    def place(self, node: str) -> Place:
        """The node in its own view."""

    def home(self, node: str) -> Path:
        """The node's home on this side: logs and traces are read here."""

    async def dial(
        self, node: str, port: int, timeout_s: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TCP connection from a client to a node.

        Raises:
            OSError, TimeoutError: it could not be made; nothing was sent.
        """


class Runtime(Protocol):
    """A way to have nodes."""

    name: str

    def missing(self) -> str | None:
        """Why this runtime cannot work here, and what to do; None when it can."""

    def lacks(self, capability: str) -> str | None:
        """Why a capability (``partition``, ``pause``, ``loss``, …) cannot work; None if it can."""

    def provision(self, request: Provision) -> AbstractAsyncContextManager[Cluster]:
        """Builds the nodes (no server yet).

        Raises:
            EnvironmentFailure: on entering.
        """

    def leftovers(self) -> Sequence[str]:
        """What dead runs left behind, in words; nothing of a run that is alive."""

    def clean(self) -> Sequence[str]:
        """Removes the leftovers; returns what was removed, in words."""
