"""Real server processes on loopback addresses, as a cluster that the adapter can talk to.

Nodes have addresses of 127.0.0.0/8, so that all use the usual ports. Only what the adapter's tests
need is here: processes and dialling.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.core.cluster import (
    ClockControl,
    NetworkControl,
    Place,
    ProcessControl,
    ProcessState,
    ServerSpec,
)
from harness.core.protocols import TargetOptions
from target.adapters.raft import RaftTarget

ROOT = Path(__file__).parents[3]
_numbers = itertools.count()


class Processes:
    """Server processes of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._specs: dict[str, ServerSpec] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._starts: dict[str, int] = {}

    async def launch(self, node: str, spec: ServerSpec) -> None:
        self._specs[node] = spec
        (self._folder / node).mkdir(parents=True, exist_ok=True)
        await self.start(node)

    async def start(self, node: str) -> None:
        if (await self.state(node)).state != "gone":
            return
        spec = self._specs[node]
        with (self._folder / node / "log.txt").open("ab") as log:
            self._running[node] = await asyncio.create_subprocess_exec(
                *spec.argv, env={**os.environ, **spec.env}, stdout=log, stderr=log
            )
        self._starts[node] = self._starts.get(node, 0) + 1

    async def kill(self, node: str) -> None:
        await self._end(node, signal.SIGKILL)

    async def stop(self, node: str, timeout_s: float = 5.0) -> bool:
        async with asyncio.timeout(timeout_s):
            await self._end(node, signal.SIGTERM)
        return True

    async def _end(self, node: str, number: signal.Signals) -> None:
        process = self._running[node]
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        await process.wait()

    async def pause(self, node: str) -> None:
        self._running[node].send_signal(signal.SIGSTOP)

    async def resume(self, node: str) -> None:
        self._running[node].send_signal(signal.SIGCONT)

    async def state(self, node: str) -> ProcessState:
        process = self._running.get(node)
        if process is None or process.returncode is not None:
            return ProcessState("gone", None, self._starts.get(node, 0))
        return ProcessState("running", process.pid, self._starts[node])


class Loopback:
    """See the module's text. Implements the parts of ``Cluster`` that targets use."""

    runtime = "loopback"
    network: NetworkControl
    clocks: ClockControl
    notes: tuple[str, ...] = ()

    def __init__(self, folder: Path, nodes: Sequence[str]) -> None:
        # A third and second byte of one's own, so that test runs side by side do not meet.
        high, low = 16 + os.getpid() % 200, 1 + (os.getpid() // 200 + next(_numbers) * 37) % 250
        self.folder = folder
        self.nodes = tuple(nodes)
        self.addresses: Mapping[str, str] = {
            node: f"127.{high}.{low}.{place}" for place, node in enumerate(self.nodes, 1)
        }
        self.processes: ProcessControl = Processes(folder)

    def place(self, node: str) -> Place:
        home = str(self.home(node))
        return Place(node, self.addresses, sys.executable, str(ROOT), home)

    def home(self, node: str) -> Path:
        return self.folder / node

    async def dial(
        self, node: str, port: int, timeout_s: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(timeout_s):
            return await asyncio.open_connection(self.addresses[node], port)


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    count: int = 3,
    options: TargetOptions | None = None,
    snapshot_entries: int | None = None,
) -> AsyncIterator[tuple[Loopback, RaftTarget]]:
    """A cluster that serves; its processes are gone afterwards."""
    cluster = Loopback(folder, [f"n{number}" for number in range(1, count + 1)])
    target = RaftTarget(options or TargetOptions())
    try:
        for node in cluster.nodes:
            spec = target.server(cluster.place(node))
            if snapshot_entries is not None:
                argv = (*spec.argv, "--snapshot-entries", str(snapshot_entries))
                spec = replace(spec, argv=argv)
            await cluster.processes.launch(node, spec)
        await target.await_ready(cluster, 20.0)
        yield cluster, target
    finally:
        for node in cluster.nodes:
            if (await cluster.processes.state(node)).state != "gone":
                await cluster.processes.kill(node)
