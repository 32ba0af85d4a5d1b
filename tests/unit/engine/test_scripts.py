"""Where two runs of one plan part."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.core.operations import Call, History, Operation, Outcome
from harness.core.plan import FIRST_FINAL, Plan, RunSpec, node_names
from harness.engine.scripts import divergence

PLAN = Plan(RunSpec(nodes=3, concurrency=3), "netns", node_names(3), ())
READ = Call("read", "k")


def answered(process: int, at: int, result: int = 0) -> Operation:
    return Operation(
        2 * at, process, READ, Outcome.OK, start=at * 10, end=at * 10 + 5, result=result
    )


THEN = [answered(number % 3, number) for number in range(30)] + [
    answered(FIRST_FINAL + number, 40 + number) for number in range(3)
]


def test_the_same_calls_and_answers_do_not_part_whenever_they_came() -> None:
    later = [replace(item, index=item.index + 7, start=item.start + 3) for item in THEN]
    assert divergence(PLAN, History(THEN), History(later)) is None
    found = divergence(PLAN, History(THEN), History(later), exact=True)
    assert found is not None and found.then == THEN[0]


def test_a_client_whose_process_died_goes_on_as_another() -> None:
    now = [
        replace(item, process=item.process + 3) if item.process == 1 and item.start > 100 else item
        for item in THEN
    ]
    assert divergence(PLAN, History(THEN), History(now)) is None


@given(st.sets(st.integers(0, 32), min_size=1), st.booleans())
def test_the_earliest_is_told(places: set[int], missing: bool) -> None:
    if missing:
        # What follows a call that is missing moves up in its client's line, so it must be a last.
        places = {max(places)} if max(places) >= 27 else {29}
    now = [
        item if place not in places else replace(item, result=99)
        for place, item in enumerate(THEN)
        if not (missing and place in places)
    ]
    found = divergence(PLAN, History(THEN), History(now))
    assert found is not None and found.then is not None
    first = THEN[min(places)]
    assert found.then == first
    assert found.client == (None if min(places) >= 30 else first.process)
    assert (found.now is None) is missing
