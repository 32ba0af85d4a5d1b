"""Shares and medians against what is known of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.plan import RunSpec
from harness.core.trials import Share, Tried, cost_of_finding, share_found, time_to_violation
from harness.core.verdict import ExitCode


@pytest.mark.parametrize(
    ("found", "tried", "low", "high"),
    # Newcombe 1998, table I, method 3; and Wilson's interval of nothing found in 2000.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (0, 2000, 0, 0.0019),
    ],
)
def test_wilsons_interval(found: int, tried: int, low: float, high: float) -> None:
    assert Share(found, tried).interval == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_is_symmetric(numbers: tuple[int, int]) -> None:
    found, tried = numbers
    low, high = Share(found, tried).interval
    assert 0.0 <= low <= high <= 1.0
    if tried:
        assert low <= found / tried <= high
    other = Share(tried - found, tried).interval
    assert other == pytest.approx((1 - high, 1 - low))
    assert not any(map(math.isnan, (low, high)))


def tried(code: ExitCode, wall_s: float, found_ns: int | None = None) -> Tried:
    return Tried(RunSpec(), "", code, "", found_ns=found_ns, wall_s=wall_s)


def test_what_a_user_waits() -> None:
    """From each of the seeds on, in turn, until one finds it."""
    runs = [tried(ExitCode.VALID, 2.0), tried(ExitCode.VALID, 3.0), tried(ExitCode.VIOLATION, 0.5)]
    assert cost_of_finding(runs) == 3.5
    assert cost_of_finding(runs[:2]) is None
    assert cost_of_finding([]) is None
    assert share_found(runs) == Share(1, 3)


def test_when_it_was_certain() -> None:
    runs = [tried(ExitCode.VIOLATION, 1, 4_000_000_000), tried(ExitCode.VALID, 1)]
    assert time_to_violation(runs) == 4.0
    assert time_to_violation(runs[1:]) is None
