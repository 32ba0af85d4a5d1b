"""A cluster of simulated machines: the protocols of :mod:`harness.core.protocols`, no kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from harness.core.cluster import ClockSkew, DiskCounts, DiskTrouble, Place, ProcessState, ServerSpec
from harness.runtime.sim.exchange import Exchange
from harness.runtime.sim.loop import SimLoop
from harness.runtime.sim.machine import SimMachine
from harness.runtime.sim.network import LATENCY_NS, SimNetwork

SIGNAL_S = 0.002
"""What a signal takes to arrive and to be seen in /proc."""


@dataclass(frozen=True, slots=True)
class SimProcesses:
    """See :class:`harness.core.cluster.ProcessControl`."""

    machines: Mapping[str, SimMachine]

    async def launch(self, node: str, spec: ServerSpec) -> None:  # noqa: ARG002
        """See the protocol. The command is not looked at: the target brings its server itself."""
        await self.start(node)

    async def start(self, node: str) -> None:
        """See the protocol."""
        await asyncio.sleep(SIGNAL_S)
        self.machines[node].start()

    async def kill(self, node: str) -> None:
        """See the protocol. The disk keeps what was written: its machine did not crash."""
        await asyncio.sleep(SIGNAL_S)
        self.machines[node].kill()

    async def power_off(self, node: str) -> int:
        """See :class:`harness.core.cluster.PowerControl`."""
        await asyncio.sleep(SIGNAL_S)
        return self.machines[node].kill(power=True)

    async def wipe(self, node: str, keep: Collection[str]) -> int:  # noqa: ARG002
        """See :class:`harness.core.cluster.WipesData`. Only what is on the disk is the node's."""
        machine = self.machines[node]
        assert machine.state == "gone"
        return machine.disk.wipe()

    async def stop(self, node: str, timeout_s: float = 5.0) -> bool:
        """See the protocol. Who stands still does not hear the signal."""
        machine = self.machines[node]
        await asyncio.sleep(SIGNAL_S if machine.state != "stopped" else timeout_s)
        heard = machine.state != "stopped"
        machine.stop()
        return heard

    async def pause(self, node: str) -> None:
        """See the protocol."""
        await asyncio.sleep(SIGNAL_S)
        self.machines[node].pause()

    async def resume(self, node: str) -> None:
        """See the protocol."""
        await asyncio.sleep(SIGNAL_S)
        self.machines[node].resume()

    async def state(self, node: str) -> ProcessState:
        """See the protocol."""
        return self.machines[node].process()


@dataclass(frozen=True, slots=True)
class SimClocks:
    """See :class:`harness.core.cluster.ClockControl`."""

    machines: Mapping[str, SimMachine]

    async def skew(self, node: str, skew: ClockSkew) -> None:
        """See the protocol."""
        await asyncio.sleep(SIGNAL_S)
        self.machines[node].resteer(skew)


@dataclass(frozen=True, slots=True)
class SimDisks:
    """See :class:`harness.core.cluster.DiskControl`."""

    machines: Mapping[str, SimMachine]

    async def trouble(self, node: str, trouble: DiskTrouble) -> None:
        """See the protocol."""
        self.machines[node].disk.trouble = trouble

    async def counts(self, node: str) -> DiskCounts:
        """See the protocol."""
        return self.machines[node].disk.counts

    async def damage(self, node: str, how: str) -> str | None:
        """See the protocol."""
        machine = self.machines[node]
        assert machine.state == "gone"
        return machine.disk.damage(how)

    async def repair(self, node: str) -> None:
        """See the protocol."""
        self.machines[node].disk.repair()


@dataclass(slots=True)
class SimCluster:
    """See :class:`harness.core.cluster.Cluster` and
    :class:`harness.core.simulation.Exchanges`."""

    nodes: tuple[str, ...]
    loop: SimLoop
    network: SimNetwork
    machines: Mapping[str, SimMachine]
    folder: Path
    notes: tuple[str, ...] = ()
    runtime: str = "sim"
    addresses: Mapping[str, str] = field(init=False)
    processes: SimProcesses = field(init=False)
    clocks: SimClocks = field(init=False)
    disks: SimDisks = field(init=False)

    def __post_init__(self) -> None:
        self.addresses = {node: node for node in self.nodes}
        self.processes = SimProcesses(self.machines)
        self.clocks = SimClocks(self.machines)
        self.disks = SimDisks(self.machines)

    def place(self, node: str) -> Place:
        """The node in its own view."""
        return Place(node, self.addresses, "simulated", "simulated", str(self.home(node)))

    def home(self, node: str) -> Path:
        """Its log and its trace are real files."""
        return self.folder / node

    async def dial(self, node: str, port: int, timeout_s: float) -> NoReturn:  # noqa: ARG002
        """There are no sockets here: see :meth:`exchange`.

        Raises:
            OSError: always.
        """
        raise OSError("a simulated cluster has no sockets")

    async def exchange(
        self, node: str, method: str, path: str, body: bytes, timeout_s: float
    ) -> tuple[int, Mapping[str, object]]:
        """See :class:`harness.core.simulation.Exchanges`."""
        machine = self.machines[node]
        if node in self.network.unheard:
            self.network.unheard_of[node] = self.network.unheard_of.get(node, 0) + 1
            if self.network.unheard[node]:
                await asyncio.sleep(2 * LATENCY_NS / 1e9)
                raise ConnectionResetError("connection reset")
            await asyncio.sleep(timeout_s)
            raise TimeoutError
        if not machine.listening():
            await asyncio.sleep(2 * LATENCY_NS / 1e9)
            raise ConnectionRefusedError("connection refused")
        done: asyncio.Future[tuple[int, Mapping[str, object]]] = self.loop.create_future()
        under_way = Exchange(self.loop.agenda, machine, done)
        under_way.begin(method, path, body, round(timeout_s * 1e9))
        status, data = await done
        if status == 0:
            raise ConnectionResetError("connection reset")
        return status, data
