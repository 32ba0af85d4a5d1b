"""Faults of many families: how many are in force at once, and that each family has its turn."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from harness.core.faults import FaultSpec, FaultStep
from harness.core.units import SECOND
from nemesis.schedule import MOST_AT_ONCE, thinned, windows


def drawn(seed: int, families: int, load_s: int, intensity: str) -> list[FaultStep]:
    steps = []
    for family in range(families):
        rng = random.Random(f"{seed}/{family}")
        for number, window in enumerate(windows(rng, load_s * SECOND, intensity), start=1):
            fault = FaultSpec(f"f{family}", {})
            name = f"f{family}-{number}"
            steps.append(FaultStep(name, window.at_ns, window.duration_ns, fault))
    return steps


def most_at_once(steps: tuple[FaultStep, ...]) -> int:
    """It is reached when a fault begins."""
    return max(
        sum(step.at_ns <= at < step.at_ns + step.duration_ns for step in steps)
        for at in (step.at_ns for step in steps)
    )


@pytest.mark.parametrize("intensity", ["calm", "normal"])
@pytest.mark.parametrize("seed", range(20))
def test_few_are_in_force_at_once_and_nobody_is_left_out(seed: int, intensity: str) -> None:
    steps = drawn(seed, 18, 60, intensity)
    kept = thinned(random.Random(seed), steps, intensity)
    drawn_ids = {step.id: step for step in steps}
    assert most_at_once(kept) == MOST_AT_ONCE
    assert list(kept) == sorted(kept, key=lambda step: (step.at_ns, step.id))
    assert {step.fault.kind for step in kept} == {f"f{family}" for family in range(18)}
    assert len({step.id for step in kept}) == len(kept) < len(steps)
    end_ns = max(step.at_ns + step.duration_ns for step in steps)
    for step in kept:
        drawn_ns = drawn_ids[step.id].at_ns
        assert drawn_ns <= step.at_ns <= end_ns - step.duration_ns
    # What comes at another time than it was drawn for is its family's only one.
    counts = Counter(step.fault.kind for step in kept)
    moved = [step for step in kept if step.at_ns != drawn_ids[step.id].at_ns]
    assert all(counts[step.fault.kind] == 1 for step in moved)


@pytest.mark.parametrize("load_s", [4, 8, 15, 30])
def test_in_a_short_load_more_are_in_force_at_once_so_that_nobody_is_left_out(load_s: int) -> None:
    steps = drawn(1, 18, load_s, "normal")
    kept = thinned(random.Random(1), steps, "normal")
    assert {step.fault.kind for step in kept} == {f"f{family}" for family in range(18)}
    assert MOST_AT_ONCE < most_at_once(kept) <= 18
    assert most_at_once(kept) <= (7 if load_s == 30 else 18)


@pytest.mark.parametrize(("families", "intensity"), [(MOST_AT_ONCE, "normal"), (18, "brutal")])
def test_everything_stays(families: int, intensity: str) -> None:
    steps = drawn(1, families, 60, intensity)
    kept = thinned(random.Random(1), steps, intensity)
    assert sorted(kept, key=lambda step: step.id) == sorted(steps, key=lambda step: step.id)


def test_the_same_stream_draws_the_same() -> None:
    steps = drawn(3, 18, 60, "normal")
    once, again = (thinned(random.Random(7), steps, "normal") for _ in range(2))
    assert once == again


def test_nothing_of_nothing() -> None:
    assert thinned(random.Random(1), (), "normal") == ()
