"""The last block of a run's output: verdict, why, the picture, figures, where to go on.

Lines of plain text; the same on a terminal, in a pipe and in a CI log.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from reports.glyphs import UNICODE, Glyphs
from reports.model import Report, fault_summary, report_path
from reports.scene import Scene
from reports.textline import WIDTH, sentences, timeline
from reports.words import clean, counted, noticed_words, path_words, shorten

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
        out += ["", *_picture(report.scene, glyphs), ""]
    else:
        out.append("")
    for words in _why(report):
        out += _wrapped(words, glyphs)
    injected = f" {fault_summary(record)}." if record.plan else ""
    out += _wrapped(f"{report.counts.words()}.{injected}", glyphs)
    for result in record.results:
        mark = {"valid": "✓", "invalid": "✕", "unknown": "?"}[result.verdict.value]
        known = shorten(result.reason) == report.headline
        reason = "" if known else f": {result.reason}"
        out += _wrapped(f"{mark} {result.checker}{reason}", glyphs)
    path = path or report_path(record)
    if path is not None:
        out.append(f"  {'report':<12} {glyphs.fit(clean(path_words(path)))}")
    out += [
        f"  {command.label.lower():<12} {glyphs.fit(command.text)}"
        for command in reversed(report.commands)
    ]
    return tuple(out)


def _picture(scene: Scene, glyphs: Glyphs) -> list[str]:
    """The picture; sentences where it does not fit, or cannot hold its words."""
    drawn = timeline(scene, glyphs)
    if drawn.labelled:
        return list(drawn.lines)
    told = sentences(scene, glyphs)
    lines = [*drawn.lines, ""] if drawn.lines else []
    # The last sentence is the culprit's, and what comes before it matters most for it.
    for words in told[-MOST_REASONS:]:
        lines += _wrapped(words, glyphs)
    if len(told) > MOST_REASONS:
        left_out = counted(len(told) - MOST_REASONS, "more operation")
        lines += _wrapped(f"{left_out} in the report.", glyphs)
    return lines


def _why(report: Report) -> list[str]:
    """What the headline does not say yet; undecided checks speak for themselves below."""
    match report.record.ending.word:
        case "invalid":
            told = list(report.circumstances)
            if report.scene is None and report.anomaly is not None:
                steps = (clean(step) for step in report.anomaly.steps[:MOST_REASONS])
                told = [*(step for step in steps if step != report.headline), *told]
            if report.record.noticed is not None:
                told.append(noticed_words(report.record.noticed))
            if report.others:
                told.append(f"{counted(len(report.others), 'more violation')} in the report.")
            return told
        case "inadequate":
            return [words for words in report.explanation if words not in report.headline]
        case _:
            return []


def _wrapped(text: str, glyphs: Glyphs) -> list[str]:
    return textwrap.wrap(
        glyphs.fit(clean(text)),
        WIDTH,
        initial_indent="  ",
        subsequent_indent="  ",
        break_on_hyphens=False,
    )
