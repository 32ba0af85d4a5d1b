"""Disks that refuse, that are slow, that changed what they hold."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.faults import FaultSpec
from harness.core.values import Value
from nemesis.disk import KINDS, Disk
from tests.fakes import FakeCluster, FakeTarget, context, run
from tests.unit.nemesis.whole import Course, course

ORDER = ("n3", "n1", "n2", "n5", "n4")


def params(how: str, who: str = "one") -> dict[str, Value]:
    return {"how": how, "who": who, "order": ORDER, "gap_ms": 0, "slow_ms": 100}


def hurt(how: str, cluster: FakeCluster, who: str = "one") -> Course:
    return run(course(Disk(), params(how, who), cluster, FakeTarget(cluster, crowned="n2")))


@pytest.mark.parametrize(
    ("how", "who", "words", "proof"),
    [
        ("full", "one", "n3 disk full", "1 writes refused; gave up: n3"),
        ("io-error", "minority", "n3 n1 disk io-error (minority)", "2 writes refused"),
        ("read-only", "leader", "n2 disk read-only (leader was n2)", "1 writes refused"),
        ("slow", "one", "n3 disk slow, 100 ms a sync", "syncs slowed"),
        ("flip", "one", "n3 disk: bits flipped", "n3: flip of n3; refused by n3"),
        ("misdirect", "minority", "n3 n1 disk: a block misdirected (minority)", "refused by n3 n1"),
    ],
)
def test_it_bites_and_heals(how: str, who: str, words: str, proof: str) -> None:
    cluster = FakeCluster()
    done = hurt(how, cluster, who)
    assert done.resolved.words == words
    assert done.bit.holds, done.bit.words
    assert proof in done.bit.words
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()


@pytest.mark.parametrize("how", ["full", "slow"])
def test_a_disk_that_ignores_it(how: str) -> None:
    cluster = FakeCluster()
    cluster.disks.deaf = True
    done = hurt(how, cluster)
    assert not done.bit.holds
    assert done.bit.words == "nothing was written by n3"
    assert done.healed.holds


def test_an_empty_disk() -> None:
    cluster = FakeCluster()
    cluster.disks.empty = math.inf
    done = hurt("flip", cluster)
    assert done.bit.words == "nothing is stored that could be damaged"
    assert not done.bit.holds
    assert cluster.is_whole()


def test_a_disk_that_was_emptied_a_moment_ago() -> None:
    """Its server writes to it first."""
    cluster = FakeCluster()
    cluster.disks.empty = 2
    done = hurt("flip", cluster)
    assert done.bit.holds, done.bit.words
    assert cluster.processes.states["n3"].starts > 2
    assert cluster.is_whole()


def test_damage_that_a_paused_server_has_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is nobody's verdict, and it is gone before the server goes on."""
    cluster = FakeCluster()
    start = cluster.processes.start

    async def start_and_stand_still(node: str) -> None:
        cluster.processes.barren.discard(node)
        await start(node)
        state = cluster.processes.states[node]
        cluster.processes.states[node] = replace(state, state="stopped")

    monkeypatch.setattr(cluster.processes, "start", start_and_stand_still)
    done = hurt("flip", cluster)
    assert not done.bit.holds
    assert done.bit.words == "nobody knows whether the damage was read"
    assert cluster.disks.damaged == set()


def test_a_server_that_takes_what_it_reads() -> None:
    cluster = FakeCluster()
    cluster.disks.credulous = True
    done = hurt("flip", cluster)
    assert done.bit.holds, done.bit.words
    assert done.bit.words.endswith("taken by n3")
    assert done.healed.words == "disks are sound"


@pytest.mark.parametrize("how", ["flip", "full"])
def test_a_server_that_does_not_come_back(how: str) -> None:
    cluster = FakeCluster()
    if how == "full":
        cluster.processes.barren.add("n3")
    else:
        cluster.disks.sticky = True

    async def story() -> None:
        fault = Disk().fault(FaultSpec("disk", params(how)))
        where = context(cluster)
        await fault.begin(where)
        assert (await fault.prove(where)).holds
        healed = await fault.end(where)
        assert not healed.holds
        assert healed.words == "started, but not there: n3"

    run(story())


def test_a_disk_that_cannot_be_set_right() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Disk().fault(FaultSpec("disk", params("slow")))
        where = context(cluster)
        await fault.begin(where)
        cluster.disks.broken = {"trouble"}
        healed = await fault.end(where)
        assert not healed.holds
        assert healed.words.startswith("disk not set right: n3")

    run(story())


def test_it_spares_who_is_down_for_another_fault() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        cluster.claims.of("down").take("K1", ("n3",))
        fault = Disk().fault(FaultSpec("disk", params("full")))
        resolved = await fault.begin(context(cluster))
        assert resolved.data["nodes"] == ("n1",)
        assert (await fault.end(context(cluster))).holds

    run(story())


def test_disks_that_cannot_be_hurt() -> None:
    cluster = FakeCluster()
    del cluster.disks

    async def story() -> None:
        fault = Disk().fault(FaultSpec("disk", params("full")))
        with pytest.raises(EnvironmentFailure, match="cannot be hurt"):
            await fault.begin(context(cluster))

    run(story())


def test_what_cannot_be() -> None:
    assert "flip" in KINDS
    with pytest.raises(UsageError, match="known: flip, misdirect, truncate, torn, full"):
        Disk().plan(random.Random(1), ORDER, 60 * 10**9, "wet")
    with pytest.raises(UsageError, match="unknown kind 'wet'"):
        Disk().fault(FaultSpec("disk", params("wet")))
    with pytest.raises(UsageError, match="slow_ms should be a whole number"):
        Disk().fault(FaultSpec("disk", {**params("slow"), "slow_ms": None}))
