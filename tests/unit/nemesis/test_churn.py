"""Leaders that fall one after the other: who falls, what is proven, and that all come back."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest

from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.faults import FaultSpec
from harness.core.rng import derive
from harness.core.units import SECOND
from harness.core.values import Value
from nemesis.churn import Churn
from nemesis.roles import majority
from tests.fakes import CountingNetwork, FakeCluster, FakeTarget, context, run
from tests.unit.nemesis.whole import Course, course

How = Literal["cut", "kill"]


def falls(
    how: str, delays_ms: tuple[int, ...] = (0, 3, 50), gap_ms: int = 0, down: int = 3
) -> dict[str, Value]:
    back = tuple(reversed(range(len(delays_ms))))
    return {"how": how, "down": down, "delays_ms": delays_ms, "back": back, "gap_ms": gap_ms}


def fall(how: str, cluster: FakeCluster, target: FakeTarget | None = None) -> Course:
    return run(course(Churn(), falls(how), cluster, target))


@pytest.mark.parametrize("how", ["cut", "kill"])
def test_each_leader_falls_in_turn_and_all_come_back(how: How) -> None:
    cluster = FakeCluster()
    done = fall(how, cluster)
    assert done.resolved.data["nodes"] == ("n1", "n2", "n3")
    assert done.resolved.data["leader"] == "n1"
    verb = {"cut": "cut off", "kill": "SIGKILL"}[how]
    assert done.resolved.words == f"n1, then n2, then n3 {verb} as each came to lead"
    assert done.bit.holds, done.bit.words
    assert done.bit.figures["falls"] == 3
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()


def test_it_ends_when_nobody_else_comes_to_lead() -> None:
    cluster = FakeCluster()
    done = fall("cut", cluster, FakeTarget(cluster, crowned="n4"))
    assert done.resolved.words == "n4 cut off as each came to lead"
    assert done.bit.holds, done.bit.words
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()


def test_nobody_leads() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Churn().fault(FaultSpec("churn", falls("kill")))
        where = context(cluster, FakeTarget(cluster, anarchy=True))
        with pytest.raises(EnvironmentFailure, match="nobody led"):
            await fault.begin(where)
        assert not (await fault.prove(where)).holds
        assert (await fault.end(where)).holds
        assert cluster.is_whole()

    run(story())


def test_one_fall_that_does_not_bite_is_no_proof() -> None:
    """Packets still pass between n2 and n5, whatever is asked for."""
    cluster = FakeCluster()
    cluster.network.leaks = {("n5", "n2")}
    done = fall("cut", cluster)
    assert done.resolved.data["nodes"] == ("n1", "n2", "n3")
    assert not done.bit.holds
    assert done.bit.words == "n2: packets still pass n5→n2"
    assert done.healed.holds


def test_a_leader_that_cannot_be_killed_is_no_fall() -> None:
    cluster = FakeCluster()
    cluster.processes.immortal = {"n2"}

    async def story() -> None:
        fault = Churn().fault(FaultSpec("churn", falls("kill")))
        with pytest.raises(EnvironmentFailure, match="n2 still runs"):
            await fault.begin(context(cluster))
        assert (await fault.end(context(cluster))).holds
        assert cluster.is_whole()

    run(story())


def test_a_server_that_somebody_starts_too_early() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Churn().fault(FaultSpec("churn", falls("kill")))
        where = context(cluster)
        await fault.begin(where)
        await cluster.processes.start("n2")
        bit = await fault.prove(where)
        assert not bit.holds
        assert bit.words == "n2: n2 runs before its time"
        assert (await fault.end(where)).holds

    run(story())


def test_who_is_down_falls_no_deeper() -> None:
    """The leader dies by another hand in the time that it is given to lead."""
    cluster = FakeCluster()

    async def story() -> None:
        fault = Churn().fault(FaultSpec("churn", falls("kill", (200, 0))))
        where = context(cluster)
        begun = asyncio.create_task(fault.begin(where))
        await asyncio.sleep(0.1)
        await cluster.processes.kill("n1")
        assert (await begun).data["nodes"] == ("n2", "n3")
        assert (await fault.prove(where)).holds
        assert (await fault.end(where)).holds

    run(story())


def test_they_come_back_in_their_order() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Churn().fault(FaultSpec("churn", falls("kill", gap_ms=500)))
        where = context(cluster)
        await fault.begin(where)
        ending = asyncio.create_task(fault.end(where))
        await asyncio.sleep(0.75)
        states = cluster.processes.states
        assert [node for node, now in states.items() if now.state == "gone"] == ["n1"]
        assert (await ending).holds
        assert cluster.is_whole()

    run(story())


@pytest.mark.parametrize(("how", "broken"), [("kill", "start"), ("cut", "cut")])
def test_a_heal_that_fails_spares_the_others(how: How, broken: str) -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Churn().fault(FaultSpec("churn", falls(how)))
        where = context(cluster)
        await fault.begin(where)
        (cluster.processes if how == "kill" else cluster.network).broken = {broken}
        failed = await fault.end(where)
        assert not failed.holds
        assert all(f"{node}: " in failed.words for node in ("n1", "n2", "n3"))
        (cluster.processes if how == "kill" else cluster.network).broken = set()
        assert (await fault.end(where)).holds
        assert cluster.is_whole()

    run(story())


@pytest.mark.parametrize("how", ["cut", "kill"])
def test_who_fell_first_comes_back_and_falls_again(how: How) -> None:
    cluster = FakeCluster(("n1", "n2", "n3"))
    done = run(course(Churn(), falls(how, (0, 3, 0, 9, 1), down=2), cluster))
    nodes = done.resolved.data["nodes"]
    assert isinstance(nodes, tuple) and len(nodes) == 5
    assert nodes[:2] == ("n1", "n2")
    assert {"n1", "n2"} <= set(nodes[2:])
    assert "; back before the last fell: n1, n2, " in done.resolved.words
    assert done.bit.holds, done.bit.words
    assert done.bit.figures["falls"] == 5
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()


def test_a_cut_that_nothing_met_before_it_ended_is_no_proof() -> None:
    cluster = FakeCluster(("n1", "n2", "n3"))
    cluster.network.idle = True
    done = run(course(Churn(), falls("cut", (0, 0, 0), down=2), cluster))
    assert not done.bit.holds
    assert "n1: no packet of the system met the cut" in done.bit.words
    assert done.healed.holds


def test_a_row_is_not_longer_than_a_fault_may_take_to_begin() -> None:
    cluster = FakeCluster(("n1", "n2", "n3"))
    done = run(course(Churn(), falls("kill", (2900,) * 6, down=2), cluster))
    assert len(str(done.resolved.data["nodes"]).split(",")) < 6
    assert done.bit.holds and done.healed.holds


@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_no_more_are_down_than_it_takes_for_nobody_to_lead(count: int) -> None:
    nodes = tuple(f"n{number}" for number in range(1, count + 1))
    seen = set()
    for seed in range(20):
        for step in Churn().plan(derive(seed, "churn"), nodes, 60 * SECOND, None):
            delays, down = step.fault.params["delays_ms"], step.fault.params["down"]
            assert isinstance(delays, tuple) and isinstance(down, int)
            assert 1 <= down <= majority(count)
            assert down <= len(delays) <= 6
            assert all(isinstance(delay, int) and 0 <= delay <= 400 for delay in delays)
            seen.add((step.fault.params["how"], down < len(delays)))
    assert seen == {(how, rolling) for how in ("cut", "kill") for rolling in (False, True)}


# -- between two messages -----------------------------------------------------------------------


def between(
    messages: tuple[int, ...] = (3, 0, 2), how: str = "cut", down: int = 2
) -> dict[str, Value]:
    back = tuple(range(len(messages)))
    hows = (how,) * len(messages)
    return {"hows": hows, "down": down, "messages": messages, "back": back, "gap_ms": 0}


def by_message(nodes: tuple[str, ...] = ("n1", "n2", "n3")) -> tuple[FakeCluster, FakeTarget]:
    cluster = FakeCluster(nodes)
    target = FakeTarget(cluster)
    cluster.network = CountingNetwork(nodes=nodes, leader=target.leader)
    return cluster, target


@pytest.mark.parametrize("how", ["cut", "kill"])
def test_leaders_fall_between_messages_and_the_one_before_is_back(how: How) -> None:
    cluster, target = by_message()
    done = run(course(Churn(), between(how=how), cluster, target))
    assert isinstance(cluster.network, CountingNetwork)
    assert cluster.network.asked == [
        (("n1", "n2", "n3"), 3),
        (("n2", "n3"), 0),
        (("n1", "n3"), 2),
    ]
    verb = {"cut": "cut off", "kill": "SIGKILL"}[how]
    # Who was killed needs a moment to start.
    last = {"cut": "n1", "kill": "n3"}[how]
    assert done.resolved.words == (
        f"n1 {verb} after 3, then n2 {verb} after 0, then {last} {verb} after 2 messages as "
        "leader; back at once: n1, n2"
    )
    assert done.resolved.data["messages"] == (3, 0, 2)
    assert done.resolved.data["hows"] == (how,) * 3
    assert done.bit.holds, done.bit.words
    assert done.bit.figures["falls"] == 3
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()


def test_a_row_between_messages_ends_when_nobody_leads() -> None:
    cluster, target = by_message()
    cluster.network.patient = 1  # type: ignore[attr-defined]
    done = run(course(Churn(), between(), cluster, target))
    assert done.resolved.words == "n1 cut off after 3 messages as leader"
    assert done.bit.holds and done.healed.holds
    assert cluster.is_whole()


def test_a_fall_between_messages_that_fails_leaves_nobody_cut_off() -> None:
    cluster, target = by_message()
    cluster.processes.immortal = {"n1"}

    async def story() -> None:
        fault = Churn().fault(FaultSpec("churn", between(how="kill")))
        where = context(cluster, target)
        with pytest.raises(EnvironmentFailure, match="n1 still runs"):
            await fault.begin(where)
        assert cluster.network.cuts == {}
        assert (await fault.end(where)).holds
        assert cluster.is_whole()

    run(story())


def test_a_network_that_does_not_see_messages() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Churn().fault(FaultSpec("churn", between()))
        with pytest.raises(EnvironmentFailure, match="use churn:cut or churn:kill"):
            await fault.begin(context(cluster))
        assert (await fault.end(context(cluster))).holds

    run(story())


@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_falls_between_messages_as_they_are_drawn(count: int) -> None:
    nodes = tuple(f"n{number}" for number in range(1, count + 1))
    seen: set[object] = set()
    for seed in range(20):
        for step in Churn().plan(derive(seed, "churn"), nodes, 60 * SECOND, "message"):
            Churn().fault(step.fault)
            drawn = step.fault.params
            messages, hows, down = drawn["messages"], drawn["hows"], drawn["down"]
            assert isinstance(messages, tuple) and isinstance(hows, tuple)
            assert isinstance(down, int) and 1 <= down <= majority(count)
            assert len(messages) == len(hows) <= 6
            seen.update(messages)
            seen.update(hows)
    assert {0, 1, 2, 3, "cut", "kill"} <= seen


def test_without_a_narrowing_nobody_falls_between_messages() -> None:
    plan = Churn().plan(derive(1, "churn"), ("n1", "n2", "n3"), 60 * SECOND, None)
    assert all("messages" not in step.fault.params for step in plan)


def test_what_cannot_be() -> None:
    rng, long = derive(1, "churn"), 60 * SECOND
    with pytest.raises(UsageError, match="churn needs at least 3 nodes, not 2"):
        Churn().plan(rng, ("n1", "n2"), long, None)
    with pytest.raises(UsageError, match="known: cut, kill, message"):
        Churn().plan(rng, ("n1", "n2", "n3"), long, "push")
    with pytest.raises(UsageError, match="unknown way 'push'"):
        Churn().fault(FaultSpec("churn", falls("push")))
    with pytest.raises(UsageError, match="down should be 1 or more, but is 0"):
        Churn().fault(FaultSpec("churn", falls("cut", down=0)))
    for back in ((0, 0, 1), (0, 1), (1, 2, 3)):
        with pytest.raises(UsageError, match="back should be an order"):
            Churn().fault(FaultSpec("churn", {**falls("cut"), "back": back}))
    with pytest.raises(UsageError, match="unknown way 'push'"):
        Churn().fault(FaultSpec("churn", between(how="push")))
    with pytest.raises(UsageError, match="hows should be as many as messages"):
        Churn().fault(FaultSpec("churn", {**between(), "hows": ("cut",)}))
    with pytest.raises(UsageError, match="back should be an order of as many as messages has"):
        Churn().fault(FaultSpec("churn", {**between(), "back": (0, 1)}))
