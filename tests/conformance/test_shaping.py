"""What directed links do to packets, as measured from inside the nodes.

Bounds below are hard (a packet cannot come early), those above wide: the machine may be busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from harness.core.cluster import Link, LinkBehaviour, LinkCounts
from harness.core.units import MILLISECOND
from tests.conformance.conftest import World, until
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
        counts = (await network.shaped())[THERE]
        assert counts.delayed >= 15
        assert counts.lost == 0
        await network.shape("a", {})
        assert await best(world, THERE) < 20
        assert (await network.shaped())[THERE].delayed >= counts.delayed

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
        clock = asyncio.get_running_loop()
        for _ in range(10):
            began = clock.time()
            assert await world.ask("n1", "echo quick") == "quick"
            times.append(clock.time() - began)
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
        before = (await network.shaped()).get(THERE, LinkCounts()).lost
        await network.shape("a", {THERE: LinkBehaviour(loss=0.5)})
        trips = [network.round_trip(THERE, 1.0) for _ in range(60)]
        missing = (await asyncio.gather(*trips)).count(None)
        # Six standard deviations: once in 10^9 times by chance.
        assert 7 <= missing <= 53
        assert (await network.shaped())[THERE].lost - before == missing
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


async def counts(world: World, link: Link) -> LinkCounts:
    return (await world.cluster.network.shaped()).get(link, LinkCounts())


def test_copies_are_counted(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        before = await counts(world, THERE)
        await network.shape("a", {THERE: LinkBehaviour(duplicate=1.0, late_ns=MILLISECOND)})
        for _ in range(10):
            assert await network.round_trip(THERE) is not None
        after = await counts(world, THERE)
        # And whatever else is on its way.
        assert after.duplicated - before.duplicated >= 10
        await network.shape("a", {})
        assert await world.open(THERE)
        assert (await counts(world, THERE)).duplicated == after.duplicated

    world.run(body())


@pytest.mark.kernel
def test_copies_arrive(world: World) -> None:
    async def body() -> None:
        addresses = world.cluster.addresses
        before = int(await world.ask("n2", f"heard {addresses['n1']}"))
        shape = {THERE: LinkBehaviour(duplicate=1.0, late_ns=MILLISECOND)}
        await world.cluster.network.shape("a", shape)
        await world.ask("n1", f"flood {addresses['n2']} 30")

        async def twice() -> bool:
            return int(await world.ask("n2", f"heard {addresses['n1']}")) == before + 60

        await until(twice)
        # A connection does not mind.
        assert await world.ask_peer("n1", "n2") == "hello"

    world.run(body())


def test_some_packets_come_late(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        before = await counts(world, THERE)
        late = LinkBehaviour(reorder=0.5, late_ns=200 * MILLISECOND)
        await network.shape("a", {THERE: late})
        trips = await asyncio.gather(*(network.round_trip(THERE, 10.0) for _ in range(60)))
        times = sorted(took / MILLISECOND for took in trips if took is not None)
        reordered = (await counts(world, THERE)).reordered - before.reordered
        # Six standard deviations.
        assert 7 <= reordered <= 53
        # Late ones are 200 ms late on average: that none of seven is 60 ms late happens once in
        # 10^4 times, and there are some thirty.
        assert times[0] < 60 < times[-1]

    world.run(body())


def test_corrupted_packets_do_not_arrive(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        before = await counts(world, THERE)
        await network.shape("a", {THERE: LinkBehaviour(corrupt=1.0)})
        assert await world.closed(THERE)
        assert await world.open(BACK, ELSEWHERE)
        assert (await counts(world, THERE)).corrupted > before.corrupted
        await network.shape("a", {})
        assert await world.open(THERE)

    world.run(body())


@pytest.mark.kernel
def test_the_receivers_kernel_finds_flipped_bits(world: World) -> None:
    async def body() -> None:
        async def errors(protocol: str) -> int:
            return int(await world.ask("n2", f"snmp {protocol} InCsumErrors"))

        address = world.cluster.addresses["n2"]
        await world.cluster.network.shape("a", {THERE: LinkBehaviour(corrupt=1.0)})
        before = await errors("Udp"), await errors("Tcp")
        await world.ask("n1", f"flood {address} 40")
        assert await world.ask_peer("n1", "n2") == "TimeoutError"
        # A flip in a port or a length finds another end; in a checksum it makes none of zero.
        assert await errors("Udp") > before[0] + 10
        assert await errors("Tcp") > before[1]
        await world.cluster.network.shape("a", {})
        assert await world.ask_peer("n1", "n2") == "hello"

    world.run(body())


@pytest.mark.kernel
def test_a_rate_is_a_rate_and_its_queue_has_an_end(world: World) -> None:
    async def body() -> None:
        network, address = world.cluster.network, world.cluster.addresses["n2"]
        before = await counts(world, THERE)
        heard = int(await world.ask("n2", f"heard {world.cluster.addresses['n1']}"))
        await network.shape("a", {THERE: LinkBehaviour(bytes_per_s=10_000)})
        began = asyncio.get_running_loop().time()
        await world.ask("n1", f"flood {address} 100")

        async def all_heard() -> bool:
            return int(await world.ask("n2", f"heard {world.cluster.addresses['n1']}")) > heard + 99

        await until(all_heard)
        # 33 bytes each with their headers.
        assert asyncio.get_running_loop().time() - began > 0.3
        assert (await counts(world, THERE)).limited - before.limited >= 100
        # Half a second's worth is some 150 of them; what comes then is dropped.
        await world.ask("n1", f"flood {address} 600")
        await network.shape("a", {})

        async def drained() -> bool:
            return await best(world, THERE, 1) < 20

        await until(drained)
        assert int(await world.ask("n2", f"heard {world.cluster.addresses['n1']}")) < heard + 600

    world.run(body())
