"""One suite, every runtime: a cluster for each variant, kept over its tests and healed after each.

A runtime joins by a line in :data:`REAL`; it is imported only when its turn comes. The simulation
takes part in all but the tests that are marked ``kernel``: what they ask for it does not have.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import secrets
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from harness.core.cluster import Cluster, Link, Provision, Runtime, ServerSpec
from harness.core.protocols import Target
from harness.core.simulation import BringsLoop, Exchanges
from tests.conformance.echo_server import PORT
from tests.conformance.sim_echo import SimEcho
from tests.conftest import unavailable

SERVER = Path(__file__).with_name("echo_server.py").read_text()
NODES = ("n1", "n2", "n3")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Variant:
    """A runtime by module and class, and what is to do the cutting."""

    name: str
    module: str
    runtime: str
    firewall: str

    def make(self) -> Runtime:
        return cast(Runtime, getattr(importlib.import_module(self.module), self.runtime)())


def _variants(name: str, module: str, runtime: str) -> list[Any]:
    return [
        pytest.param(
            Variant(name, module, runtime, firewall),
            id=f"{name}-{firewall}",
            marks=getattr(pytest.mark, name),
        )
        for firewall in ("nft", "iptables")
    ]


REAL = [
    *_variants("netns", "harness.runtime.netns", "NetnsRuntime"),
    *_variants("docker", "harness.runtime.docker", "DockerRuntime"),
]
SIMULATED = [
    pytest.param(Variant("sim", "harness.runtime.sim", "SimRuntime", "simulated"), id="sim")
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A cluster of each variant that can be asked for what the test asks for."""
    if "built" in metafunc.fixturenames:
        real = metafunc.definition.get_closest_marker("kernel") is not None
        variants = REAL if real else [*SIMULATED, *REAL]
        metafunc.parametrize("built", variants, indirect=True, scope="package")


@dataclass(slots=True)
class World:
    """A cluster whose nodes run the echo server, and the loop that it lives on."""

    cluster: Cluster
    runner: asyncio.Runner
    lacks_disks: str | None = None
    lacks_limits: str | None = None

    def run(self, body: Coroutine[Any, Any, T], limit_s: float = 60.0) -> T:
        """The test's body, with a bound on its time."""

        async def bounded() -> T:
            async with asyncio.timeout(limit_s):
                return await body

        return self.runner.run(bounded())

    async def ask(self, node: str, words: str, timeout_s: float = 5.0) -> str:
        """A client's request over a connection of its own; OSError when there is no answer."""
        if isinstance(self.cluster, Exchanges):
            _, data = await self.cluster.exchange(node, "ASK", "", words.encode(), timeout_s)
            return str(data["answer"])
        async with asyncio.timeout(timeout_s):
            reader, writer = await self.cluster.dial(node, PORT, timeout_s)
            try:
                writer.write(words.encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
        if not line:
            raise ConnectionResetError(f"{node} hung up")
        return line.decode().strip()

    async def ask_peer(self, source: str, to: str) -> str:
        """What ``source`` gets from the server of ``to`` over TCP."""
        return await self.ask(source, f"dial {self.cluster.addresses[to]}")

    async def serving(self, *nodes: str) -> None:
        """Until the servers answer clients."""
        for node in nodes or self.cluster.nodes:
            await until(functools.partial(self._answers, node))

    async def _answers(self, node: str) -> bool:
        try:
            return await self.ask(node, "echo up", 1.0) == "up"
        except OSError:
            return False

    async def open(self, *links: Link) -> bool:
        """Do datagrams get through on all of them?"""
        return all((await self.cluster.network.probe(links, 1.0)).values())

    async def closed(self, *links: Link) -> bool:
        """Do they get through on none of them?"""
        return not any((await self.cluster.network.probe(links, 0.15)).values())

    async def heal(self, *owners: str) -> None:
        """Withdraws what the tests name their wishes by, and every node serves again."""
        for owner in owners:
            await self.cluster.network.cut(owner, {})
            await self.cluster.network.shape(owner, {})
        for node in self.cluster.nodes:
            await self.cluster.processes.resume(node)
            await self.cluster.processes.start(node)
        await self.serving()


async def until(reached: Callable[[], Coroutine[Any, Any, bool]], limit_s: float = 15.0) -> None:
    """Asks again until it is so; fails after the limit."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while not await reached():
        assert loop.time() < deadline, f"not within {limit_s} s"
        await asyncio.sleep(0.005)


@pytest.fixture(scope="package")
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A cluster of three nodes, their servers launched."""
    variant: Variant = request.param
    runtime = variant.make()
    missing = runtime.missing() or runtime.lacks("partition")
    if missing:
        unavailable(f"{variant.name}: {missing}")
    folder = tmp_path_factory.mktemp(f"{variant.name}-{variant.firewall}")
    own = runtime.new_loop if isinstance(runtime, BringsLoop) else None
    target = None if own is None else cast(Target, SimEcho())
    without = runtime.lacks("disk")
    provision = Provision(
        secrets.token_hex(4), NODES, folder, variant.firewall, target, disks=without is None
    )
    with asyncio.Runner(loop_factory=own) as runner:
        context = runtime.provision(provision)
        cluster = runner.run(context.__aenter__())
        try:
            world = World(cluster, runner, without, runtime.lacks("resources"))
            world.run(_launch(world))
            yield world
        finally:
            runner.run(context.__aexit__(None, None, None))


async def _launch(world: World) -> None:
    for node in NODES:
        place = world.cluster.place(node)
        await world.cluster.processes.launch(node, ServerSpec((place.python, "-c", SERVER)))
    await world.serving()


@pytest.fixture
def world(built: World) -> Iterator[World]:
    """The variant's cluster; whatever the test did to it is healed afterwards."""
    yield built
    built.run(built.heal("a", "b"))
