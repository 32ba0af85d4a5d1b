"""Nodes in a world of their own: virtual time, no privileges, no kernel, the same run again.

The target's server runs in this process, on simulated network, disks and clocks; engine, clients,
faults and checks are the ones that real nodes get. See docs/simulation.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from harness.core.cluster import Cluster, Provision
from harness.core.errors import EnvironmentFailure
from harness.core.simulation import Simulable
from harness.runtime.sim.cluster import SimCluster
from harness.runtime.sim.loop import SimLoop
from harness.runtime.sim.machine import SimMachine
from harness.runtime.sim.network import SimNetwork

__all__ = ["SimCluster", "SimLoop", "SimRuntime"]

CAPABILITIES = frozenset(
    {"partition", "kill", "power", "pause", "clock", "slow", "loss"}
    | {"duplicate", "reorder", "corrupt", "rate", "disk", "reject", "io", "message"}
    | {"membership", "transfer", "snapshot"}
)


class SimRuntime:
    """See :class:`~harness.core.cluster.Runtime`."""

    name = "sim"

    def missing(self) -> str | None:
        """Nothing is ever missing."""
        return None

    def lacks(self, capability: str) -> str | None:
        """None of the faults that every runtime has."""
        if capability in CAPABILITIES:
            return None
        if capability in ("resources", "cpu", "memory", "files"):
            return "a simulated server takes no processor time or memory that could be limited"
        return f"the simulated world does not know how to do {capability!r}"

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """The run goes on in the world's time."""
        return SimLoop()

    def provision(self, request: Provision) -> AbstractAsyncContextManager[Cluster]:
        """See the protocol.

        Raises:
            EnvironmentFailure: on entering, when the target has no simulated server.
        """
        return _provision(request)

    def leftovers(self) -> Sequence[str]:
        """Never anything."""
        return ()

    def clean(self) -> Sequence[str]:
        """Nothing to do."""
        return ()


@asynccontextmanager
async def _provision(request: Provision) -> AsyncIterator[Cluster]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    target = request.target
    if not isinstance(target, Simulable):
        name = getattr(target, "name", "this target")
        raise EnvironmentFailure(
            f"{name} has no simulated server: use --runtime docker or --runtime netns"
        )
    seed = request.seed
    network = SimNetwork(loop, request.nodes, seed)
    machines = {}
    for node in request.nodes:
        home = request.folder / node
        home.mkdir(parents=True, exist_ok=True)
        machines[node] = SimMachine(loop, network, target, node, request.nodes, home, seed)
    cluster = SimCluster(request.nodes, loop, network, machines, request.folder)
    try:
        yield cluster
    finally:
        for machine in machines.values():
            machine.stop()
