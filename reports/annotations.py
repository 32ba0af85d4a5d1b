"""What GitHub shows of runs: annotations in the log, and the step's summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from harness.core.run import RunRecord
from harness.core.verdict import ExitCode
from reports.model import Report, build, report_path, run_name
from reports.textline import sentences, timeline
from reports.words import clean, path_words, shorten

PER_KIND = 10
"""GitHub shows at most this many errors, and as many warnings, of one step."""

SUMMARY_LIMIT = 1 << 20
"""Bytes of a step's summary; a larger one is dropped as a whole."""

MARKDOWN = frozenset("\\`*_{}[]<>()#+!|~&@$:")
"""Letters that mean something in GitHub's Markdown."""

_ORDER = ("invalid", "internal", "environment", "interrupted", "inadequate", "unknown", "valid")


def emit(records: Sequence[RunRecord], stream: TextIO, env: Mapping[str, str]) -> None:
    """Annotations to ``stream`` and the summary to its file, when this is a GitHub job."""
    reports = [build(record) for record in records]
    if env.get("GITHUB_ACTIONS") == "true":
        for line in commands(reports):
            stream.write(line + "\n")
        stream.flush()
    path = env.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(summary(reports))


def commands(reports: Sequence[Report]) -> tuple[str, ...]:
    """One line for each run that is not valid, the worst first.

    Violations and failures of the harness are errors, the rest are warnings. When there are more
    than are shown, the last line of the kind says how many more.
    """
    ordered = sorted(reports, key=_severity)
    errors = [item for item in ordered if _level(item) == "error"]
    warnings = [item for item in ordered if _level(item) == "warning"]
    return (*_lines("error", errors), *_lines("warning", warnings))


def _lines(level: str, reports: Sequence[Report]) -> list[str]:
    lines = []
    for number, report in enumerate(reports[:PER_KIND], 1):
        more = len(reports) - PER_KIND
        rest = f"\nand {more} more" if number == PER_KIND and more > 0 else ""
        again = "".join(f"\n{item.label.lower()}: {item.text}" for item in report.commands[:1])
        title = f"{_short(report)}: {report.word}"
        lines.append(
            f"::{level} title={_property(title)}::{_message(report.headline + again + rest)}"
        )
    return lines


def summary(reports: Sequence[Report]) -> str:
    """Markdown for the step's summary, below GitHub's limit."""
    parts = []
    for report in sorted(reports, key=_severity):
        parts.append(_section(report))
    table = ["| run | verdict | operations | faults proven |", "|---|---|---|---|"]
    for report in reports:
        proven = sum(view.record.bit.holds for view in report.faults)
        table.append(
            f"| {_cell(_short(report))} | {report.mark} {_cell(report.title)} "
            f"| {report.counts.total:,} | {proven} of {len(report.faults)} |"
        )
    text = "\n".join([*table, ""])
    for part in parts:
        if len((text + part).encode()) > SUMMARY_LIMIT - 200:
            return text + "\nThe rest is in the reports; a summary has a limit.\n"
        text += part
    return text


def _section(report: Report) -> str:
    lines = ["", f"### {report.mark} {_inline(report.title)}", "", _inline(report.headline), ""]
    if report.scene is not None:
        lines += _fence([*timeline(report.scene).lines, "", *sentences(report.scene)])
    lines += [_inline(sentence) for sentence in report.explanation]
    lines += ["", "<details><summary>Commands and figures</summary>", ""]
    lines += _fence([command.text for command in report.commands])
    lines += ["", _inline(report.counts.words()) + "  "]
    lines += [_inline(run_name(report.record)) + "  "]
    path = report_path(report.record)
    if path is not None:
        lines += [_inline(f"Report: {path_words(path)}")]
    lines += ["", "</details>", ""]
    return "\n".join(lines)


def _fence(lines: list[str]) -> list[str]:
    """A fence longer than any run of backticks inside, so nothing inside can close it."""
    body = [shorten(line, 2000) for line in lines]
    ticks = "```"
    while any(ticks in line for line in body):
        ticks += "`"
    return [ticks, *body, ticks]


def _inline(text: str) -> str:
    """Words as Markdown words: every letter that means something there is escaped."""
    return "".join(f"\\{letter}" if letter in MARKDOWN else letter for letter in clean(text))


def _cell(text: str) -> str:
    return _inline(text)


def _short(report: Report) -> str:
    plan = report.record.plan
    if plan is None:
        return run_name(report.record)
    return clean(f"{plan.spec.target} {plan.spec.workload} {','.join(plan.spec.nemeses) or 'none'}")


def _level(report: Report) -> str:
    code = report.record.ending.exit_code
    if code is ExitCode.VALID:
        return "notice"
    soft = (ExitCode.UNKNOWN, ExitCode.INADEQUATE)
    return "warning" if code in soft else "error"


def _severity(report: Report) -> int:
    word = report.record.ending.word
    return _ORDER.index(word) if word in _ORDER else 1


def _message(text: str) -> str:
    """The data of a workflow command: ``%``, CR and LF escaped."""
    kept = "\n".join(clean(line) for line in text.split("\n"))
    return kept.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A property of a workflow command: also ``:`` and ``,``."""
    return _message(text).replace(":", "%3A").replace(",", "%2C")
