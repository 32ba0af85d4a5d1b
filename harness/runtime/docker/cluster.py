"""A cluster of containers: built side by side, removed whatever happens."""

from __future__ import annotations

import asyncio
import os
import socket
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.cluster import (
    ClockControl,
    DiskControl,
    NetworkControl,
    Place,
    ProcessControl,
    Provision,
    ResourceControl,
    ServerSpec,
)
from harness.core.errors import EnvironmentFailure, UsageError
from harness.runtime import disks, ledger
from harness.runtime.docker import gate, images, subnets
from harness.runtime.docker.attached import HOMES, AttachedWire, agent_container
from harness.runtime.docker.calls import Calls, complete, together
from harness.runtime.docker.engine import ContainerSpec, Engine, EngineFailure
from harness.runtime.docker.hostbase import PYTHON
from harness.runtime.docker.owner import RUN, Owner, labels
from harness.runtime.hands import Clocks, Processes, Resources, prepare_network
from harness.runtime.ledger import Entry
from harness.runtime.wire import Agent

LOOPBACK = "127.0.0.1"
HOME = "/node"
"""A node's home as its server sees it."""

_GATE_S = 10.0
_OVERLAP = 403
_REMOVAL_TRIES = 20


@dataclass(slots=True)
class DockerCluster:
    """See :class:`~harness.core.cluster.Cluster`."""

    runtime: str
    nodes: tuple[str, ...]
    addresses: Mapping[str, str]
    network: NetworkControl
    processes: ProcessControl
    clocks: ClockControl
    disks: DiskControl
    resources: ResourceControl
    notes: tuple[str, ...]
    folder: Path
    gates: Mapping[str, int]
    """Node → the port of this host that leads into it; empty where its address can be reached."""

    def place(self, node: str) -> Place:
        """See the protocol."""
        return Place(node, self.addresses, PYTHON, images.CODE, HOME)

    def home(self, node: str) -> Path:
        """See the protocol."""
        return self.folder / node

    async def dial(
        self, node: str, port: int, timeout_s: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """See the protocol."""
        async with asyncio.timeout(timeout_s):
            if node in self.gates:
                return await gate.dial(LOOPBACK, self.gates[node], port)
            return await asyncio.open_connection(self.addresses[node], port)


def table_name(run_id: str) -> str:
    """The run's firewall table on the engine's host."""
    return f"harness_{run_id.replace('-', '_')}"


def bridge_name(run_id: str) -> str:
    """The run's bridge on the engine's host; the kernel takes at most 15 characters."""
    name = f"qh-{run_id}"
    return name if len(name) <= 15 else f"qh-{zlib.crc32(run_id.encode()):08x}"


@dataclass(slots=True)
class Builder:
    """One cluster's making and end. What it makes carries the run's label, by which it ends."""

    engine: Engine
    request: Provision
    image: str
    user: str
    notes: list[str]
    publish: bool = False
    """Are the nodes' addresses out of our reach, so that clients need published ports?"""
    calls: Calls = field(default_factory=Calls)
    owner: Owner = field(default_factory=Owner.here)
    agent: Agent | None = None
    machines: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Node → its address, and its first process by the engine's host's number."""
    containers: dict[str, str] = field(default_factory=dict)
    gateway: str = ""
    """The host's address in the nodes' network, from which clients come."""
    lifelines: list[socket.socket] = field(default_factory=list)
    gates: dict[str, int] = field(default_factory=dict)

    def name(self, what: str) -> str:
        """The name of one of this run's things."""
        return f"harness-{self.request.run_id}-{what}"

    def labels(self, role: str, node: str = "") -> dict[str, str]:
        """The labels of one of this run's things."""
        return labels(self.request.run_id, self.owner, role, node)

    async def build(self) -> DockerCluster:
        """The cluster.

        Raises:
            EnvironmentFailure: it cannot be had; call :meth:`end` all the same.
        """
        request = self.request
        for node in request.nodes:
            (request.folder / node).mkdir(parents=True, exist_ok=True)
        ledger.write(self._effects())
        await together(self._start_agent(), self._start_nodes())
        agent = self.agent
        assert agent is not None
        for node, (address, init) in self.machines.items():
            home = f"{HOMES}/{node}"
            await agent.request("register", node=node, init=init, address=address, home=home)
        network, picked = await prepare_network(
            agent, request.nodes, table_name(request.run_id), request.firewall, self.gateway
        )
        if request.disks:
            inside = dict.fromkeys(request.nodes, f"{HOME}/{disks.DATA}")
            picked = (*picked, await disks.mount(agent, request.folder, HOMES, inside))
        return DockerCluster(
            runtime="docker",
            nodes=request.nodes,
            addresses={node: address for node, (address, _) in self.machines.items()},
            network=network,
            processes=Processes(agent, request.nodes, self._spawn),
            clocks=Clocks(agent),
            disks=disks.Disks(agent),
            resources=Resources(agent, request.run_id),
            notes=(*self.notes, *picked),
            folder=request.folder,
            gates=self.gates,
        )

    def _effects(self) -> Entry:
        """All that is going to be made, by its name."""
        run_id = self.request.run_id
        return Entry(
            run_id,
            self.owner.label,
            self.engine.where,
            {
                "container": [self.name(what) for what in ("agent", *self.request.nodes)],
                "network": [self.name("net"), bridge_name(run_id)],
                "firewall table": [table_name(run_id)],
            },
        )

    async def end(self) -> list[str]:
        """Removes everything; returns what could not be removed, in words. Never raises."""
        await self.calls.settle()
        if self.agent is not None:
            if self.request.disks:
                await disks.keep_listing(self.agent, self.request.folder)
            await self.agent.close()
        for lifeline in self.lifelines:
            lifeline.close()
        mine = f"{RUN}={self.request.run_id}"
        trouble: list[str] = []
        try:
            found = await self.calls(self.engine.containers, mine)
            ends = [self.calls(self.engine.remove, container.id) for container in found]
            trouble += [
                str(error)
                for error in await asyncio.gather(*ends, return_exceptions=True)
                if error is not None
            ]
            for network in await self.calls(self.engine.networks, mine):
                await self._remove_network(network.id)
        except EngineFailure as error:
            trouble.append(str(error))
        if not trouble:
            ledger.forget(self.request.run_id)
        return trouble

    async def _start_agent(self) -> None:
        spec = agent_container(
            self.name("agent"),
            self.image,
            self.labels("agent"),
            homes=str(self.request.folder.resolve()),
            disks=self.request.disks,
        )
        container = await self.calls(self.engine.create, spec)
        self.agent = Agent(AttachedWire(await self._hold(container)))
        await self.calls(self.engine.start, container)
        await self.agent.start()

    async def _start_nodes(self) -> None:
        addresses = await self._make_network()
        inits = await together(*(self._start_node(*item) for item in addresses.items()))
        for (node, address), init in zip(addresses.items(), inits, strict=True):
            self.machines[node] = address, init

    async def _make_network(self) -> Mapping[str, str]:
        run_id = self.request.run_id
        if len(self.request.nodes) > subnets.MAX_NODES:
            raise UsageError(f"at most {subnets.MAX_NODES} nodes fit into a network")
        taken = [*await self.calls(self.engine.subnets), *subnets.host_routes()]
        refused = "every candidate is in use"
        for subnet in subnets.candidates(run_id, taken):
            try:
                await self.calls(
                    self.engine.create_network,
                    self.name("net"),
                    subnet,
                    subnets.gateway(subnet),
                    bridge_name(run_id),
                    self.labels("network"),
                )
            except EngineFailure as error:
                if error.status != _OVERLAP:
                    raise
                # Somebody took it since we looked.
                refused = str(error)
                continue
            self.gateway = subnets.gateway(subnet)
            return subnets.addresses(subnet, self.request.nodes)
        raise EnvironmentFailure(f"no subnet is free for the nodes: {refused}")

    async def _start_node(self, node: str, address: str) -> int:
        # A single process that only waits: the node's server comes and goes beside it. It ends
        # with its standard input, which is ours: no node outlives the harness, however that dies,
        # and with the first process of a container the kernel kills all others. Neither it nor
        # the server needs a capability.
        spec = ContainerSpec(
            name=self.name(node),
            image=self.image,
            command=(PYTHON, "-I", "-S", f"{images.CODE}/{images.GATE}", address)
            if self.publish
            else ("cat",),
            labels=self.labels("node", node),
            hostname=node,
            user=self.user,
            mounts=((str((self.request.folder / node).resolve()), HOME),),
            network=self.name("net"),
            address=address,
            publish=(gate.PORT,) if self.publish else (),
            security=("no-new-privileges", "label=disable"),
            stdin=True,
        )
        container = await self.calls(self.engine.create, spec)
        self.containers[node] = container
        await self._hold(container)
        await self.calls(self.engine.start, container)
        if self.publish:
            port = await self.calls(self.engine.published, container, gate.PORT)
            try:
                await gate.await_open(LOOPBACK, port, _GATE_S)
            except TimeoutError:
                raise EnvironmentFailure(
                    f"port {port}, published for {node}, leads nowhere"
                ) from None
            self.gates[node] = port
        return await self.calls(self.engine.pid, container)

    async def _hold(self, container: str) -> socket.socket:
        def attach() -> socket.socket:
            # Noted in the thread: the connection is made even when nobody waits for it any more.
            self.lifelines.append(self.engine.attach(container))
            return self.lifelines[-1]

        return await self.calls(attach)

    async def _spawn(self, node: str, spec: ServerSpec) -> None:
        await self.calls(
            self.engine.execute,
            self.containers[node],
            ("sh", "-c", 'exec "$@" >>log.txt 2>&1 </dev/null', "sh", *spec.argv),
            env={"HOME": HOME, "LANG": "C.UTF-8", **spec.env},
            user=self.user,
            workdir=HOME,
        )

    async def _remove_network(self, network: str) -> None:
        # The engine lets go of a removed container's endpoint a moment later.
        for _ in range(_REMOVAL_TRIES):
            try:
                await self.calls(self.engine.remove_network, network)
            except EngineFailure as error:
                if error.status == 404:
                    return
                last = error
                await asyncio.sleep(0.05)
            else:
                return
        raise last


@asynccontextmanager
async def provisioned(builder: Builder) -> AsyncIterator[DockerCluster]:
    """The cluster while the block runs; every trace of it is removed afterwards.

    Raises:
        EnvironmentFailure: it cannot be built, or something was left behind.
    """
    try:
        yield await builder.build()
    except BaseException as error:
        for words in await complete(builder.end()):
            error.add_note(f"left behind: {words}")
        raise
    trouble = await complete(builder.end())
    if trouble:
        raise EnvironmentFailure(f"left behind: {'; '.join(trouble)} (run `harness clean`)")


def node_user(rootless: bool) -> str:
    """Whom the servers run as, so that their files can be removed by who runs the harness.

    Empty for the image's own (root): as root, and where the engine's root is this user already.
    """
    if rootless or not hasattr(os, "getuid") or os.getuid() == 0:
        return ""
    return f"{os.getuid()}:{os.getgid()}"
