"""The list check: order, beyond what a set can get wrong."""

from __future__ import annotations

import pytest

from harness.core.values import Value
from harness.core.verdict import Verdict
from tests.unit.check.make import INFO, judged, kinds, operation

APPENDS = (operation("append", 1, 0, 10), operation("append", 2, 20, 30))


@pytest.mark.parametrize(
    ("reads", "found"),
    [
        ([((1, 2), 40, 50)], set()),
        ([((1,), 15, 25), ((1, 2), 40, 50)], set()),
        ([((2, 1), 40, 50)], {"order against time"}),
        ([((1,), 40, 50)], {"lost element"}),
        ([((1, 2, 1), 40, 50)], {"duplicate element"}),
        ([((1, 2, 9), 40, 50)], {"phantom element"}),
    ],
)
def test_reads_of_a_list(reads: list[tuple[Value, int, int]], found: set[str]) -> None:
    result = judged("append", *APPENDS, *(operation("read", *read) for read in reads))
    assert kinds(result) == found
    assert result.verdict is (Verdict.INVALID if found else Verdict.VALID)


def test_two_reads_that_fork() -> None:
    both = operation("append", 1, 0, 10), operation("append", 2, 0, 10)
    reads = operation("read", (1, 2), 20, 30), operation("read", (2, 1), 40, 50)
    result = judged("append", *both, *reads)
    assert kinds(result) == {"order that differs"}
    assert "place 1" in result.anomalies[0].sentence


def test_an_unanswered_append_may_come_at_any_time() -> None:
    late = operation("append", 3, 5, None, INFO)
    for seen in ((1, 2), (3, 1, 2), (1, 3, 2), (1, 2, 3)):
        read = operation("read", seen, 40, 50)
        assert judged("append", *APPENDS, late, read).verdict is Verdict.VALID
    early = operation("read", (1, 2), 31, 35)
    for seen in ((3, 1, 2), (1, 3, 2)):
        read = operation("read", seen, 40, 50)
        assert kinds(judged("append", *APPENDS, late, early, read)) == {"order that differs"}


def test_text_is_no_list() -> None:
    assert judged("append", *APPENDS, operation("read", "12", 40, 50)).verdict is Verdict.UNKNOWN
