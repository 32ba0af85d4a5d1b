"""The counter check against its definition."""

from __future__ import annotations

import random
from itertools import chain, combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.check.checkers import CHECKERS
from harness.core.operations import History, Operation
from harness.core.protocols import Evidence, Limits
from harness.core.values import Value
from harness.core.verdict import Verdict
from tests.unit.check.make import FAIL, INFO, OK, history, judged, kinds, operation

ADDS = (operation("add", 5, 0, 10), operation("add", 2, 20, 30))


@pytest.mark.parametrize(
    ("read", "found"),
    [
        ((7, 40, 50), set()),
        ((5, 12, 18), set()),
        ((5, 25, 28), set()),
        ((7, 25, 28), set()),
        ((6, 40, 50), {"lost addition"}),
        ((8, 40, 50), {"surplus"}),
        ((7, 12, 18), {"surplus"}),
        ((None, 40, 50), {"lost addition"}),
        (("7", 40, 50), {"not a number"}),
    ],
)
def test_bounds(read: tuple[Value, int, int], found: set[str]) -> None:
    result = judged("counter", *ADDS, operation("read", *read))
    assert kinds(result) == found
    assert result.verdict is (Verdict.INVALID if found else Verdict.VALID)


def test_increments_are_additions() -> None:
    one, read = operation("increment", 5, 0, 10), operation("read", 5, 20, 30)
    assert judged("counter", one, read).verdict is Verdict.VALID
    assert kinds(judged("counter", one, operation("read", 4, 20, 30))) == {"lost addition"}


@pytest.mark.parametrize("checker", ["counter", "set", "append"])
def test_what_a_check_does_not_know_accuses_nobody(checker: str) -> None:
    result = judged(checker, operation("double", 5, 0, 10), operation("read", 5, 20, 30))
    assert result.verdict is Verdict.UNKNOWN
    assert "'double'" in result.reason


def test_refused_and_unanswered() -> None:
    asked = operation("add", 10, 20, None, INFO)
    refused = operation("add", 100, 20, 30, FAIL)
    for value, verdict in ((7, Verdict.VALID), (17, Verdict.VALID), (107, Verdict.INVALID)):
        read = operation("read", value, 40, 50)
        assert judged("counter", *ADDS, asked, refused, read).verdict is verdict


def test_negative_deltas_widen_downwards() -> None:
    less = operation("add", -3, 35, 60)
    for value, verdict in ((7, Verdict.VALID), (4, Verdict.VALID), (3, Verdict.INVALID)):
        read = operation("read", value, 40, 50)
        assert judged("counter", *ADDS, less, read).verdict is verdict


def test_going_back() -> None:
    asked = operation("add", 10, 0, None, INFO)
    reads = operation("read", 17, 40, 50), operation("read", 7, 60, 70)
    assert kinds(judged("counter", *ADDS, asked, *reads)) == {"counter going back"}


@pytest.mark.parametrize(
    "operations",
    [
        (),
        ADDS,
        (operation("read", 0, 0, 5),),
        (operation("add", "x", 0, 5), operation("read", 0, 6, 7)),
    ],
)
def test_nothing_to_check_is_unknown(operations: tuple[object, ...]) -> None:
    result = judged("counter", *operations)  # type: ignore[arg-type]
    assert result.verdict is Verdict.UNKNOWN


@st.composite
def counters(draw: st.DrawFn) -> History:
    operations = []
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, 12))
        outcome = draw(st.sampled_from((OK, OK, INFO, FAIL)))
        end = None if outcome is INFO else start + draw(st.integers(0, 6))
        delta = draw(st.integers(-3, 5))
        operations.append(operation("add", delta, start, end, outcome))
    start = draw(st.integers(0, 15))
    value = draw(st.integers(-6, 14))
    operations.append(operation("read", value, start, start + draw(st.integers(0, 5))))
    return history(*operations)


def possible(drawn: History) -> bool:
    """All subsets of what may or may not have been added, with all that must: is one in bounds?

    With a single read the bounds are the reach of these sums.
    """
    (read,) = (item for item in drawn.operations if item.call.f == "read")
    must, may = 0, []
    for item in drawn.operations:
        delta = item.call.value
        if item.call.f == "read" or item.outcome is FAIL or not isinstance(delta, int):
            continue
        if item.end is not None and item.end < read.start:
            must += delta
        elif read.end is not None and item.start <= read.end:
            may.append(delta)
    subsets = chain.from_iterable(combinations(may, size) for size in range(len(may) + 1))
    sums = [must + sum(subset) for subset in subsets]
    return isinstance(read.result, int) and min(sums) <= read.result <= max(sums)


@given(counters())
def test_agrees_with_all_subsets(drawn: History) -> None:
    result = CHECKERS["counter"].check(Evidence(drawn), Limits())
    assert (result.verdict is not Verdict.INVALID) == possible(drawn), result


@st.composite
def growing_counters(draw: st.DrawFn) -> History:
    """Up to three additions and three reads, nothing negative."""
    operations = []
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, 12))
        outcome = draw(st.sampled_from((OK, OK, INFO, FAIL)))
        end = None if outcome is INFO else start + draw(st.integers(0, 6))
        operations.append(operation("add", draw(st.integers(0, 3)), start, end, outcome))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, 15))
        value = draw(st.integers(0, 7))
        operations.append(operation("read", value, start, start + draw(st.integers(0, 5))))
    return history(*operations)


def legal_in_some_order(drawn: History) -> bool:
    items = [item for item in drawn.operations if item.outcome is not FAIL]
    certain = [item for item in items if item.outcome is OK]
    unsure = [item for item in items if item.outcome is INFO]
    return any(
        _legal(order)
        for size in range(len(unsure) + 1)
        for chosen in combinations(unsure, size)
        for order in permutations([*certain, *chosen])
    )


def _legal(order: tuple[Operation, ...]) -> bool:
    total = 0
    for place, item in enumerate(order):
        if any(later.end is not None and later.end < item.start for later in order[place + 1 :]):
            return False
        if item.call.f == "read" and item.result != total:
            return False
        if isinstance(item.call.value, int):
            total += item.call.value
    return True


@given(growing_counters())
def test_what_is_accused_has_no_legal_order(drawn: History) -> None:
    """The bounds are no proof of health, but what they refuse is wrong."""
    result = CHECKERS["counter"].check(Evidence(drawn), Limits())
    if result.verdict is Verdict.INVALID:
        assert not legal_in_some_order(drawn), result
        for anomaly in result.anomalies:
            shown = [item for item in drawn.operations if item.index in anomaly.operations]
            if len(shown) > 1 and anomaly.kind != "surplus":
                # The picture alone is wrong, but for what was there before its first read.
                first = min(shown, key=lambda item: item.start)
                base = operation("add", first.result, -9, -5)
                assert not legal_in_some_order(history(base, *shown)), (shown, anomaly)


def test_steps_are_sharper_than_bounds() -> None:
    loose = operation("add", 100, 0, None, INFO)
    adds = loose, operation("add", 5, 10, 12), operation("add", 3, 30, 40)
    before, low = operation("read", 5, 20, 25), operation("read", 6, 50, 55)
    result = judged("counter", *adds, before, low)
    assert kinds(result) == {"lost addition"}
    assert result.anomalies[0].operations == (2, 3, 4)
    assert result.anomalies[0].sentence == (
        "Process 4 read 6, but process 2 had read 5 before, and 3 more had been acknowledged in "
        "between."
    )
    high = operation("read", 109, 50, 55)
    assert kinds(judged("counter", *adds, before, high)) == {"surplus"}
    assert judged("counter", *adds, before, operation("read", 108, 50, 55)).verdict is Verdict.VALID


def test_a_lost_and_a_doubled_addition_in_a_long_run() -> None:
    rng = random.Random(1)
    total, operations = 0, []
    for number in range(200):
        delta = rng.randint(1, 5)
        total += delta
        operations.append(operation("add", delta, number * 10, number * 10 + 4))
        operations.append(operation("read", total, number * 10 + 5, number * 10 + 8))
    assert judged("counter", *operations).verdict is Verdict.VALID
    for change in (1, -1):
        read = operations[301]
        assert isinstance(read.result, int)
        wrong = operation("read", read.result + change, read.start, read.end)
        broken = [*operations[:301], wrong, *operations[302:]]
        assert judged("counter", *broken).verdict is Verdict.INVALID


def test_the_model_takes_increments_and_an_absent_counter_for_its_initial_value() -> None:
    from harness.check import check
    from harness.core.operations import Call, History, Operation, Outcome
    from harness.core.verdict import Verdict

    def history(*read: int | None) -> History:
        first = Operation(0, 0, Call("read", "k"), Outcome.OK, 0, 1, read[0])
        added = Operation(2, 0, Call("increment", "k", 2), Outcome.OK, 2, 3)
        then = Operation(4, 0, Call("read", "k"), Outcome.OK, 4, 5, read[1])
        return History((first, added, then))

    assert check(history(None, 2), "counter").verdict is Verdict.VALID
    assert check(history(0, 2), "counter").verdict is Verdict.VALID
    assert check(history(None, 3), "counter").verdict is Verdict.INVALID
    assert check(history(None, None), "counter").verdict is Verdict.INVALID
