"""Servers that get less processor time, memory or descriptors, as they and the kernel see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from harness.core.cluster import HasResources, Hits, Limit, ResourceControl
from tests.conformance.conftest import World, until
from tests.conftest import unavailable

pytestmark = pytest.mark.kernel


@pytest.fixture
def resources(world: World) -> Iterator[ResourceControl]:
    if world.lacks_limits:
        unavailable(world.lacks_limits)
    assert isinstance(world.cluster, HasResources)
    made = world.cluster.resources
    yield made
    world.run(made.limit("n1", Limit()))


def test_processor_time(world: World, resources: ResourceControl) -> None:
    async def body() -> None:
        free = int(await world.ask("n1", "spin 40"))
        await resources.limit("n1", Limit(cpu=0.05))
        # 40 ms of work, 5 ms of it in each tenth of a second.
        assert int(await world.ask("n1", "spin 40", 30)) >= 500
        assert (await resources.hits("n1")).throttled >= 4
        assert await resources.hits("n2") == Hits()
        await resources.limit("n1", Limit())
        assert await resources.hits("n1") == Hits()
        assert free >= 40

    world.run(body())


def test_memory(world: World, resources: ResourceControl) -> None:
    async def body() -> None:
        assert await world.ask("n1", "hoard 1") == "done"
        await resources.limit("n1", Limit(memory=1 << 20))

        async def refused() -> bool:
            # The kernel may end who cannot be helped.
            with suppress(OSError, TimeoutError):
                await world.ask("n1", "hoard 4", 2.0)
            return (await resources.hits("n1")).refused > 0

        await until(refused)
        await resources.limit("n1", Limit())
        await world.cluster.processes.kill("n1")
        await world.cluster.processes.start("n1")
        await world.serving("n1")
        assert await world.ask("n1", "hoard 8") == "done"

    world.run(body())


def test_descriptors(world: World, resources: ResourceControl) -> None:
    async def body() -> None:
        # The connection of the question itself is one; it is closed when the next one comes.
        assert await world.ask("n1", "open") == "done"
        await resources.limit("n1", Limit(files=True))
        assert (await resources.hits("n1")).exhausted >= 1
        await resources.limit("n1", Limit())
        assert await world.ask("n1", "open") == "done"

    world.run(body())
