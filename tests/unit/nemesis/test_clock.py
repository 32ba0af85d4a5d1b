"""Clocks that lie: what is read inside the nodes decides."""

from __future__ import annotations

import asyncio
import random

import pytest

from harness.core.cluster import ClockSkew
from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.faults import FaultSpec
from harness.core.protocols import FaultContext, Target
from harness.core.units import MILLISECOND, SECOND
from harness.core.values import Record, Value
from nemesis.clock import Clock
from nemesis.readings import Reading, Tally, judge
from tests.fakes import FakeCluster, FakeTarget, context, run
from tests.unit.nemesis.whole import Course, course

ORDER = ("n3", "n1", "n2", "n5", "n4")
OFFSET: dict[str, Value] = {"who": "one", "order": ORDER, "offset_ms": -2500}
DRIFT: dict[str, Value] = {"who": "minority", "order": ORDER, "rate": 1.25}
SKEW: dict[str, Value] = {
    "who": "all",
    "order": ORDER,
    "offsets_ms": (900, -700, 60_000, -3000, 500),
}
JUMP: dict[str, Value] = {"who": "one", "order": ORDER, "offset_ms": -2500, "hold_ms": 700}
MONOTONIC: dict[str, Value] = {"who": "minority", "order": ORDER, "monotonic_rate": 0.8}
STROBE: dict[str, Value] = {"who": "all", "order": ORDER, "strobe_ms": 800, "period_ms": 120}


def skewed(params: dict[str, Value], cluster: FakeCluster) -> Course:
    return run(course(Clock(), params, cluster))


@pytest.mark.parametrize(
    ("params", "words", "nodes"),
    [
        (OFFSET, "n3 -2.5 s", ("n3",)),
        (DRIFT, "n3 n1 ×1.25", ("n3", "n1")),
        (STROBE, "n3 n1 n2 n5 n4 ±800 ms every 120 ms", ORDER),
        (JUMP, "n3 -2.5 s for 700 ms", ("n3",)),
        (MONOTONIC, "n3 n1 monotonic clock ×0.8", ("n3", "n1")),
        (SKEW, "n3 n1 n2 n5 n4 +900 ms -700 ms +60 s -3.0 s +500 ms", ORDER),
    ],
)
def test_a_lie_is_seen_and_ends(
    params: dict[str, Value], words: str, nodes: tuple[str, ...]
) -> None:
    cluster = FakeCluster()
    done = skewed(params, cluster)
    assert done.resolved.words == words
    assert done.resolved.data["nodes"] == nodes
    assert done.bit.holds, done.bit.words
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()


def test_the_figures_are_the_offsets_that_were_read() -> None:
    done = skewed(OFFSET, FakeCluster())
    assert done.bit.words == "clock read inside the server: n3 -2500 ms"
    offsets = done.bit.figures["offsets_ms"]
    assert isinstance(offsets, Record)
    assert offsets.get("n3") == (-2500, -2500)


@pytest.mark.parametrize("params", [OFFSET, DRIFT, STROBE, JUMP, MONOTONIC])
def test_clocks_that_ignore_it(params: dict[str, Value]) -> None:
    cluster = FakeCluster()
    cluster.clocks.deaf = True
    done = skewed(params, cluster)
    assert not done.bit.holds
    assert "not seen on the clock of n3" in done.bit.words
    assert done.healed.holds


def test_a_clock_that_jumps_once_and_stays_there() -> None:
    cluster = FakeCluster()
    cluster.clocks.sticky = True
    done = skewed(JUMP, cluster)
    assert not done.bit.holds
    assert done.bit.words == "did not jump back: n3"
    assert not done.healed.holds


def test_a_jump_is_over_long_before_the_fault() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Clock().fault(FaultSpec("clock", JUMP))
        where = context(cluster)
        await fault.begin(where)
        assert set(cluster.clocks.skews) == {"n3"}
        await asyncio.sleep(1)
        assert not cluster.clocks.skews
        await asyncio.sleep(1)
        assert (await fault.prove(where)).holds
        assert (await fault.end(where)).holds

    run(story())


def test_a_jump_that_is_ended_before_it_is_over() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Clock().fault(FaultSpec("clock", JUMP))
        where = context(cluster)
        await fault.begin(where)
        assert (await fault.end(where)).holds
        assert not cluster.clocks.skews

    run(story())


def test_a_monotonic_clock_that_goes_on_as_it_did() -> None:
    cluster = FakeCluster()
    cluster.clocks.sticky = True
    done = skewed(MONOTONIC, cluster)
    assert done.bit.holds
    assert not done.healed.holds


def test_the_wall_clock_does_not_drift_with_the_monotonic_one() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Clock().fault(FaultSpec("clock", MONOTONIC))
        where = context(cluster)
        await fault.begin(where)
        await asyncio.sleep(3)
        assert cluster.clocks.wall_ns("n3", 0.0) == cluster.clocks.wall_ns("n2", 0.0)
        assert cluster.clocks.monotonic_ns("n3", 0.0) < cluster.clocks.monotonic_ns("n2", 0.0)
        await fault.end(where)

    run(story())


@pytest.mark.parametrize("params", [OFFSET, DRIFT])
def test_clocks_that_do_not_heal(params: dict[str, Value]) -> None:
    cluster = FakeCluster()
    cluster.clocks.sticky = True
    done = skewed(params, cluster)
    assert done.bit.holds
    assert not done.healed.holds
    assert "not seen to be right again: n3 is off by" in done.healed.words


def test_nodes_that_are_down_come_last() -> None:
    cluster = FakeCluster()

    async def story() -> Course:
        await cluster.processes.kill("n3")
        return await course(Clock(), OFFSET, cluster)

    done = run(story())
    assert done.resolved.data["nodes"] == ("n1",)
    assert done.bit.holds


def test_a_node_that_is_killed_meanwhile() -> None:
    """What was read before counts, and a server that is down need not answer."""
    cluster = FakeCluster()

    async def story() -> None:
        fault = Clock().fault(FaultSpec("clock", OFFSET))
        where = context(cluster)
        await fault.begin(where)
        await asyncio.sleep(1)
        await cluster.processes.kill("n3")
        await asyncio.sleep(1)
        bit, healed = await fault.prove(where), await fault.end(where)
        assert bit.holds, bit.words
        assert healed.holds
        assert healed.words == "set right while gone: n3"
        assert not cluster.clocks.skews

    run(story())


def test_nobody_answers() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        for node in cluster.nodes:
            await cluster.processes.pause(node)
        fault = Clock().fault(FaultSpec("clock", STROBE))
        where = context(cluster)
        await fault.begin(where)
        await asyncio.sleep(2)
        bit = await fault.prove(where)
        assert not bit.holds
        assert bit.words.startswith("too little was heard of")
        assert (await fault.end(where)).holds
        assert not cluster.clocks.skews

    run(story())


def test_a_target_that_does_not_tell_the_time() -> None:
    class Mute:
        name = "mute"

    cluster = FakeCluster()

    async def story() -> None:
        fault = Clock().fault(FaultSpec("clock", OFFSET))
        mute: object = Mute()
        where = FaultContext(context(cluster).cluster, mute, "C1")  # type: ignore[arg-type]
        await fault.begin(where)
        bit = await fault.prove(where)
        assert bit.words == "target mute does not tell its clock"
        assert not bit.holds
        await fault.end(where)
        assert not cluster.clocks.skews

    run(story())


def test_a_skew_that_fails() -> None:
    cluster = FakeCluster()
    cluster.clocks.broken = {"skew"}

    async def story() -> None:
        fault = Clock().fault(FaultSpec("clock", OFFSET))
        with pytest.raises(EnvironmentFailure, match="clock not skewed: n3: skew is broken"):
            await fault.begin(context(cluster))
        failed = await fault.end(context(cluster))
        assert not failed.holds
        assert "clock not set right" in failed.words
        cluster.clocks.broken = set()
        assert (await fault.end(context(cluster))).holds

    run(story())


def test_watching_ends_with_the_fault() -> None:
    cluster = FakeCluster()
    target = FakeTarget(cluster)
    asked = 0
    honest = target.statuses

    async def counting(*args: object) -> object:
        nonlocal asked
        asked += 1
        return await honest(*args)  # type: ignore[arg-type]

    target.statuses = counting  # type: ignore[method-assign,assignment]

    async def story() -> None:
        as_target: Target = target
        where = context(cluster, as_target)
        fault = Clock().fault(FaultSpec("clock", OFFSET))
        await fault.begin(where)
        await asyncio.sleep(2)
        await fault.end(where)
        before = asked
        await asyncio.sleep(5)
        assert asked == before > 3

    run(story())


def test_damaged_parameters() -> None:
    with pytest.raises(UsageError, match="unknown role"):
        Clock().fault(FaultSpec("clock", {"who": "leader", "order": ORDER, "rate": 2.0}))
    with pytest.raises(UsageError, match="strobe_ms should be a whole number"):
        Clock().fault(FaultSpec("clock", {"who": "one", "order": ORDER}))
    with pytest.raises(UsageError, match="rate should be a number"):
        Clock().fault(FaultSpec("clock", {"who": "one", "order": ORDER, "rate": "fast"}))
    with pytest.raises(UsageError, match="known: offset, drift, strobe"):
        Clock().plan(random.Random(1), ORDER, 60 * SECOND, "backwards")


# -- the judge on its own -----------------------------------------------------------------------


def reading(at_ms: int, offset_ms: int, took_ms: int = 4) -> Reading:
    """Asked ``at_ms`` after the skew; in the middle the clock was off by ``offset_ms``."""
    half = took_ms * MILLISECOND // 2
    offset = offset_ms * MILLISECOND
    start = at_ms * MILLISECOND
    return Reading(start, start + took_ms * MILLISECOND, offset - half, offset + half)


def tally(*readings: Reading) -> Tally:
    made = Tally()
    for item in readings:
        made.add(item)
    return made


@pytest.mark.parametrize(
    ("skew", "readings", "holds"),
    [
        (ClockSkew(offset_ns=SECOND), [reading(100, 1000)], True),
        (ClockSkew(offset_ns=SECOND), [reading(100, 0)], False),
        (ClockSkew(offset_ns=SECOND), [reading(100, -1000)], False),
        (ClockSkew(offset_ns=SECOND), [reading(100, 500)], False),
        (ClockSkew(rate=1.5), [reading(2000, 1000)], True),
        (ClockSkew(rate=1.5), [reading(2000, 2000)], False),
        (ClockSkew(rate=0.5), [reading(2000, -1000)], True),
        # Too early to tell: the drift is within what a reading may be off.
        (ClockSkew(rate=1.5), [reading(50, 25)], False),
        (ClockSkew(strobe_ns=SECOND, strobe_period_ns=1), [reading(9, 1000), reading(9, 0)], True),
        (ClockSkew(strobe_ns=SECOND, strobe_period_ns=1), [reading(9, 1000)] * 20, False),
        (ClockSkew(strobe_ns=SECOND, strobe_period_ns=1), [reading(9, 500), reading(9, 0)], False),
        (ClockSkew(strobe_ns=SECOND, strobe_period_ns=1), [reading(9, 0)], False),
    ],
)
def test_what_readings_prove(skew: ClockSkew, readings: list[Reading], holds: bool) -> None:
    assert judge(lambda _: skew, {"n1": [tally(*readings)]}).holds is holds


def test_a_vague_reading_proves_nothing() -> None:
    """The node may have read its clock at any time of three seconds."""
    vague = reading(100, 1000, took_ms=3000)
    assert not judge(lambda _: ClockSkew(offset_ns=SECOND), {"n1": [tally(vague)]}).holds


def test_readings_from_before_the_skew_do_not_count() -> None:
    made = Tally(since_ns=10 * MILLISECOND, until_ns=20 * MILLISECOND)
    made.add(reading(15, 1000))
    assert not made.readings


def test_one_that_answers_truly_spoils_it() -> None:
    both = {"n1": [tally(reading(100, 1000))], "n2": [tally(reading(100, 0))]}
    verdict = judge(lambda _: ClockSkew(offset_ns=SECOND), both)
    assert not verdict.holds
    assert verdict.words == "not seen on the clock of n2"


def test_one_that_is_silent_does_not() -> None:
    both = {"n1": [tally(reading(100, 1000))], "n2": []}
    verdict = judge(lambda _: ClockSkew(offset_ns=SECOND), both)
    assert verdict.holds
    assert verdict.words.endswith("too little was heard of n2")


def test_a_server_that_restarts_drifts_anew() -> None:
    """Two seconds after its start it is one second off, whatever its life before."""
    start = 5_000 * MILLISECOND
    second = Tally(start, start)
    second.add(reading(7_000, 1000))
    assert judge(lambda _: ClockSkew(rate=1.5), {"n1": [tally(), second]}).holds
    assert not judge(lambda _: ClockSkew(rate=1.5), {"n1": [tally(reading(7_000, 1000))]}).holds


def test_killed_at_once_and_restarted_under_a_drift() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Clock().fault(FaultSpec("clock", {"who": "all", "order": ORDER, "rate": 2.0}))
        where = context(cluster)
        for node in ORDER:
            await cluster.processes.kill(node)
        await fault.begin(where)
        await asyncio.sleep(1)
        for node in ORDER:
            await cluster.processes.start(node)
        await asyncio.sleep(2)
        bit, healed = await fault.prove(where), await fault.end(where)
        assert bit.holds, bit.words
        assert healed.holds, healed.words

    run(story())


def test_a_skew_is_of_each_node_alone() -> None:
    bit = skewed(SKEW, FakeCluster()).bit
    assert "n1 -7" in bit.words
    assert "n2 +60000 ms" in bit.words or "n2 +599" in bit.words or "n2 +600" in bit.words
    with pytest.raises(UsageError, match="one for each node of its order"):
        Clock().fault(FaultSpec("clock", {**SKEW, "offsets_ms": (1, 2)}))
    with pytest.raises(UsageError, match="offsets_ms should be a list of whole numbers"):
        Clock().fault(FaultSpec("clock", {**SKEW, "offsets_ms": ("1",)}))


def test_only_named_kinds_are_left_out() -> None:
    steps = Clock().plan(random.Random(1), ORDER, 600 * SECOND, None)
    assert not any("offsets_ms" in step.fault.params for step in steps)
    steps = Clock().plan(random.Random(1), ORDER, 60 * SECOND, "skew")
    assert all(len(Clock().fault(step.fault)._lie.offsets_ns) == 5 for step in steps)
