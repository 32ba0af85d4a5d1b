"""Where nodes live: what a runtime gives, and what may be done to it.

Small protocols, like those of :mod:`harness.core.protocols`, and for the same reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from harness.core.protocols import Target

Link = tuple[str, str]
"""A directed link: (from node, to node)."""

CLIENTS = "clients"
"""Stands for all clients, as the source of a link to a node."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node as its own server sees it: what a target needs to write a command line.

    ``home`` is a directory of the node's own that survives restarts; ``code`` holds the Python
    packages of the project. Both are paths in the node's view. What a server must not lose belongs
    into ``data`` in its home: that is what faults of disks and of power hurt.
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
    ``target`` and ``seed`` are for a runtime that brings servers and chance by itself. ``disks``:
    faults of disks or of power are to come, so that the nodes need disks that can have them.
    """

    run_id: str
    nodes: tuple[str, ...]
    folder: Path
    firewall: str = "auto"
    target: Target | None = None
    seed: int = 0
    disks: bool = False


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
class LinkCounts:
    """What shaping did to the packets of a directed link since the cluster was built.

    ``delayed`` by delay and jitter, ``limited`` by the rate.
    """

    delayed: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    limited: int = 0


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """How a node's wall clock lies: ``true + offset + (rate - 1) · elapsed``, and a strobe.

    With ``strobe_ns`` > 0 the wall clock jumps forth and back by that much every
    ``strobe_period_ns``. ``rate`` also drives the node's monotonic clock, which never goes back;
    ``monotonic_rate`` drives that one alone, on top.
    """

    offset_ns: int = 0
    rate: float = 1.0
    strobe_ns: int = 0
    strobe_period_ns: int = 0
    monotonic_rate: float = 1.0


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
    """Cuts and shapes links between nodes; those of clients are cut when they are named alone.

    Each caller names itself (``owner``, a fault's id); what is in force is the union of all
    owners' wishes, applied as one change. An empty wish withdraws the owner's.
    """

    firewall: str
    """``nft`` or ``iptables``: what does the cutting."""
    shaper: str
    """``netem`` or ``nfqueue``: what does the delaying."""

    async def cut(
        self, owner: str, drops: Mapping[str, frozenset[str]], *, reject: bool = False
    ) -> None:
        """``drops``: node → the nodes (or :data:`CLIENTS`) whose packets never reach it. One-way
        cuts are natural. With ``reject`` the sender of a TCP packet is told by a reset; what
        another owner wants dropped in silence is."""

    async def dropped(self) -> Mapping[Link, int]:
        """Packets dropped by our rules since the cluster was built, by directed link."""

    async def shape(self, owner: str, links: Mapping[Link, LinkBehaviour]) -> None:
        """Treats packets on directed links. Behaviours of several owners add up."""

    async def shaped(self) -> Mapping[Link, LinkCounts]:
        """What our shaping did, by directed link."""

    async def probe(self, links: Sequence[Link], timeout_s: float = 0.3) -> Mapping[Link, bool]:
        """Does a packet get from one node to the other right now?

        A datagram to a port of the harness's own; no answer is needed, so one-way cuts show.
        """

    async def round_trip(self, link: Link, timeout_s: float = 2.0) -> int | None:
        """Nanoseconds for a datagram there and back, None when it did not come back."""


@runtime_checkable
class CutsBetweenMessages(Protocol):
    """A :class:`NetworkControl` that can cut off a node exactly between two of its messages."""

    async def cut_after(
        self, owner: str, nodes: Collection[str], messages: int, timeout_s: float
    ) -> str | None:
        """Waits for one of ``nodes`` to lead, and for ``messages`` of its messages to have come to
        any one other node meanwhile; when the next one comes there, cuts it off from all others,
        both ways and before that message, as the owner's wish. What came before has come. Messages
        that were under way when this was called count.

        Returns the node, or None when it was not met in time: then nothing was cut.
        """


class ProcessControl(Protocol):
    """The server process of each node. The node itself (address, disk, rules) stays."""

    async def launch(self, node: str, spec: ServerSpec) -> None:
        """First start; ``start`` uses the same command again."""

    async def start(self, node: str) -> None:
        """Starts the server; a no-op when it runs."""

    async def kill(self, node: str) -> None:
        """SIGKILL, and waits until the process is gone."""

    async def stop(self, node: str, timeout_s: float = 5.0) -> bool:
        """SIGTERM, then SIGKILL after the timeout. Did the first do?"""

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


@runtime_checkable
class WipesData(Protocol):
    """A :class:`ProcessControl` whose nodes can lose what they stored."""

    async def wipe(self, node: str, keep: Collection[str]) -> int:
        """Removes all that a node has in its home, of a server that is gone. The runtime's log and
        the files ``keep`` stay: they are the harness's. Returns how many bytes were removed."""


@dataclass(frozen=True, slots=True)
class DiskTrouble:
    """What a disk does wrong from now on; all off is a good disk.

    ``slow_ns`` on top of each sync. ``full``, ``read_only`` and ``broken`` (input/output error)
    refuse what is written. ``bytes_per_s`` is what it reads and writes at most; 0 is no limit.
    """

    slow_ns: int = 0
    full: bool = False
    read_only: bool = False
    broken: bool = False
    bytes_per_s: int = 0


@dataclass(frozen=True, slots=True)
class DiskCounts:
    """Since the cluster was built: writes and syncs that were refused, syncs that were slow, and
    requests that were held back as the disk's rate was used up."""

    refused: int = 0
    slowed: int = 0
    limited: int = 0


class DiskControl(Protocol):
    """The disks that hold the servers' data."""

    async def trouble(self, node: str, trouble: DiskTrouble) -> None:
        """From now on. ``DiskTrouble()`` is a good disk again."""

    async def counts(self, node: str) -> DiskCounts:
        """What the troubles did so far."""

    async def damage(self, node: str, how: str) -> str | None:
        """Changes what is stored, of a server that is gone: ``flip`` some bits, ``misdirect`` a
        block of a file to another place of it, ``truncate`` a file, or leave its end ``torn``, in
        zeros. Says where, None where nothing is stored."""

    async def repair(self, node: str) -> None:
        """What was damaged last is as it was before: somebody exchanged the disk."""


@runtime_checkable
class HasDisks(Protocol):
    """A :class:`Cluster` whose disks can be hurt."""

    disks: DiskControl


@dataclass(frozen=True, slots=True)
class Limit:
    """What a server may take from now on; nothing of it is no limit.

    ``cpu`` in processors (0.1 is a tenth of one); ``memory`` in bytes besides what it has;
    ``files``: no more descriptors than it has.
    """

    cpu: float | None = None
    memory: int | None = None
    files: bool = False


@dataclass(frozen=True, slots=True)
class Hits:
    """How often a limit was met since it was set: ``throttled`` periods of 100 ms, ``refused``
    requests for memory; ``exhausted``: processes that can open nothing at this moment."""

    throttled: int = 0
    refused: int = 0
    exhausted: int = 0


class ResourceControl(Protocol):
    """What the servers' machines give them."""

    async def limit(self, node: str, limit: Limit) -> None:
        """For the processes that the server has now. ``Limit()`` lifts it."""

    async def hits(self, node: str) -> Hits:
        """Since the limit was set; nothing where none is."""


@runtime_checkable
class HasResources(Protocol):
    """A :class:`Cluster` whose servers can be limited."""

    resources: ResourceControl


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
