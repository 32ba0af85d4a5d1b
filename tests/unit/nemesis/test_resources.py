"""Servers that get less than they need."""

from __future__ import annotations

import random

import pytest

from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.faults import FaultSpec
from harness.core.units import SECOND
from harness.core.values import Value
from nemesis.resources import Resources
from nemesis.starving import KINDS
from tests.fakes import FakeCluster, FakeTarget, context, run
from tests.unit.nemesis.whole import Course, course

ORDER = ("n3", "n1", "n2", "n5", "n4")


def params(how: str, who: str = "one") -> dict[str, Value]:
    amounts = {"cpu": {"percent": 2}, "memory": {"kbytes": 99}, "io": {"kbytes_per_s": 64}}
    return {"how": how, "who": who, "order": ORDER, "gap_ms": 0, **amounts.get(how, {})}


def starved(how: str, cluster: FakeCluster, who: str = "one") -> Course:
    target = FakeTarget(cluster, crowned="n2")
    return run(course(Resources(), params(how, who), cluster, target))


@pytest.mark.parametrize(
    ("how", "who", "words", "proof"),
    [
        ("cpu", "leader", "n2 cpu 2 % (leader was n2)", "periods of 100 ms cut short"),
        ("memory", "minority", "n3 n1 memory 99 kB more (minority)", "requests for memory refused"),
        ("files", "one", "n3 files none more", "servers without a free descriptor"),
        ("io", "one", "n3 disk limited to 64 kB a second", "reads and writes held back"),
    ],
)
def test_it_bites_and_heals(how: str, who: str, words: str, proof: str) -> None:
    cluster = FakeCluster()
    done = starved(how, cluster, who)
    assert done.resolved.words == words
    assert done.bit.holds, done.bit.words
    assert proof in done.bit.words
    assert done.healed.words == ("disks are sound" if how == "io" else "no limits")
    assert done.healed.holds
    assert cluster.is_whole()


@pytest.mark.parametrize("how", list(KINDS))
def test_a_server_that_has_plenty(how: str) -> None:
    cluster = FakeCluster()
    cluster.resources.plenty = True
    done = starved(how, cluster)
    assert not done.bit.holds
    assert done.bit.words == "not met by n3"
    assert cluster.is_whole()


def test_a_server_that_the_kernel_ends() -> None:
    cluster = FakeCluster()
    cluster.resources.fatal = True
    done = starved("memory", cluster)
    assert done.bit.holds
    assert done.bit.words.endswith("gave up: n3")
    assert done.healed.words == "no limits; started: n3"
    assert cluster.is_whole()


def test_a_limit_that_cannot_be_lifted() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        where = context(cluster)
        fault = Resources().fault(FaultSpec("resources", params("cpu")))
        await fault.begin(where)
        cluster.resources.broken = {"limit"}
        healed = await fault.end(where)
        assert not healed.holds
        assert healed.words == "not lifted: n3: limit is broken"

    run(story())


def test_servers_that_cannot_be_limited() -> None:
    cluster = FakeCluster()
    del cluster.resources

    async def story() -> None:
        fault = Resources().fault(FaultSpec("resources", params("cpu")))
        with pytest.raises(EnvironmentFailure, match="cannot be limited"):
            await fault.begin(context(cluster))

    run(story())


@pytest.mark.parametrize("how", [None, *KINDS])
@pytest.mark.parametrize("nodes", [1, 3, 5])
def test_plans_are_faults(how: str | None, nodes: int) -> None:
    steps = Resources().plan(random.Random(3), ORDER[:nodes], 60 * SECOND, how)
    assert len(steps) >= 3
    for step in steps:
        Resources().fault(step.fault)


def test_what_cannot_be() -> None:
    with pytest.raises(UsageError, match="known: cpu, memory, files"):
        Resources().plan(random.Random(1), ORDER, 60 * SECOND, "love")
    with pytest.raises(UsageError, match="unknown kind 'love'"):
        Resources().fault(FaultSpec("resources", params("love")))
    with pytest.raises(UsageError, match="percent should be a whole number"):
        Resources().fault(FaultSpec("resources", {**params("cpu"), "percent": None}))
