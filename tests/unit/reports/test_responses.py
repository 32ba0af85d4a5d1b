"""Latency from when a call was due: no call that was omitted is forgotten."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.core.operations import Call, Operation, Outcome
from harness.core.plan import FIRST_FINAL, Plan, RunSpec, Script
from harness.engine.clients import Pace
from reports.responses import responses

SPEC = RunSpec(rate=100.0, concurrency=10)
PLAN = Plan(SPEC, "sim", ("n1",), ())
MS = 1_000_000


def operation(process: int, start: int, end: int | None) -> Operation:
    outcome = Outcome.INFO if end is None else Outcome.OK
    return Operation(0, process, Call("read"), outcome, start, end)


@given(
    thread=st.integers(0, 9),
    slot=st.integers(0, 1_000),
    late_ns=st.integers(0, 20 * MS),
    took_ns=st.integers(1, 5_000 * MS),
)
def test_against_clients_that_never_wait(
    thread: int, slot: int, late_ns: int, took_ns: int
) -> None:
    """A client that would call in every slot, and get all answers when this one came."""
    pace = Pace(SPEC.rate, SPEC.concurrency)
    due = round((thread / SPEC.rate + slot * 0.1) * 1e9)
    start, end = due + late_ns, due + late_ns + took_ns
    waits, now = [], due
    while now < end:
        waits.append(end - now)
        now = round(pace.following(thread, (now + 10 * MS) / 1e9) * 1e9)
    assert responses(PLAN, operation(thread + 30, start, end)) == waits


def test_without_a_rate_only_its_own_time_counts() -> None:
    item = operation(3, 5, 400 * MS)
    own = [400 * MS - 5]
    script = replace(PLAN, script=Script((), ()))
    for plan in (None, script, replace(PLAN, spec=replace(SPEC, rate=0.0))):
        assert responses(plan, item) == own
    assert responses(PLAN, replace(item, process=FIRST_FINAL)) == own
    assert responses(PLAN, operation(3, 5, None)) == []
