"""Nodes as network namespaces: no image, no daemon, no privilege, up in a fraction of a second.

The agent builds them inside namespaces of its own, so that the host's network is never touched
and two runs cannot meet. Everything ends with the agent, and the agent ends with the harness.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.core.cluster import (
    ClockControl,
    Cluster,
    DiskControl,
    NetworkControl,
    Place,
    ProcessControl,
    Provision,
    ResourceControl,
    ServerSpec,
)
from harness.core.errors import EnvironmentFailure
from harness.runtime import disks
from harness.runtime.hands import Clocks, Processes, Resources, lacking, prepare_network
from harness.runtime.netns import groups
from harness.runtime.wire import Agent, SubprocessWire, agent_command

_PROBE_S = 20.0
_HARNESS = str(Path(harness.__file__).resolve().parents[1])


@dataclass(slots=True)
class NetnsCluster:
    """Nodes in namespaces; see :class:`~harness.core.cluster.Cluster`."""

    nodes: tuple[str, ...]
    addresses: Mapping[str, str]
    network: NetworkControl
    processes: ProcessControl
    clocks: ClockControl
    disks: DiskControl
    resources: ResourceControl
    notes: tuple[str, ...]
    folder: Path
    agent: Agent
    runtime: str = "netns"

    def place(self, node: str) -> Place:
        """A node sees the host's files, so its Python is ours."""
        home = str(self.home(node))
        return Place(node, self.addresses, sys.executable, _code(), home)

    def home(self, node: str) -> Path:
        """The same directory that the node sees."""
        return self.folder / node

    async def dial(
        self, node: str, port: int, timeout_s: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Over a socket that the agent made inside the cluster's network."""
        async with asyncio.timeout(timeout_s):
            made = await self.agent.pass_socket()
            try:
                made.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(made, (self.addresses[node], port))
                return await asyncio.open_connection(sock=made)
            except BaseException:
                made.close()
                raise


class NetnsRuntime:
    """See :class:`~harness.core.cluster.Runtime`."""

    name = "netns"

    def missing(self) -> str | None:
        """Tried for real: namespaces, a bridge and a node that are gone at once."""
        return _abilities()[0]

    def lacks(self, capability: str) -> str | None:
        """Tried for real, once per process."""
        missing, abilities = _abilities()
        return missing or lacking(capability, abilities)

    def provision(self, request: Provision) -> AbstractAsyncContextManager[Cluster]:
        """See the protocol. Leaving kills every process in the cluster."""
        return _provision(request)

    def leftovers(self) -> Sequence[str]:
        """Empty cgroups; the kernel removes all else of a cluster with its last process."""
        return [str(group) for group in groups.left()]

    def clean(self) -> Sequence[str]:
        """Removes what dead runs left."""
        return groups.clear()


@asynccontextmanager
async def _provision(request: Provision) -> AsyncIterator[Cluster]:
    groups.clear()
    folder = request.folder.resolve()
    homes = [(node, str(folder / node)) for node in request.nodes]
    _make_homes(homes)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            command = agent_command(sys.executable, _HARNESS, "cluster", str(theirs.fileno()))
            wire = await SubprocessWire.start(command, (theirs.fileno(),))
        agent = Agent(wire, ours)
        try:
            await agent.start()
            yield await _build(agent, request, folder, homes)
        finally:
            if request.disks:
                await disks.keep_listing(agent, folder)
            await agent.close()


async def _build(
    agent: Agent, request: Provision, folder: Path, homes: Sequence[tuple[str, str]]
) -> Cluster:
    built = await agent.request("build", nodes=homes)
    table = "quorum_" + re.sub(r"\W", "_", request.run_id)
    network, notes = await prepare_network(
        agent, request.nodes, table, request.firewall, built["hub"]
    )
    if request.disks:
        inside = {node: f"{home}/{disks.DATA}" for node, home in homes}
        notes = (*notes, await disks.mount(agent, folder, str(folder), inside))

    async def spawn(node: str, spec: ServerSpec) -> None:
        await agent.request("spawn", node=node, argv=spec.argv, env=dict(spec.env))

    return NetnsCluster(
        nodes=request.nodes,
        addresses=built["addresses"],
        network=network,
        processes=Processes(agent, request.nodes, spawn),
        clocks=Clocks(agent),
        disks=disks.Disks(agent),
        resources=Resources(agent, groups.owned()),
        notes=notes,
        folder=folder,
        agent=agent,
    )


def _make_homes(homes: Sequence[tuple[str, str]]) -> None:
    try:
        for _, home in homes:
            Path(home).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFailure(f"cannot make a node's home: {error}") from error


def _code() -> str:
    """Where the package of the reference server is: a checkout, or site-packages."""
    spec = importlib.util.find_spec("target")
    for location in (spec and spec.submodule_search_locations) or ():
        return str(Path(location).resolve().parent)
    return _HARNESS


@functools.cache
def _abilities() -> tuple[str | None, Mapping[str, str | None]]:
    """Why there can be no cluster here, or else what can be done to its links."""
    command = agent_command(sys.executable, _HARNESS, "hello")
    try:
        said = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=_PROBE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the agent cannot be started: {error}", {}
    if said.returncode != 0:
        lines = [line for line in said.stderr.splitlines() if line.strip()]
        return lines[-1] if lines else f"the agent ended with status {said.returncode}", {}
    with suppress(ValueError):
        abilities: dict[str, str | None] = json.loads(said.stdout)
        # The servers run as the agent does, which may limit what is its own.
        return None, abilities | {"prlimit": None}
    return "the agent said what cannot be understood", {}
