"""Disks that lose, refuse and delay what a node's server writes, as that server finds them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.core.cluster import DiskControl, DiskTrouble, HasDisks, PowerControl
from harness.core.units import MILLISECOND
from tests.conformance.conftest import World
from tests.conftest import unavailable

pytestmark = pytest.mark.kernel

MUCH = "x" * 5000
"""More than a block: a full file system has room in the last one."""
SOUND = DiskTrouble()


@pytest.fixture
def disks(world: World) -> Iterator[DiskControl]:
    if world.lacks_disks:
        unavailable(world.lacks_disks)
    assert isinstance(world.cluster, HasDisks)
    yield world.cluster.disks

    async def heal() -> None:
        assert isinstance(world.cluster, HasDisks)
        await world.cluster.disks.trouble("n1", SOUND)
        await world.cluster.processes.start("n1")
        await world.serving("n1")

    world.run(heal())


async def fresh(world: World) -> None:
    """The server runs, and its file is empty on the disk."""
    await world.cluster.processes.start("n1")
    await world.serving("n1")
    assert await world.ask("n1", "wipe") == "done"


def test_a_power_loss_takes_what_was_not_synced(world: World, disks: DiskControl) -> None:
    async def body() -> None:
        processes = world.cluster.processes
        assert isinstance(processes, PowerControl)
        await fresh(world)
        assert (await world.ask("n1", "sync kept")).startswith("done")
        other = await world.ask("n2", "stored")
        lost = 0
        # Now and then chance leaves a beginning, or all of it.
        for _ in range(20):
            assert (await world.ask("n1", "store dropped")).startswith("done")
            lost = await processes.power_off("n1")
            assert (await processes.state("n1")).state == "gone"
            await processes.start("n1")
            await world.serving("n1")
            stored = await world.ask("n1", "stored")
            assert stored.split()[0] == "kept"
            if lost:
                break
        assert lost > 0
        assert await world.ask("n2", "stored") == other
        # What a kill leaves is all.
        assert (await world.ask("n1", "store more")).startswith("done")
        stored = await world.ask("n1", "stored")
        await processes.kill("n1")
        await processes.start("n1")
        await world.serving("n1")
        assert await world.ask("n1", "stored") == stored

    world.run(body())


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (DiskTrouble(full=True), "ENOSPC"),
        (DiskTrouble(broken=True), "EIO"),
        (DiskTrouble(read_only=True), "EROFS"),
    ],
    ids=["full", "broken", "read-only"],
)
def test_a_disk_that_refuses(
    world: World, disks: DiskControl, trouble: DiskTrouble, error: str
) -> None:
    async def body() -> None:
        await fresh(world)
        assert (await world.ask("n1", "sync kept")).startswith("done")
        before = (await disks.counts("n1")).refused
        await disks.trouble("n1", trouble)
        said = [await world.ask("n1", f"sync {MUCH}") for _ in range(2)]
        assert said[-1] == error
        assert (await disks.counts("n1")).refused > before
        assert (await world.ask("n2", "sync x")).startswith("done")
        await disks.trouble("n1", SOUND)
        await world.cluster.processes.start("n1")
        await world.serving("n1")
        after = (await disks.counts("n1")).refused
        assert (await world.ask("n1", f"sync {MUCH}")).startswith("done")
        assert (await world.ask("n1", "stored")).startswith("kept")
        assert (await disks.counts("n1")).refused == after

    world.run(body())


def test_a_disk_that_is_slow(world: World, disks: DiskControl) -> None:
    async def body() -> None:
        await fresh(world)
        before = (await disks.counts("n1")).slowed
        await disks.trouble("n1", DiskTrouble(slow_ns=150 * MILLISECOND))
        word, took = (await world.ask("n1", "sync x")).split()
        assert word == "done"
        assert int(took) >= 150
        assert (await disks.counts("n1")).slowed > before
        await disks.trouble("n1", SOUND)
        after = (await disks.counts("n1")).slowed
        assert (await world.ask("n1", "sync x")).startswith("done")
        assert (await disks.counts("n1")).slowed == after

    world.run(body())


def test_a_disk_of_a_low_rate(world: World, disks: DiskControl) -> None:
    async def body() -> None:
        await fresh(world)
        before = (await disks.counts("n1")).limited
        await disks.trouble("n1", DiskTrouble(bytes_per_s=100_000))
        # The file's blocks and the journal's: no less than the 20,000 bytes themselves.
        done = await world.ask("n1", f"sync {'x' * 20_000}", 30)
        assert int(done.removeprefix("done ")) >= 200
        assert (await disks.counts("n1")).limited > before
        await disks.trouble("n1", SOUND)
        after = (await disks.counts("n1")).limited
        done = await world.ask("n1", f"sync {'x' * 20_000}", 30)
        assert int(done.removeprefix("done ")) < 200
        assert (await disks.counts("n1")).limited == after

    world.run(body())


@pytest.mark.parametrize("how", ["flip", "misdirect", "truncate", "torn"])
def test_damage_while_nobody_looks(world: World, disks: DiskControl, how: str) -> None:
    async def body() -> None:
        processes = world.cluster.processes
        await fresh(world)
        assert (await world.ask("n1", "sync " + "precious " * 40)).startswith("done")
        sound = await world.ask("n1", "digest")
        await processes.kill("n1")
        where = await disks.damage("n1", how)
        assert where is not None
        assert "log" in where
        # No power loss undoes the damage, and none the repair.
        assert isinstance(processes, PowerControl)
        await processes.power_off("n1")
        await processes.start("n1")
        await world.serving("n1")
        assert await world.ask("n1", "digest") != sound
        await processes.kill("n1")
        await disks.repair("n1")
        await processes.power_off("n1")
        await processes.start("n1")
        await world.serving("n1")
        assert await world.ask("n1", "digest") == sound

    world.run(body())
