"""The console: a subscriber of a run's events, and the block that ends a run.

On a terminal a live panel, everywhere else plain lines. Values of a history, node names and logs
reach the terminal only as cleaned text, never as markup or as control sequences.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console as Terminal
from rich.text import Text

from harness.core.events import RunEnded, RunEvent
from harness.core.run import RunRecord
from reports import final
from reports.glyphs import Glyphs, glyphs_for
from reports.live import LiveView
from reports.machine import json_line
from reports.model import Report, build
from reports.plain import PlainView, guarded
from reports.progress import Progress
from reports.words import clean

__all__ = ["Console", "json_line"]

COLUMNS = 80
TONES = {"good": "bold green", "bad": "bold red", "warn": "bold yellow"}


class View(Protocol):
    """A way to show a run while it goes on."""

    def show(self, event: RunEvent, progress: Progress) -> None:
        """An event; ``progress`` has taken it in already."""

    def line(self, text: str) -> None:
        """A line that stays."""

    def close(self) -> None:
        """The run ended, or was interrupted. Idempotent."""


class Console:
    """Shows runs, one after the other.

    Call it with events (it is a subscriber); when the run is over and read back, call
    :meth:`finish` with its record. :meth:`close` puts the terminal in order at any time, and is
    idempotent, so it belongs in a ``finally``.

    Args:
        stream: where to write; standard output when None.
        env: the environment (``CI``, ``NO_COLOR``, ``TERM``); the process' own when None.
        live: True and False insist; None looks at the stream and the environment.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        env: Mapping[str, str] | None = None,
        live: bool | None = None,
    ) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._env = os.environ if env is None else env
        self._glyphs: Glyphs = glyphs_for(getattr(self._stream, "encoding", None))
        if live is None:
            live = self._stream.isatty() and not self._in_ci() and self._env.get("TERM") != "dumb"
        self._terminal: Terminal | None = None
        if live:
            self._terminal = Terminal(
                file=self._stream,
                force_terminal=True,
                no_color=bool(self._env.get("NO_COLOR")),
                highlight=False,
                markup=False,
                emoji=False,
            )
        self._progress = Progress()
        self._view = self._fresh()

    def __call__(self, event: RunEvent) -> None:
        """Takes an event of a run."""
        self._progress.see(event)
        self._view.show(event, self._progress)
        if isinstance(event, RunEnded):
            self.close()

    def say(self, text: str) -> None:
        """A line of the caller's own."""
        self._view.line(text)

    def finish(self, record: RunRecord, path: Path | None = None) -> None:
        """The last block: verdict, why, the picture, figures, report, how to repeat it.

        ``path`` is the report's, where it is not in the run's folder.
        """
        self.close()
        report = build(record)
        self._view.line("")
        for number, line in enumerate(final.lines(report, self._glyphs, path)):
            if self._terminal is None:
                self._stream.write(guarded(clean(line)) + "\n")
            else:
                self._terminal.print(_styled(line, number, report), soft_wrap=True)
        self._stream.flush()
        self._progress = Progress()
        self._view = self._fresh()

    def close(self) -> None:
        """Takes down what moves."""
        self._view.close()

    def _fresh(self) -> View:
        if self._terminal is not None:
            return LiveView(self._terminal, self._glyphs)
        return PlainView(self._stream, self._glyphs)

    def _in_ci(self) -> bool:
        return self._env.get("CI", "").lower() not in ("", "0", "false")


def _styled(line: str, number: int, report: Report) -> Text:
    text = Text(clean(line))
    if number == 0:
        text.stylize(TONES[report.tone])
    elif number == 1:
        text.stylize("bold")
    return text
