"""The last block of a run's output: verdict, why, the picture, figures, where to go on.

Lines of plain text; the same on a terminal, in a pipe and in a CI log.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from reports.glyphs import UNICODE, Glyphs
from reports.model import Report, fault_summary, report_path
from reports.textline import WIDTH, sentences, timeline
from reports.words import clean, path_words

MOST_REASONS = 6


def lines(report: Report, glyphs: Glyphs = UNICODE, path: Path | None = None) -> tuple[str, ...]:
    """The block, at most 80 columns wide where words can be broken.

    ``path`` is where the report is; by default in the run's folder, if there is one.
    """
    record = report.record
    code = int(record.ending.exit_code)
    head = glyphs.fit(f"{report.mark} {report.word}  {report.what}")
    out = [f"{head}{f'(exit code {code})':>{max(2, WIDTH - len(head))}}"]
    out += _wrapped(report.headline, glyphs)
    if report.scene is not None:
        picture = timeline(report.scene, glyphs)
        out += ["", *(picture or sentences(report.scene, glyphs)), ""]
    else:
        out.append("")
    if record.ending.word == "invalid":
        for words in report.scene.circumstances if report.scene else _steps(report):
            out += _wrapped(words, glyphs)
        if report.others:
            more = len(report.others)
            out += _wrapped(
                f"{more} more violation{'s' if more > 1 else ''} in the report.", glyphs
            )
    else:
        for reason in report.explanation[:MOST_REASONS]:
            out += _wrapped(reason, glyphs)
    out += _wrapped(f"{report.counts.words()}. {fault_summary(record)}.", glyphs)
    for result in record.results:
        mark = {"valid": "✓", "invalid": "✕", "unknown": "?"}[result.verdict.value]
        out += _wrapped(f"{mark} {clean(result.checker)}: {clean(result.reason)}", glyphs)
    path = path or report_path(record)
    if path is not None:
        out.append(f"  {'report':<12} {glyphs.fit(clean(path_words(path)))}")
    out += [
        f"  {command.label.lower():<12} {glyphs.fit(command.text)}" for command in report.commands
    ]
    return tuple(out)


def _steps(report: Report) -> tuple[str, ...]:
    """What led to a violation that is not about operations."""
    return () if report.anomaly is None else report.anomaly.steps[:MOST_REASONS]


def _wrapped(text: str, glyphs: Glyphs) -> list[str]:
    return textwrap.wrap(
        glyphs.fit(clean(text)),
        WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
    )
