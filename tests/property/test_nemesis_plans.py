"""Schedules: pure, in time, in a rotation, and the same for the same seed everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import UsageError
from harness.core.faults import FaultStep
from harness.core.protocols import Nemesis
from harness.core.rng import derive
from harness.core.units import SECOND
from harness.core.values import freeze, thaw
from harness.store.codec import decode, encode
from nemesis.churn import Churn
from nemesis.clock import Clock
from nemesis.disk import Disk
from nemesis.packet import Corrupt, Duplicate, Loss, Rate, Reorder, Slow
from nemesis.partition import Partition
from nemesis.process import Kill, Pause, Power
from nemesis.resources import Resources
from nemesis.restart import Restart
from nemesis.roles import majority
from nemesis.schedule import INTENSITIES, SHORTEST_LOAD_NS, windows
from nemesis.shapes import aim

FAMILIES: tuple[Callable[[], Nemesis], ...] = (
    *(Partition, Kill, Power, Pause, Clock, Slow, Loss),
    *(Duplicate, Reorder, Corrupt, Rate, Disk, Churn, Restart, Resources),
)
SEEDS = st.integers(0, 2**32)
LOADS = st.integers(SHORTEST_LOAD_NS, 600 * SECOND)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"n{number}" for number in range(1, count + 1))


@st.composite
def plans(draw: st.DrawFn) -> tuple[Nemesis, str | None, int, int, tuple[FaultStep, ...]]:
    """(nemesis, narrowing, nodes, load, schedule) of any family."""
    nemesis = draw(st.sampled_from(FAMILIES))()
    narrowing = draw(st.none() | st.sampled_from(sorted(nemesis.narrowings)))
    count, load = draw(st.integers(4, 9)), draw(LOADS)
    rng = derive(draw(SEEDS), nemesis.name)
    intensity = draw(st.sampled_from(INTENSITIES))
    steps = nemesis.plan(rng, names(count), load, narrowing, intensity)
    return nemesis, narrowing, count, load, steps


@given(SEEDS, LOADS)
def test_windows_leave_room(seed: int, load: int) -> None:
    found = windows(derive(seed, "windows"), load)
    assert found
    first = min(max(2 * SECOND, load * 8 // 100), load // 4)
    # Times are whole milliseconds, cut off: that may be one less.
    assert first - 1_000_000 <= found[0].at_ns <= first + SECOND
    assert found[-1].end_ns <= load - max(SECOND, load * 8 // 100)
    for window in found:
        assert window.duration_ns >= min(2 * SECOND, load // 3) - 1_000_000
        assert window.duration_ns <= 12 * SECOND
    for one, two in pairwise(found):
        assert 2 * SECOND - 2_000_000 <= two.at_ns - one.end_ns <= 4 * SECOND + 2_000_000


@given(SEEDS, LOADS, st.sampled_from(["calm", "brutal"]))
def test_windows_of_other_intensities_leave_room(seed: int, load: int, intensity: str) -> None:
    found = windows(derive(seed, "windows"), load, intensity)
    assert found
    assert found[-1].end_ns <= load - max(SECOND, load * 8 // 100)
    for one, two in pairwise(found):
        gap = two.at_ns - one.end_ns
        if intensity == "calm":
            assert 4 * SECOND - 2_000_000 <= gap <= 16 * SECOND + 2_000_000
        else:
            assert SECOND // 10 - 2_000_000 <= gap <= 2 * SECOND + 2_000_000
            assert SECOND // 10 - 1_000_000 <= one.duration_ns <= 4 * SECOND


@pytest.mark.parametrize(
    ("intensity", "low", "high"), [("calm", 3, 6), ("normal", 5, 8), ("brutal", 20, 60)]
)
def test_a_minute_has_room_for_several(intensity: str, low: int, high: int) -> None:
    counts = {len(windows(derive(seed, "windows"), 60 * SECOND, intensity)) for seed in range(50)}
    assert low <= min(counts)
    assert max(counts) <= high


def test_there_is_no_other_intensity() -> None:
    with pytest.raises(UsageError, match="known: calm, normal, brutal"):
        windows(derive(1, "windows"), 60 * SECOND, "cruel")


@given(plans())
def test_steps_are_in_time_and_never_overlap_within_a_family(
    case: tuple[Nemesis, str | None, int, int, tuple[FaultStep, ...]],
) -> None:
    nemesis, _, _, load, steps = case
    assert steps
    assert len({step.id for step in steps}) == len(steps)
    end = 0
    for step in steps:
        assert step.fault.kind == nemesis.name
        assert end < step.at_ns < load
        assert step.duration_ns > 0
        end = step.at_ns + step.duration_ns
    assert end < load


@given(SEEDS)
def test_ids_of_families_never_meet(seed: int) -> None:
    ids = [
        step.id
        for family in FAMILIES
        for step in family().plan(derive(seed, "any"), names(5), 60 * SECOND, None)
    ]
    assert len(set(ids)) == len(ids)


@given(plans())
def test_a_plan_survives_being_stored(
    case: tuple[Nemesis, str | None, int, int, tuple[FaultStep, ...]],
) -> None:
    nemesis, _, _, _, steps = case
    for step in steps:
        read = decode(FaultStep, json.loads(json.dumps(encode(step))), "plan.json")
        assert dict(read.fault.params) == dict(step.fault.params)
        assert read.at_ns == step.at_ns
        nemesis.fault(read.fault)
        for value in step.fault.params.values():
            assert freeze(thaw(value)) == value


@given(st.sampled_from([Partition, Kill, Pause]), st.integers(4, 9), SEEDS)
def test_every_second_fault_is_meant_for_the_leader(
    family: Callable[[], Nemesis], count: int, seed: int
) -> None:
    steps = family().plan(derive(seed, "any"), names(count), 60 * SECOND, None)
    meant = [_for_leader(step) for step in steps]
    assert meant == [place % 2 == 0 for place in range(len(steps))]


def _for_leader(step: FaultStep) -> bool:
    shape = step.fault.params.get("shape")
    return (
        aim(shape) == "leader" if isinstance(shape, str) else step.fault.params["who"] == "leader"
    )


@given(SEEDS, st.integers(2, 9))
def test_kills_of_a_majority_end_while_others_are_still_down(seed: int, count: int) -> None:
    for narrowing in ("majority", "all"):
        for step in Kill().plan(derive(seed, "kill"), names(count), 60 * SECOND, narrowing):
            gap = step.fault.params["gap_ms"]
            assert isinstance(gap, int)
            assert gap >= 100
    window = next(iter(windows(derive(seed, "kill"), 60 * SECOND)))
    assert window.duration_ns >= step.duration_ns
    assert majority(count) * 2 > count


@pytest.mark.parametrize("family", FAMILIES)
def test_a_load_that_is_too_short(family: Callable[[], Nemesis]) -> None:
    with pytest.raises(UsageError, match="--time-limit 3 is too short for a fault: give 4 s"):
        family().plan(derive(1, "any"), names(5), 3 * SECOND, None)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_narrowing_says_what_it_means_and_works_where_it_can(
    family: Callable[[], Nemesis],
) -> None:
    nemesis = family()
    for narrowing, meaning in nemesis.narrowings.items():
        assert meaning
        for count in range(1, 10):
            try:
                steps = nemesis.plan(derive(1, "any"), names(count), 8 * SECOND, narrowing)
            except UsageError as error:
                assert count < (5 if narrowing == "swizzle" else 4)
                assert f"not {count}" in str(error) or "at least 2 nodes" in str(error)
            else:
                assert len(steps) >= 1


DUMP = """
import json, sys
from tests.property.test_nemesis_plans import everything
json.dump(everything(), sys.stdout)
"""


def everything() -> Any:
    """Every family's and every narrowing's plan for some seeds, as JSON data."""
    found = []
    for family in FAMILIES:
        nemesis = family()
        for narrowing in (None, *nemesis.narrowings):
            for seed in (1, 2):
                steps = nemesis.plan(derive(seed, "any"), names(5), 60 * SECOND, narrowing)
                found.append([encode(step) for step in steps])
    return found


def test_the_same_seed_gives_the_same_plan_under_any_hash_seed() -> None:
    outputs = set()
    for hash_seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", DUMP],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert json.loads(outputs.pop()) == json.loads(json.dumps(everything()))
