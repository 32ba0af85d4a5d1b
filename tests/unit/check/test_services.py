"""The checks of queues, locks, banks and ids: exact about what they know, silent about the rest."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.check import parse_model
from harness.check.checkers import CHECKERS
from harness.core.operations import MISMATCH, Call, History, Operation, Outcome
from harness.core.protocols import Evidence, Limits
from harness.core.values import Value
from harness.core.verdict import CheckResult, Verdict
from tests.fuzz_checker import SUBJECTS, UNIQUE, Subject, judge, random_history
from tests.unit.check.make import kinds

OK, FAIL, INFO = Outcome.OK, Outcome.FAIL, Outcome.INFO


def op(
    f: str,
    value: Value,
    start: int,
    end: int | None,
    result: Value = None,
    outcome: Outcome = OK,
) -> Operation:
    error = MISMATCH if outcome is FAIL else None
    return Operation(0, 0, Call(f, "k", value), outcome, start, end, result, error)


def unanswered(f: str, value: Value, start: int) -> Operation:
    return op(f, value, start, None, None, INFO)


def judged(name: str, *operations: Operation) -> CheckResult:
    ordered = sorted(operations, key=lambda it: it.start)
    told = [replace(it, index=place, process=place) for place, it in enumerate(ordered)]
    return CHECKERS[name].check(Evidence(History(told)), Limits())


IN = (op("enqueue", 1, 0, 10), op("enqueue", 2, 20, 30))
EMPTY = op("dequeue", None, 90, 99)


@pytest.mark.parametrize(
    ("operations", "found"),
    [
        ((op("dequeue", None, 40, 50, 1), op("dequeue", None, 60, 70, 2), EMPTY), set()),
        ((op("dequeue", None, 40, 50, 2), op("dequeue", None, 60, 70, 1), EMPTY), set()),
        ((op("dequeue", None, 40, 50, 1), EMPTY), {"lost element"}),
        ((op("dequeue", None, 40, 50, 1), unanswered("dequeue", None, 60), EMPTY), set()),
        ((unanswered("dequeue", None, 60), EMPTY), {"lost element"}),
        (
            (op("dequeue", None, 40, 50, 1), EMPTY, unanswered("dequeue", None, 100)),
            {"lost element"},
        ),
        ((op("dequeue", None, 40, 50, 1), op("dequeue", None, 60, 70, 1)), {"duplicate element"}),
        ((op("dequeue", None, 40, 50, 9), op("dequeue", None, 60, 70, 1)), {"phantom element"}),
        (
            (op("dequeue", None, 40, 50, 3), op("enqueue", 3, 60, 70)),
            {"phantom element"},
        ),
        (
            (op("dequeue", None, 40, 50, 3), op("enqueue", 3, 0, 10, None, FAIL)),
            {"phantom element"},
        ),
        ((op("dequeue", None, 40, 50, 3), unanswered("enqueue", 3, 35)), set()),
    ],
)
def test_queues(operations: tuple[Operation, ...], found: set[str]) -> None:
    result = judged("queue", *IN, *operations)
    assert kinds(result) == found
    assert (result.verdict is Verdict.INVALID) == bool(found)


def test_a_queue_that_was_not_drained_proves_nothing() -> None:
    result = judged("queue", *IN, op("dequeue", None, 40, 50, 1))
    assert result.verdict is Verdict.UNKNOWN
    assert "of 1 it was not seen" in result.reason
    drained = judged("queue", *IN, op("dequeue", None, 40, 50, 1), op("dequeue", None, 5, 8))
    assert drained.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("operations", "found"),
    [
        ((op("release", 1, 20, 30), op("acquire", 1, 25, 50, 2)), set()),
        ((op("acquire", 1, 15, 18, 2),), {"two holders"}),
        ((op("release", 1, 20, 30), op("acquire", 1, 12, 19, 2)), {"two holders"}),
        ((op("release", 1, 20, 30), op("acquire", 1, 40, 50, 1)), {"token given twice"}),
        ((op("acquire", 9, -20, -10, 5), op("release", 5, -5, -1)), {"token went back"}),
        ((op("release", 1, 20, 30, None, FAIL), op("acquire", 1, 40, 50, 2)), {"lock lost"}),
        ((unanswered("release", 1, 20), op("acquire", 1, 40, 50, 2)), set()),
        ((unanswered("release", 1, 20), op("release", 1, 40, 50, None, FAIL)), set()),
        ((unanswered("acquire", 1, 2), op("release", 1, 20, 30)), set()),
    ],
)
def test_locks(operations: tuple[Operation, ...], found: set[str]) -> None:
    result = judged("lock", op("acquire", 0, 0, 10, 1), *operations)
    assert kinds(result) == found
    assert (result.verdict is Verdict.INVALID) == bool(found)


def test_a_release_that_was_refused_for_another_reason_is_none() -> None:
    refused = replace(op("release", 1, 20, 30, None, FAIL), error="no_leader")
    later = op("acquire", 1, 40, 50, 2), op("release", 1, 60, 70)
    assert kinds(judged("lock", op("acquire", 0, 0, 10, 1), refused, *later)) == {"two holders"}


OPEN = op("open", ("a", "b", 10), 0, 10)


@pytest.mark.parametrize(
    ("operations", "found"),
    [
        ((op("snapshot", ("a", "b"), 20, 30, (12, 8)),), set()),
        ((op("snapshot", ("a", "b"), 20, 30, (12, 10)),), {"total changed"}),
        ((op("snapshot", ("a", "b"), 20, 30, (21, -1)),), {"negative balance"}),
        ((op("snapshot", ("a", "b"), 20, 30, (20, None)),), {"total changed"}),
        ((op("snapshot", ("a", "b"), 20, 30, (None, None)),), {"accounts lost"}),
        ((op("snapshot", ("a", "b"), 5, 30, (None, None)),), set()),
    ],
)
def test_banks(operations: tuple[Operation, ...], found: set[str]) -> None:
    result = judged("bank", OPEN, op("transfer", ("b", "a", 2), 12, 18), *operations)
    assert kinds(result) == found
    assert result.verdict is (Verdict.INVALID if found else Verdict.VALID)


def test_ids() -> None:
    fine = [op("generate", None, 10 * number, 10 * number + 5, number) for number in range(4)]
    assert judged("unique-ids", *fine, unanswered("generate", None, 7)).verdict is Verdict.VALID
    again = judged("unique-ids", *fine, op("generate", None, 60, 70, 2))
    assert kinds(again) == {"id given twice"}
    assert again.anomalies[0].operations == (2, 4)


@pytest.mark.parametrize("name", ["queue", "lock", "bank", "unique-ids"])
def test_without_anything_to_check_nothing_is_proven(name: str) -> None:
    assert judged(name).verdict is Verdict.UNKNOWN
    assert judged(name, op("delete", 1, 0, 1)).verdict is Verdict.UNKNOWN


CHECKED = {
    "queue": UNIQUE["fifo-queue"],
    "lock": SUBJECTS["fenced-lock"],
    "bank": SUBJECTS["bank"],
}


@pytest.mark.parametrize("name", CHECKED)
@given(seed=st.integers(0, 1 << 32))
def test_what_is_linearizable_is_never_accused(name: str, seed: int) -> None:
    subject = CHECKED[name]
    history = drawn(seed, subject)
    result = CHECKERS[name].check(Evidence(history), Limits())
    if result.verdict is Verdict.INVALID:
        assert not judge(history, parse_model(subject.model)), result.reason


def drawn(seed: int, subject: Subject) -> History:
    return random_history(
        random.Random(seed),
        subject,
        operations=3 + seed % 7,
        clients=2 + seed % 3,
        lost=(0, 0.2)[seed % 2],
        lies=(0, 0.1, 0.3)[seed // 2 % 3],
    )
