"""Cutting links: exactly those, all at once, counted, and only between nodes."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from harness.core.cluster import CLIENTS, Link
from tests.conformance.conftest import NODES, World

ALL = tuple(itertools.permutations(NODES, 2))
ONE = ("n1", "n2")
"""The link that the tests cut by :data:`ONE_WAY`."""
ONE_WAY = {"n2": frozenset({"n1"})}


def others(*cut: Link) -> list[Link]:
    return [link for link in ALL if link not in cut]


def test_nodes_are_dialled_and_see_each_other(world: World) -> None:
    async def body() -> None:
        assert set(world.cluster.addresses) == set(NODES)
        assert [await world.ask(node, f"echo {node}") for node in NODES] == list(NODES)
        assert {await world.ask_peer(*link) for link in ALL} == {"hello"}
        assert await world.open(*ALL)

    world.run(body())


def test_a_cut_is_one_way_counted_and_healed(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        before = await network.dropped()
        await network.cut("a", ONE_WAY)
        assert await world.closed(ONE)
        assert await world.open(*others(ONE))
        # TCP needs both directions, whoever begins.
        assert await world.ask_peer("n1", "n2") == "TimeoutError"
        assert await world.ask_peer("n2", "n1") == "TimeoutError"
        assert await world.ask_peer("n1", "n3") == "hello"
        during = await network.dropped()
        grown = {link for link in during if during[link] > before.get(link, 0)}
        assert grown == {ONE}
        assert [await world.ask(node, f"echo {node}") for node in NODES] == list(NODES)

        await network.cut("a", {})
        assert await world.open(*ALL)
        assert await world.ask_peer("n1", "n2") == "hello"
        assert (await network.dropped())[ONE] >= during[ONE]

    world.run(body())


def test_counts_go_on_over_changes_of_the_rules(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        seen = (await network.dropped()).get(ONE, 0)
        for _ in range(3):
            await network.cut("a", ONE_WAY)
            assert await world.closed(ONE)
            await network.cut("a", {})
            now = (await network.dropped())[ONE]
            assert now > seen
            seen = now

    world.run(body())


@pytest.mark.kernel
def test_a_change_never_opens_what_stays_cut(world: World) -> None:
    """n1 → n3 stays cut while everything else changes: of a flood not one datagram arrives."""
    first = {"n2": frozenset({"n1"}), "n3": frozenset({"n1"})}
    second = {"n3": frozenset({"n1", "n2"}), "n1": frozenset({"n3", "n2"})}

    async def swap(done: asyncio.Event) -> int:
        swaps = 0
        while not done.is_set():
            await world.cluster.network.cut("a", second if swaps % 2 == 0 else first)
            swaps += 1
        return swaps

    async def body() -> None:
        address = world.cluster.addresses
        heard = f"heard {address['n1']}"
        await world.cluster.network.cut("a", first)
        before = int(await world.ask("n3", heard))
        done = asyncio.Event()
        swapping = asyncio.create_task(swap(done))
        for _ in range(5):
            await world.ask("n1", f"flood {address['n3']} 5000", 30)
        done.set()
        assert await swapping >= 4
        assert int(await world.ask("n3", heard)) == before

        await world.cluster.network.cut("a", {})
        await world.ask("n1", f"flood {address['n3']} 100")
        assert await world.open(("n1", "n3"))
        # The node counts what it hears beside answering: the last of the flood may be on its way.
        for _ in range(500):
            if int(await world.ask("n3", heard)) > before:
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("the healed link lets nothing through")

    world.run(body())


def test_a_cut_survives_a_restart_of_the_server(world: World) -> None:
    async def body() -> None:
        await world.cluster.network.cut("a", ONE_WAY)
        for node in ONE:
            await world.cluster.processes.kill(node)
            await world.cluster.processes.start(node)
        await world.serving(*ONE)
        assert await world.closed(ONE)
        assert await world.ask_peer("n2", "n1") == "TimeoutError"
        assert await world.open(*others(ONE))

    world.run(body())


def test_owners_cannot_heal_each_other(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        await network.cut("a", ONE_WAY)
        await network.cut("b", {"n2": frozenset({"n1", "n3"})})
        both = (ONE, ("n3", "n2"))
        assert await world.closed(*both)
        assert await world.open(*others(*both))
        await network.cut("a", {})
        assert await world.closed(*both)
        await network.cut("b", {})
        assert await world.open(*ALL)

    world.run(body())


def test_wishes_made_at_once_are_all_in_force(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        await asyncio.gather(network.cut("a", ONE_WAY), network.cut("b", {"n3": frozenset({"n1"})}))
        assert await world.closed(ONE, ("n1", "n3"))
        await asyncio.gather(network.cut("a", {}), network.cut("b", {}))
        assert await world.open(*ALL)

    world.run(body())


def test_a_stranger_is_refused_and_changes_nothing(world: World) -> None:
    async def body() -> None:
        with pytest.raises(ValueError, match="not of this cluster: n9"):
            await world.cluster.network.cut("a", {"n1": frozenset({"n9"})})
        await world.cluster.network.cut("b", ONE_WAY)
        assert await world.closed(ONE)

    world.run(body())


def test_a_cut_that_is_told(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        before = (await network.dropped()).get(ONE, 0)
        await network.cut("a", ONE_WAY, reject=True)
        assert await world.closed(ONE)
        assert await world.open(*others(ONE))
        assert (await network.dropped())[ONE] > before
        # What somebody else wants dropped in silence is.
        await network.cut("b", ONE_WAY)
        assert await world.ask_peer("n1", "n2") == "TimeoutError"
        await network.cut("b", {})
        await network.cut("a", {})
        assert await world.open(*ALL)
        assert await world.ask_peer("n1", "n2") == "hello"

    world.run(body())


@pytest.mark.kernel
def test_a_sender_is_told_by_a_reset(world: World) -> None:
    async def body() -> None:
        await world.cluster.network.cut("a", ONE_WAY, reject=True)
        assert await world.ask_peer("n1", "n2") == "ConnectionRefusedError"
        assert await world.ask_peer("n1", "n3") == "hello"

    world.run(body())


def test_clients_are_cut_when_they_are_meant(world: World) -> None:
    async def body() -> None:
        network = world.cluster.network
        link = (CLIENTS, "n2")
        before = (await network.dropped()).get(link, 0)
        await network.cut("a", {"n2": frozenset({CLIENTS})})
        with pytest.raises((OSError, TimeoutError)):
            await world.ask("n2", "echo up", 0.3)
        assert await world.ask("n1", "echo up") == "up"
        assert await world.open(*ALL)
        assert await world.ask_peer("n1", "n2") == "hello"
        assert (await network.dropped())[link] > before
        await network.cut("a", {})
        assert await world.ask("n2", "echo up") == "up"

    world.run(body())
