"""Did the run test anything, and how did it end?"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from harness.check.adequacy import adequacy, ending
from harness.core.errors import EnvironmentFailure, NodeFailure, UsageError
from harness.core.faults import FaultRecord
from harness.core.operations import Operation
from harness.core.run import Noticed, RunRecord
from harness.core.verdict import Anomaly, CheckResult, ExitCode, Verdict
from tests.unit.check.make import FAIL, INFO, fault, operation, record

DURING = operation("write", 1, 110, 120)
AFTER = operation("write", 2, 300, 310)
BEFORE = operation("write", 3, 10, 20)
GOOD = record([BEFORE, DURING, AFTER], [fault("F1")])
VALID = CheckResult("linearizable", Verdict.VALID, "fine")
UNKNOWN = CheckResult("set", Verdict.UNKNOWN, "gave up after 60 s of time")
BROKEN = CheckResult(
    "linearizable", Verdict.INVALID, "bad", (Anomaly("stale read", "Process 1 read 3."),)
)


def test_an_adequate_run() -> None:
    found = adequacy(GOOD)
    assert found.adequate
    assert found.figures["operations"] == 3
    assert found.figures["during_faults"] == found.figures["F1.ok"] == 1
    how = ending(GOOD, (VALID,))
    assert (how.word, how.exit_code) == ("valid", ExitCode.VALID)
    assert how.sentence == (
        "1 of 3 operations ran during 1 proven fault; nothing promised was broken."
    )


@pytest.mark.parametrize(
    ("operations", "faults", "words"),
    [
        ([operation("write", 1, 10, 20, FAIL)], [fault("F1")], "none of 1 operation succeeded"),
        ([BEFORE, AFTER], [fault("F1")], "while a fault was in force"),
        ([BEFORE, DURING], [fault("F1")], "after the last heal"),
        ([BEFORE, DURING, AFTER], [], "no partition fault was injected"),
        ([DURING, AFTER], [fault("F1", bit=False)], "F1 partition (n1 | n2 n3) did not bite"),
        ([DURING, AFTER], [fault("F1", healed=False)], "was not healed"),
        (
            [DURING, AFTER],
            [fault("F1"), fault("F2", None, None, error="not injected: busy")],
            "not injected: busy",
        ),
        ([DURING, AFTER], [fault("F1", resolved={"leader": None})], "but nobody led"),
        (
            [DURING, AFTER],
            [fault("F1", resolved={"leader": "n2", "nodes": ("n1",)})],
            "the leader, n2, and missed it",
        ),
    ],
)
def test_what_makes_a_run_inadequate(
    operations: list[Operation], faults: list[FaultRecord], words: str
) -> None:
    run = record(operations, faults)
    reasons = adequacy(run).reasons
    assert any(words in reason for reason in reasons), reasons
    assert ending(run, (VALID,)).exit_code in (ExitCode.INADEQUATE, ExitCode.ENVIRONMENT)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"min_operations": 4}, "3 operations succeeded, fewer than 4"),
        (
            {"min_ok_during": 2},
            "1 operation succeeded during F1 partition (n1 | n2 n3), fewer than 2",
        ),
        ({"min_ok_after": 2}, "1 operation succeeded after the last heal, fewer than 2"),
    ],
)
def test_limits_that_were_asked_for(limits: dict[str, int], words: str) -> None:
    assert GOOD.plan is not None
    least = {name: number - 1 for name, number in limits.items()}
    for wanted, reasons in ((limits, (words,)), (least, ())):
        plan = replace(GOOD.plan, spec=replace(GOOD.plan.spec, **wanted))  # type: ignore[arg-type]
        assert adequacy(replace(GOOD, plan=plan)).reasons == reasons


def test_aimed_at_the_leader_and_hit() -> None:
    aimed = fault("F1", resolved={"leader": "n2", "nodes": ("n2",)})
    assert adequacy(record([DURING, AFTER], [aimed])).adequate


def test_without_faults_none_is_missed() -> None:
    run = record([BEFORE], [], nemeses=())
    assert ending(run, (VALID,)).sentence.startswith("1 operation without any fault")


def test_the_end_of_an_unanswered_operation_is_not_in_the_fault() -> None:
    asked = operation("write", 9, 90, None, INFO)
    found = adequacy(record([asked, DURING, AFTER], [fault("F1")]))
    assert found.figures["F1.unknown"] == 0
    assert found.figures["unknown"] == 1


STUCK = record([DURING, AFTER], [fault("F1", healed=False)])
EMPTY = record([], [])


@pytest.mark.parametrize(
    ("run", "results", "trouble", "word", "code"),
    [
        (GOOD, (VALID,), None, "valid", 0),
        (GOOD, (VALID, UNKNOWN), None, "unknown", 3),
        (GOOD, (UNKNOWN, BROKEN), None, "invalid", 1),
        (GOOD, (), None, "unknown", 3),
        (EMPTY, (VALID,), None, "inadequate", 4),
        (EMPTY, (UNKNOWN,), None, "inadequate", 4),
        (STUCK, (VALID,), None, "environment", 5),
        (STUCK, (BROKEN,), None, "invalid", 1),
        (EMPTY, (BROKEN,), KeyboardInterrupt(), "invalid", 1),
        (GOOD, (VALID,), KeyboardInterrupt(), "interrupted", 130),
        (GOOD, (), asyncio.CancelledError(), "interrupted", 130),
        (EMPTY, (), EnvironmentFailure("no engine\nmore"), "environment", 5),
        (EMPTY, (), NodeFailure("n1 died"), "environment", 5),
        (EMPTY, (), UsageError("no such thing"), "usage", 2),
        (GOOD, (VALID,), KeyError("x"), "internal", 70),
    ],
)
def test_how_a_run_ends(
    run: RunRecord,
    results: tuple[CheckResult, ...],
    trouble: BaseException | None,
    word: str,
    code: int,
) -> None:
    how = ending(run, results, trouble)
    assert (how.word, int(how.exit_code)) == (word, code)
    assert how.sentence.endswith(".")
    assert "\n" not in how.sentence


def test_the_sentence_of_a_violation_is_the_first_anomaly() -> None:
    liveness = CheckResult("liveness", Verdict.INVALID, "not serving")
    assert ending(GOOD, (liveness, BROKEN)).sentence == "Process 1 read 3."
    assert ending(GOOD, (liveness,)).sentence == "not serving."


STOPPED = replace(
    record([BEFORE], []),
    noticed=Noticed(operation=3, key="k", returned_ns=20, noticed_ns=25, stopped=True),
)


def test_a_run_that_was_stopped_for_a_violation_has_tested_enough() -> None:
    assert not adequacy(record([BEFORE], [])).adequate
    assert adequacy(STOPPED).adequate
    how = ending(STOPPED, (BROKEN,))
    assert how.word == "invalid" and how.adequacy.adequate


def test_a_violation_that_the_check_after_the_run_does_not_find_is_our_own_failure() -> None:
    how = ending(STOPPED, (VALID,))
    assert (how.word, how.exit_code) == ("internal", ExitCode.INTERNAL)
    assert "operation 3 had no legal order" in how.sentence


def test_a_violation_that_the_check_after_the_run_could_not_decide_is_unknown() -> None:
    undecided = CheckResult("linearizable", Verdict.UNKNOWN, "gave up")
    assert ending(STOPPED, (undecided,)).word == "unknown"
