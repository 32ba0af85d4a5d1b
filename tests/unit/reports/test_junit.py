"""JUnit XML: well-formed whatever the values hold, and never green with a non-zero exit."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.run import Ending
from harness.core.verdict import ExitCode, Verdict
from reports import junit
from tests.unit.reports import golden, records

ENDINGS = {
    "stale_read": (records.stale_read, {"failure": 1, "error": 0, "skipped": 0}),
    "valid": (records.valid, {"failure": 0, "error": 0, "skipped": 0}),
    "unknown": (records.unknown, {"failure": 0, "error": 1, "skipped": 0}),
    "inadequate": (records.inadequate, {"failure": 0, "error": 1, "skipped": 0}),
    "two_leaders": (records.two_leaders, {"failure": 1, "error": 0, "skipped": 0}),
    "environment": (records.environment, {"failure": 0, "error": 1, "skipped": 1}),
    "foreign": (records.foreign, {"failure": 1, "error": 0, "skipped": 0}),
    "hostile": (records.hostile, {"failure": 1, "error": 0, "skipped": 0}),
}


def suite_of(text: str) -> ET.Element:
    root = ET.fromstring(text)
    (suite,) = root
    return suite


@pytest.mark.parametrize("name", ENDINGS)
def test_counts(name: str) -> None:
    made, counts = ENDINGS[name]
    suite = suite_of(junit.render(made()))
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases))
    for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert sum(case.find(tag) is not None for case in cases) == counts[tag]
        assert suite.get(attribute) == str(counts[tag])


def test_known_text() -> None:
    golden.check("stale-read.junit.xml", junit.render(records.stale_read()))


def test_names_do_not_carry_the_seed() -> None:
    suite = suite_of(junit.render(records.stale_read()))
    names = [(case.get("classname"), case.get("name")) for case in suite.findall("testcase")]
    assert names[0] == ("harness.raft.register", "linearizable")
    assert not any("7312946" in f"{first}{second}" for first, second in names)
    assert "seed 7312946" in (suite.findtext("system-out") or "")


def test_the_body_says_it_again_in_short_lines() -> None:
    suite = suite_of(junit.render(records.stale_read()))
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("type") == "violation"
    assert failure.get("message") == records.STALE.sentence
    body = failure.text or ""
    assert records.STALE.sentence in " ".join(body.split())
    assert "①├ write 3 ┤" in body
    assert "run again: harness run" in body
    picture = body.split("run again")[0]
    assert all(len(line) <= 80 for line in picture.splitlines())


@pytest.mark.parametrize("code", [code for code in ExitCode if code is not ExitCode.VALID])
def test_never_green_with_a_non_zero_exit(code: ExitCode) -> None:
    """Even when every checker that ran was content."""
    record = replace(records.valid(), ending=Ending("interrupted", code, "Stopped after 12 s."))
    suite = suite_of(junit.render(record))
    assert int(suite.get("errors") or 0) + int(suite.get("failures") or 0) == 1
    none = replace(record, results=())
    assert suite_of(junit.render(none)).get("errors") == "1"


def test_an_unexplained_violation_is_red_too() -> None:
    record = records.valid()
    bare = replace(record.results[0], verdict=Verdict.INVALID, anomalies=())
    record = replace(
        record,
        results=(bare,),
        ending=Ending("invalid", ExitCode.VIOLATION, "Not linearizable."),
    )
    failure = suite_of(junit.render(record)).find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == bare.reason


@given(st.text(st.characters(codec=None), max_size=40))
def test_any_text_is_well_formed(text: str) -> None:
    record = records.foreign()
    anomaly = replace(records.STALE, sentence=text, steps=(text,) * 3, kind=text)
    results = (replace(record.results[0], checker=text, reason=text, anomalies=(anomaly,)),)
    made = junit.render(replace(record, results=results, started_utc=text))
    made.encode("utf-8")
    assert suite_of(made).get("failures") == "1"
