"""Servers that end and start again: orderly, rolling, in a loop, late."""

from __future__ import annotations

import asyncio
import random

import pytest

from harness.core.errors import UsageError
from harness.core.faults import FaultSpec
from harness.core.protocols import FaultContext
from harness.core.units import SECOND
from harness.core.values import Value
from nemesis.restart import HOWS, Restart
from tests.fakes import FakeCluster, FakeTarget, context, run
from tests.unit.nemesis.whole import Course, course

ORDER = ("n3", "n1", "n2", "n5", "n4")


def params(how: str, who: str = "one") -> dict[str, Value]:
    times: dict[str, Value] = {"lives_ms": (200, 50)} if how == "crash-loop" else {}
    return {"how": how, "who": who, "order": ORDER, "gap_ms": 10, **times}


def done(how: str, cluster: FakeCluster, who: str = "one") -> Course:
    return run(course(Restart(), params(how, who), cluster, FakeTarget(cluster, crowned="n2")))


def starts(cluster: FakeCluster) -> dict[str, int]:
    return {node: state.starts for node, state in cluster.processes.states.items()}


@pytest.mark.parametrize(
    ("how", "who", "words", "proof", "restarted"),
    [
        ("orderly", "leader", "n2 SIGTERM (leader was n2)", "process gone: n2", {"n2"}),
        ("rolling", "all", "n3 n1 n2 n5 n4 SIGTERM in turn", "restarted: n3", set(ORDER)),
        ("rolling-kill", "all", "n3 n1 n2 n5 n4 SIGKILL in turn", "restarted: n3", set(ORDER)),
        ("crash-loop", "one", "n3 crash loop", "short lives", {"n3"}),
        ("late", "all", "n3 n1 n2 n5 n4 SIGKILL (all), n4 starts late", "n4", set(ORDER)),
    ],
)
def test_it_bites_and_heals(
    how: str, who: str, words: str, proof: str, restarted: set[str]
) -> None:
    cluster = FakeCluster()
    before = starts(cluster)
    course = done(how, cluster, who)
    assert course.resolved.words == words
    assert course.bit.holds, course.bit.words
    assert proof in course.bit.words
    assert course.healed.holds, course.healed.words
    assert cluster.is_whole()
    assert {node for node, count in starts(cluster).items() if count > before[node]} == restarted


def test_a_server_that_does_not_end_when_asked() -> None:
    cluster = FakeCluster()
    cluster.processes.stubborn.add("n3")
    course = done("orderly", cluster)
    assert course.bit.holds
    assert course.bit.words.endswith("had to be killed: n3")


def test_a_loop_in_which_nothing_starts() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Restart().fault(FaultSpec("restart", params("crash-loop")))
        where = context(cluster)
        await fault.begin(where)
        cluster.processes.broken = {"start"}
        bit = await fault.prove(where)
        assert not bit.holds
        assert bit.words.startswith("the loop ended: start is broken")
        cluster.processes.broken = set()
        assert (await fault.end(where)).holds

    run(story())
    assert cluster.is_whole()


def test_a_roll_spares_who_is_down_for_another_fault() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        where = context(cluster)
        where.claims.of("down").take("K1", ("n1",))
        fault = Restart().fault(FaultSpec("restart", params("rolling-kill", "all")))
        await fault.begin(where)
        bit = await fault.prove(where)
        assert bit.holds
        assert bit.words.endswith("spared, as down or paused: n1")
        assert (await fault.end(where)).holds

    run(story())


def test_a_roll_that_would_spare_all_waits_for_the_first_that_is_free() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        where = context(cluster)
        where.claims.of("down").take("K1", ORDER)
        fault = Restart().fault(FaultSpec("restart", params("rolling-kill", "all")))
        await fault.begin(where)
        await asyncio.sleep(0.1)
        where.claims.of("down").release("K1", ("n3",))
        bit = await fault.prove(where)
        assert bit.holds
        assert bit.words.startswith("restarted: n3 ")
        assert bit.words.endswith("spared, as down or paused: n1 n2 n5 n4")
        assert (await fault.end(where)).holds

    run(story())


def test_a_roll_that_is_broken_off_leaves_nobody_down() -> None:
    cluster = FakeCluster()

    async def story(steps: int) -> None:
        where: FaultContext = context(cluster)
        fault = Restart().fault(FaultSpec("restart", params("rolling", "all")))
        await fault.begin(where)
        await asyncio.sleep(steps * 0.003)
        assert (await fault.end(where)).holds

    for steps in range(12):
        run(story(steps))
        assert cluster.is_whole()


def test_a_roll_past_a_server_that_cannot_be_killed() -> None:
    cluster = FakeCluster()
    cluster.processes.immortal.add("n1")
    course = done("rolling-kill", cluster, "all")
    assert not course.bit.holds
    assert course.bit.words == "not restarted: n1: still runs"


@pytest.mark.parametrize("how", [None, *HOWS])
def test_plans_are_faults(how: str | None) -> None:
    steps = Restart().plan(random.Random(3), ORDER, 60 * SECOND, how)
    assert len(steps) >= 3
    for step in steps:
        Restart().fault(step.fault)
        assert how in (None, step.fault.params["how"])
    assert steps == Restart().plan(random.Random(3), ORDER, 60 * SECOND, how)


def test_what_cannot_be() -> None:
    with pytest.raises(UsageError, match="unknown restart: 'soft'"):
        Restart().plan(random.Random(1), ORDER, 60 * SECOND, "soft")
    with pytest.raises(UsageError, match="unknown way 'soft'"):
        Restart().fault(FaultSpec("restart", params("soft")))
