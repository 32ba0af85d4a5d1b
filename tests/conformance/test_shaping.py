"""Delay, jitter and loss on directed links, as measured from inside the nodes.

Bounds below are hard (a packet cannot come early), those above wide: the machine may be busy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from harness.core.cluster import Link, LinkBehaviour
from harness.core.units import MILLISECOND
from tests.conformance.conftest import World
from tests.conftest import unavailable

THERE: Link = ("n1", "n2")
BACK: Link = ("n2", "n1")
ELSEWHERE: Link = ("n1", "n3")
SLOW = LinkBehaviour(delay_ns=50 * MILLISECOND)


@pytest.fixture(autouse=True)
def shaper(world: World) -> Iterator[None]:
    if not world.cluster.network.shaper:
        unavailable("nothing here can shape links")
    yield


async def best(world: World, link: Link, tries: int = 5) -> float:
    """The fastest of some round trips, in milliseconds."""
    times = [await world.cluster.network.round_trip(link) for _ in range(tries)]
    return min(took for took in times if took is not None) / MILLISECOND


def test_a_delay_is_of_its_direction(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        assert await best(world, THERE) < 20
        await network.shape("a", {THERE: SLOW})
        assert 50 <= await best(world, THERE) < 90
        await network.shape("a", {THERE: SLOW, BACK: SLOW})
        assert 100 <= await best(world, THERE) < 150
        assert 100 <= await best(world, BACK) < 150
        assert await best(world, ELSEWHERE) < 20
        delayed, lost = (await network.shaped())[THERE]
        assert delayed >= 15
        assert lost == 0
        await network.shape("a", {})
        assert await best(world, THERE) < 20
        assert (await network.shaped())[THERE][0] >= delayed

    world.run(body())


def test_clients_are_never_delayed(world: World) -> None:
    async def body() -> None:
        everywhere = {
            (a, b): LinkBehaviour(300 * MILLISECOND, 0, 0.5)
            for a in world.cluster.nodes
            for b in world.cluster.nodes
            if a != b
        }
        await world.cluster.network.shape("a", everywhere)
        times = []
        for _ in range(10):
            began = time.monotonic()
            assert await world.ask("n1", "echo quick") == "quick"
            times.append(time.monotonic() - began)
        assert min(times) < 0.1
        assert max(times) < 0.3

    world.run(body())


def test_jitter_spreads_within_its_range(world: World) -> None:
    async def body() -> None:
        spread = LinkBehaviour(40 * MILLISECOND, 30 * MILLISECOND)
        await world.cluster.network.shape("a", {THERE: spread})
        trips = [world.cluster.network.round_trip(THERE) for _ in range(40)]
        times = [took / MILLISECOND for took in await asyncio.gather(*trips) if took is not None]
        assert len(times) == 40
        assert min(times) >= 10
        # That all of 40 fall into half of the range happens once in 10^10 times.
        assert max(times) - min(times) > 30
        assert sorted(times)[20] < 100

    world.run(body())


def test_loss_is_a_proportion_and_counted(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        before = (await network.shaped()).get(THERE, (0, 0))[1]
        await network.shape("a", {THERE: LinkBehaviour(loss=0.5)})
        trips = [network.round_trip(THERE, 1.0) for _ in range(60)]
        missing = (await asyncio.gather(*trips)).count(None)
        # Six standard deviations: once in 10^9 times by chance.
        assert 7 <= missing <= 53
        assert (await network.shaped())[THERE][1] - before == missing
        await network.shape("a", {THERE: LinkBehaviour(loss=1.0)})
        assert await world.closed(THERE)
        assert await world.open(BACK, ELSEWHERE)
        await network.shape("a", {})
        assert await world.open(THERE)

    world.run(body())


def test_owners_add_up(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        await network.shape("a", {THERE: LinkBehaviour(20 * MILLISECOND)})
        await network.shape("b", {THERE: LinkBehaviour(30 * MILLISECOND)})
        assert 50 <= await best(world, THERE) < 90
        await network.shape("a", {})
        assert 30 <= await best(world, THERE) < 50
        await network.shape("b", {})
        assert await best(world, THERE) < 20

    world.run(body())


def test_a_delay_does_not_throttle_a_connection(world: World) -> None:
    """Messages sent one by one come one by one, only later: not one for each round trip."""

    async def body() -> None:
        slow = LinkBehaviour(100 * MILLISECOND)
        await world.cluster.network.shape("a", {THERE: slow, BACK: slow})
        took = await world.ask("n1", f"spread {world.cluster.addresses['n2']} 8", 20)
        # 8 messages, 1 ms apart: less than a congestion window.
        assert int(took) / 1000 < 90

    world.run(body())


def test_shaping_and_cutting_do_not_mind_each_other(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        await network.shape("a", {THERE: SLOW})
        await network.cut("a", {"n2": frozenset({"n1"})})
        assert await world.closed(THERE)
        assert await world.open(BACK)
        await network.cut("a", {})
        assert 50 <= await best(world, THERE) < 90

    world.run(body())
