"""JUnit XML: a test suite for the run, a test case for each checker, never green by mistake."""

from __future__ import annotations

import textwrap
import xml.etree.ElementTree as ET

from harness.core.run import RunRecord
from harness.core.verdict import CheckResult, ExitCode, Verdict
from reports.model import Report, build, run_name
from reports.textline import sentences, timeline
from reports.words import clean, noticed_words

COLUMNS = 80


def render(record: RunRecord) -> str:
    """The file's text. Names are stable from run to run, so that a CI keeps their history."""
    return render_report(build(record))


def render_report(report: Report) -> str:
    """As :func:`render`, for a model that is already there."""
    record = report.record
    plan = record.plan
    target = clean(plan.spec.target) if plan else "history"
    workload = clean(plan.spec.workload) if plan else "file"
    classname = f"harness.{target}.{workload}".replace(" ", "_")
    suite = ET.Element("testsuite", name=classname, timestamp=_timestamp(record.started_utc))
    for result in record.results:
        case = _case(suite, classname, result.checker, _seconds(result))
        match result.verdict:
            case Verdict.INVALID:
                sentence = result.anomalies[0].sentence if result.anomalies else result.reason
                _problem(case, "failure", "violation", sentence, report)
            case Verdict.UNKNOWN:
                _problem(case, "error", "unknown", result.reason, report)
            case Verdict.VALID:
                pass
    if not record.results:
        case = _case(suite, classname, "checks", 0.0)
        ET.SubElement(case, "skipped", message=clean("not run: " + record.ending.sentence))
    adequacy = record.ending.adequacy
    if plan is not None and record.results:
        case = _case(suite, classname, "adequacy", 0.0)
        if not adequacy.adequate:
            _problem(case, "error", "inadequate", "; ".join(adequacy.reasons), report)
    red = [
        case for case in suite if case.find("failure") is not None or case.find("error") is not None
    ]
    if record.ending.exit_code is not ExitCode.VALID and not red:
        case = _case(suite, classname, "run", record.duration_ns / 1e9)
        _problem(case, "error", record.ending.word, record.ending.sentence, report)
    return _document(suite, report)


def _document(suite: ET.Element, report: Report) -> str:
    record = report.record
    for name in ("failure", "error", "skipped"):
        found = sum(case.find(name) is not None for case in suite)
        suite.set(
            {"failure": "failures", "error": "errors", "skipped": "skipped"}[name], str(found)
        )
    suite.set("tests", str(len(suite)))
    suite.set("time", f"{record.duration_ns / 1e9:.3f}")
    out = ET.SubElement(suite, "system-out")
    lines = [run_name(record), report.counts.words()]
    if record.noticed is not None:
        lines.append(noticed_words(record.noticed))
    if record.plan is not None:
        lines += [
            f"{clean(name)} {clean(text)}" for name, text in sorted(record.plan.versions.items())
        ]
    out.text = "\n".join(lines) + "\n"
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, classname: str, name: str, seconds: float) -> ET.Element:
    return ET.SubElement(
        suite, "testcase", classname=classname, name=clean(name), time=f"{seconds:.3f}"
    )


def _problem(case: ET.Element, tag: str, kind: str, sentence: str, report: Report) -> None:
    """The sentence stands in the body again: not every CI shows the message."""
    problem = ET.SubElement(case, tag, type=kind, message=clean(sentence))
    lines = textwrap.wrap(clean(sentence), COLUMNS)
    if tag == "failure" and report.scene is not None:
        lines += ["", *timeline(report.scene).lines, ""]
        for line in sentences(report.scene):
            lines += textwrap.wrap(line, COLUMNS)
    elif tag == "failure" and report.anomaly is not None:
        for step in report.anomaly.steps:
            lines += textwrap.wrap(clean(step), COLUMNS)
    lines.append("")
    lines += [f"{command.label.lower()}: {command.text}" for command in report.commands]
    problem.text = "\n".join(lines) + "\n"


def _seconds(result: CheckResult) -> float:
    spent = result.figures.get("check_ms")
    return spent / 1000 if isinstance(spent, int | float) else 0.0


def _timestamp(started_utc: str) -> str:
    return clean(started_utc)[:19]
