"""The search during the run: what it keeps, what it gives up, what it says."""

from __future__ import annotations

import pytest

from harness.check.online import Online
from harness.core.operations import Call, Complete, Completion, Event, Invoke, Outcome
from harness.core.protocols import Limits
from harness.core.values import Value
from harness.core.verdict import Verdict

OK = Outcome.OK


def call(index: int, f: str, value: Value = None, at_ns: int | None = None) -> Event:
    return Invoke(index, index, None, index if at_ns is None else at_ns, Call(f, "k", value))


def end(index: int, of: int, value: Value = None, outcome: Outcome = OK) -> Event:
    return Complete(index, of, index, Completion(outcome, value))


def fed(online: Online, *events: Event) -> Online:
    for event in events:
        online.feed(event)
    return online


def test_a_stale_read_is_found_when_it_has_returned() -> None:
    online = fed(Online("register"), call(0, "write", 1), end(1, 0), call(2, "read"))
    assert online.look().verdict is Verdict.VALID
    found = fed(online, end(3, 2, None), call(4, "read")).look()
    assert found.verdict is Verdict.INVALID
    assert found.violation is not None
    assert (found.violation.key, found.violation.operation.index) == ("k", 2)
    assert fed(online, end(5, 4, 1)).look(final=True).violation == found.violation


def test_a_call_that_hangs_does_not_delay_what_is_found() -> None:
    online = fed(Online("register"), call(0, "write", 7))
    fed(online, call(1, "write", 1), end(2, 1), call(3, "read"), end(4, 3, 9))
    found = online.look(final=True)
    assert found.violation is not None and found.violation.operation.index == 3


def test_a_hanging_write_may_explain_a_read() -> None:
    online = fed(Online("register"), call(0, "write", 7), call(1, "read"), end(2, 1, 7))
    assert online.look(final=True).verdict is Verdict.VALID


def test_a_refused_write_explains_nothing_any_more() -> None:
    online = fed(Online("register"), call(0, "write", 7), call(1, "read"), end(2, 1, 7))
    assert online.look().verdict is Verdict.VALID
    found = fed(online, end(3, 0, None, Outcome.FAIL)).look(final=True)
    assert found.violation is not None and found.violation.operation.index == 1


def test_the_blame_moves_to_what_a_refused_write_can_no_longer_explain() -> None:
    online = fed(Online("register"), call(0, "write", 7), call(1, "read"), end(2, 1, 7))
    found = fed(online, call(3, "read"), end(4, 3, 9), call(5, "read")).look()
    assert found.violation is not None and found.violation.operation.index == 3
    found = fed(online, end(6, 0, None, Outcome.FAIL)).look(final=True)
    assert found.violation is not None and found.violation.operation.index == 1


def test_returns_of_the_present_instant_wait_for_calls_that_may_overlap_them() -> None:
    online = fed(Online("register"), call(0, "read"), end(5, 0, 1))
    assert online.look().verdict is Verdict.VALID
    fed(online, call(6, "write", 1, at_ns=5), call(7, "read"))
    assert online.look().verdict is Verdict.VALID


def test_a_search_beyond_its_limits_is_given_up_and_says_so() -> None:
    online = fed(Online("register", Limits(time_s=-1.0)), call(0, "write", 1), end(1, 0))
    found = fed(online, call(2, "read"), end(3, 2, 1), call(4, "read"), end(5, 4, 1)).look(
        final=True
    )
    assert found.verdict is Verdict.UNKNOWN
    assert found.limit is not None and "time" in found.limit
    assert fed(online, call(6, "read"), end(7, 6, 9)).look(final=True).verdict is Verdict.UNKNOWN


def test_what_the_model_cannot_read_is_given_up() -> None:
    online = fed(Online("cas-register"), call(0, "cas", 3), end(1, 0))
    assert "cas" in str(online.look(final=True).limit)


def test_a_completion_without_a_call_is_refused() -> None:
    with pytest.raises(ValueError, match="no such call"):
        Online("register").feed(end(1, 0))


def test_what_is_behind_is_forgotten() -> None:
    online = Online("register")
    for number in range(0, 20_000, 4):
        fed(online, call(number, "write", number), call(number + 1, "read"))
        fed(online, end(number + 2, number + 1, number), end(number + 3, number))
        assert online.kept < 40
    assert online.look(final=True).verdict is Verdict.VALID
    assert online.checked == 10_000


def test_unanswered_operations_stay_as_counts() -> None:
    online = Online("register", batch=1)
    for number in range(0, 900, 3):
        fed(online, call(number, "write", 1), end(number + 1, number, None, Outcome.INFO))
        fed(online, call(number + 2, "read"))
        online.feed(Complete(number + 2, number + 2, number + 2, Completion(OK, 1)))
    assert online.look(final=True).verdict is Verdict.VALID
    assert 300 <= online.kept < 310
