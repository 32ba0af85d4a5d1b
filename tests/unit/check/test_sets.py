"""The set check: each way to break a set, and nothing else, is found."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.check.checkers import CHECKERS
from harness.core.operations import History, Operation
from harness.core.protocols import Evidence, Limits
from harness.core.values import Value
from harness.core.verdict import Verdict
from tests.unit.check.make import FAIL, INFO, OK, history, judged, kinds, operation

ADDS = (operation("add", 1, 0, 10), operation("add", 2, 20, 30))


def test_all_that_was_acknowledged_is_there() -> None:
    result = judged("set", *ADDS, operation("read", (2, 1), 40, 50))
    assert result.verdict is Verdict.VALID
    assert "2 elements (2 acknowledged) in 1 read" in result.reason


@pytest.mark.parametrize(
    ("reads", "kind"),
    [
        ([((1,), 40, 50)], "lost element"),
        ([((1,), 40, 50), ((1, 2), 60, 70)], "stale read"),
        ([((1, 2, 2), 40, 50)], "duplicate element"),
        ([((1, 2, 3), 40, 50)], "phantom element"),
        ([((2,), 25, 28), ((1, 2), 40, 50)], "stale read"),
        ([((1, 2), 5, 15), ((1, 2), 40, 50)], "phantom element"),
        ([(None, 40, 50)], "lost element"),
    ],
)
def test_what_is_broken_is_named(reads: list[tuple[Value, int, int]], kind: str) -> None:
    result = judged("set", *ADDS, *(operation("read", *read) for read in reads))
    assert result.verdict is Verdict.INVALID
    assert kind in kinds(result)
    first = result.anomalies[0]
    assert first.culprit in first.operations
    assert first.steps[-1] == first.sentence
    assert result.figures[kind.replace(" ", "_")] >= 1  # type: ignore[operator]


def test_a_refused_element_must_not_be_read() -> None:
    refused = operation("add", 3, 20, 30, FAIL)
    result = judged("set", *ADDS, refused, operation("read", (1, 2, 3), 40, 50))
    assert kinds(result) == {"phantom element"}
    assert "refused" in result.anomalies[0].sentence


def test_an_unanswered_element_may_be_read_or_not() -> None:
    asked = operation("add", 3, 20, None, INFO)
    for seen in ((1, 2), (1, 2, 3)):
        assert judged("set", *ADDS, asked, operation("read", seen, 40, 50)).verdict is Verdict.VALID


def test_what_was_seen_once_must_stay() -> None:
    asked = operation("add", 3, 20, None, INFO)
    reads = operation("read", (1, 2, 3), 40, 50), operation("read", (1, 2), 60, 70)
    result = judged("set", *ADDS, asked, *reads)
    assert kinds(result) == {"lost element"}
    assert "seen by process" in result.anomalies[0].sentence


def test_reads_that_disagree() -> None:
    both = operation("add", 1, 0, 100), operation("add", 2, 0, 100)
    reads = operation("read", (1,), 10, 90), operation("read", (2,), 10, 90)
    last = operation("read", (1, 2), 200, 210)
    assert kinds(judged("set", *both, *reads, last)) == {"reads that disagree"}


def test_a_later_element_implies_the_earlier_one() -> None:
    reads = operation("read", (2,), 5, 90), operation("read", (1, 2), 200, 210)
    assert kinds(judged("set", *ADDS, *reads)) == {"elements out of order"}


def test_touching_is_concurrent() -> None:
    assert (
        judged(
            "set", *ADDS, operation("read", (1,), 30, 30), operation("read", (1, 2), 31, 32)
        ).verdict
        is Verdict.VALID
    )


def test_keys_are_apart() -> None:
    result = judged(
        "set",
        operation("add", 1, 0, 10, key="a"),
        operation("read", (1,), 20, 30, key="a"),
        operation("add", 1, 0, 10, key="b"),
        operation("read", (), 20, 30, key="b"),
    )
    assert [anomaly.key for anomaly in result.anomalies] == ["b"]


@pytest.mark.parametrize(
    "operations",
    [
        (),
        ADDS,
        (operation("read", (), 0, 1),),
        (*ADDS, operation("read", None, 40, None, INFO)),
        (*ADDS, operation("read", (1,), 15, 18)),
        (*ADDS, operation("read", 7, 40, 50)),
    ],
    ids=["nothing", "no read", "no add", "no answer", "no read after the last", "no list"],
)
def test_what_was_not_seen_is_unknown(operations: tuple[Operation, ...]) -> None:
    assert judged("set", *operations).verdict is Verdict.UNKNOWN


def test_a_few_that_were_not_read_again_are_told() -> None:
    result = judged("set", *long_run(random.Random(1), 100), operation("add", 1000, 2000, 2001))
    assert result.verdict is Verdict.VALID
    assert "1 of 101 acknowledged elements were not read again" in result.reason


def test_a_limit_is_unknown_and_named() -> None:
    evidence = Evidence(history(*ADDS, operation("read", (1, 2), 40, 50)))
    result = CHECKERS["set"].check(evidence, Limits(time_s=-1.0))
    assert result.verdict is Verdict.UNKNOWN
    assert result.limit is not None


# -- against a check that tries every order -------------------------------------------------------


def legal_in_some_order(operations: History) -> bool:
    """Tries all orders: correct by being dumb. Sets and lists differ only in what a read sees."""
    items = [item for item in operations.operations if item.outcome is not FAIL]
    certain = [item for item in items if item.outcome is OK]
    unsure = [item for item in items if item.outcome is INFO and item.call.f != "read"]
    for mask in range(1 << len(unsure)):
        chosen = certain + [item for bit, item in enumerate(unsure) if mask >> bit & 1]
        if any(_legal(order) for order in permutations(chosen)):
            return True
    return False


def _legal(order: tuple[Operation, ...]) -> bool:
    state: list[Value] = []
    for place, item in enumerate(order):
        if any(later.end is not None and later.end < item.start for later in order[place + 1 :]):
            return False
        if item.call.f == "read":
            seen = list(item.result) if isinstance(item.result, tuple) else []
            if item.call.key == "set":
                if sorted(map(repr, seen)) != sorted(map(repr, state)):
                    return False
            elif seen != state:
                return False
        else:
            state.append(item.call.value)
    return True


@st.composite
def small_histories(draw: st.DrawFn, adds: str, key: str) -> History:
    """Up to six operations on elements 1 to 3, each added once."""
    times = st.integers(0, 12)
    operations = []
    for value in (1, 2, 3)[: draw(st.integers(1, 3))]:
        start = draw(times)
        outcome = draw(st.sampled_from((OK, OK, OK, INFO, FAIL)))
        end = None if outcome is INFO else start + draw(st.integers(1, 6))
        operations.append(operation(adds, value, start, end, outcome, key=key))
    pool = draw(st.permutations((1, 2, 3)))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(times)
        order = pool if draw(st.integers(0, 3)) else draw(st.permutations((1, 2, 3)))
        seen = tuple(order[: draw(st.integers(0, 3))])
        operations.append(operation("read", seen, start, start + draw(st.integers(1, 6)), key=key))
    return history(*operations)


@given(small_histories("add", "set"))
def test_agrees_with_all_orders(drawn: History) -> None:
    result = CHECKERS["set"].check(Evidence(drawn), Limits())
    assert (result.verdict is not Verdict.INVALID) == legal_in_some_order(drawn), result


@given(small_histories("append", "list"))
def test_lists_agree_with_all_orders(drawn: History) -> None:
    result = CHECKERS["append"].check(Evidence(drawn), Limits())
    assert (result.verdict is not Verdict.INVALID) == legal_in_some_order(drawn), result


# -- what a long run looks like -------------------------------------------------------------------


def long_run(rng: random.Random, count: int) -> list[Operation]:
    """One process adds, another reads: everything is there, always."""
    operations = []
    for number in range(count):
        operations.append(operation("add", number, number * 10, number * 10 + 4))
        if number % 10 == 9:
            seen = list(range(number + 1))
            rng.shuffle(seen)
            operations.append(operation("read", tuple(seen), number * 10 + 5, number * 10 + 8))
    return operations


@pytest.mark.parametrize("victim", [0, 57, 99])
def test_one_loss_in_a_long_run_is_found(victim: int) -> None:
    rng = random.Random(victim)
    whole = long_run(rng, 100)
    assert judged("set", *whole).verdict is Verdict.VALID
    broken = [
        operation("read", tuple(x for x in item.result if x != victim), item.start, item.end)
        if item.call.f == "read" and isinstance(item.result, tuple) and item.start > 980
        else item
        for item in whole
    ]
    result = judged("set", *broken)
    assert result.verdict is Verdict.INVALID
    assert kinds(result) == {"lost element"}
