"""Views of a finished run: one offline HTML file, JUnit XML, the console, annotations.

All of them are made from one model (:mod:`reports.model`), which holds facts of the record only.
"""

# No ``from __future__ import annotations`` here: it would take the name of our own module.

from pathlib import Path

from harness.core.run import RunRecord
from reports import annotations, html, junit
from reports.machine import json_line
from reports.model import build

__all__ = ["annotations", "html", "json_line", "junit", "write"]


def write(record: RunRecord, folder: Path) -> Path:
    """Writes ``report.html`` and ``junit.xml`` into ``folder``; returns the report's path.

    Raises:
        OSError: the folder cannot be written.
    """
    report = build(record)
    path = folder / "report.html"
    _save(path, html.render_report(report))
    _save(folder / "junit.xml", junit.render_report(report))
    return path


def _save(path: Path, text: str) -> None:
    # Exact line ends: the hashes in the page's policy cover the very letters a browser reads.
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
