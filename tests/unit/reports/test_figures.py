"""Buckets against a dumb count, and what aggregation may never lose."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.operations import Call, History, Operation, Outcome
from harness.core.units import MILLISECOND, SECOND
from reports import figures as module
from reports.figures import BUCKETS, bucket_width, figures, quantile
from tests.unit.reports import records


@st.composite
def operations(draw: st.DrawFn) -> tuple[Operation, ...]:
    found = []
    for index in range(draw(st.integers(0, 30))):
        start = draw(st.integers(0, 30_000)) * MILLISECOND
        outcome = draw(st.sampled_from(Outcome))
        took = draw(st.integers(0, 3_000)) * MILLISECOND
        end = None if outcome is Outcome.INFO else start + took
        found.append(Operation(index, 0, Call("read"), outcome, start, end))
    return tuple(sorted(found, key=lambda item: item.start))


@given(operations(), st.integers(1, 40_000))
def test_buckets_against_a_dumb_count(made: tuple[Operation, ...], duration_ms: int) -> None:
    # Without a plan there is no rate: what an operation took is all that was waited for.
    record = replace(
        records.environment(),
        plan=None,
        history=History(made),
        duration_ns=duration_ms * MILLISECOND,
    )
    found = figures(record, None, frozenset())
    assert found.rows == made
    starts = [bucket.start for bucket in found.buckets]
    assert starts == [number * found.width_ns for number in range(len(starts))]
    for number, bucket in enumerate(found.buckets):
        last = number + 1 == len(starts)
        assert bucket.end == starts[number + 1] if not last else bucket.end >= bucket.start
        until = duration_ms * 10**12 if last else bucket.end
        within = range(bucket.start, until)
        ok = [
            item.end - item.start
            for item in made
            if item.outcome is Outcome.OK and item.end is not None and item.end in within
        ]
        fail = [
            i for i in made if i.outcome is Outcome.FAIL and i.end is not None and i.end in within
        ]
        info = [item for item in made if item.outcome is Outcome.INFO and item.start in within]
        assert bucket.counts == (len(ok), len(fail), len(info))
        assert bucket.p50 == (sorted(ok)[len(ok) // 2] if ok else None)
    assert sum(sum(bucket.counts) for bucket in found.buckets) == len(made)


@given(st.integers(1, 10**15))
def test_bucket_widths(duration_ns: int) -> None:
    width = bucket_width(duration_ns)
    assert duration_ns // width <= BUCKETS
    if duration_ns >= 20 * SECOND:
        assert width >= SECOND


def test_quantiles_are_nearest_rank() -> None:
    assert quantile([], 0.5) is None
    assert quantile([7], 0.99) == 7
    assert quantile(list(range(100)), 0.99) == 99
    assert quantile([1, 2, 3, 4], 0.5) == 3


def test_aggregation_keeps_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    record = records.stale_read()
    everything = record.history.operations
    marked = frozenset(records.STALE.operations)
    monkeypatch.setattr(module, "RAW_LIMIT", 100)
    monkeypatch.setattr(module, "SLOWEST", 50)
    found = figures(record, records.STALE.at_ns, marked)
    kept = {item.index for item in found.rows}
    assert found.aggregated
    assert marked <= kept
    edges = [record.faults[0].began_ns or 0, records.STALE.at_ns or 0]
    for item in everything:
        if any(abs(item.start - edge) < SECOND for edge in edges):
            assert item.index in kept
    finished = [item for item in everything if item.end is not None]
    finished.sort(key=lambda item: (item.end or 0) - item.start, reverse=True)
    threshold = (finished[49].end or 0) - finished[49].start
    for item in finished[:50]:
        assert item.index in kept or (item.end or 0) - item.start == threshold
    assert [item.start for item in found.rows] == sorted(item.start for item in found.rows)
    assert found.total == len(everything)
