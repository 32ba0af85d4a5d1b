"""How far many runs are: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TextIO

from rich.console import Console as Terminal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from reports.glyphs import glyphs_for
from reports.plain import guarded
from reports.words import clean, count

PARTS = 10
"""Lines that tell how far it is, where there is no bar."""


class Meter:
    """Counts up to ``total``; a context, so that the bar goes whatever happens."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._total = total
        self._done = 0
        self._stream = sys.stdout if stream is None else stream
        self._bar: Progress | None = None
        if self._stream.isatty():
            self._bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}", markup=False),
                TimeRemainingColumn(),
                console=Terminal(file=self._stream, highlight=False, markup=False, emoji=False),
                transient=True,
            )
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Meter:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, words: str) -> None:
        """One more is done; ``words`` say what came of all until now."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=_fit(words, self._stream))
        elif self._done * PARTS // self._total > (self._done - 1) * PARTS // self._total:
            self.line(f"{count(self._done)} of {count(self._total)}  {words}")

    def line(self, text: str) -> None:
        """A line that stays."""
        if self._bar is None:
            say(text, self._stream)
        else:
            self._bar.console.print(Text(_fit(text, self._stream)), soft_wrap=True)


def say(text: str, stream: TextIO | None = None) -> None:
    """A line on standard output that steers neither the terminal nor a CI."""
    stream = sys.stdout if stream is None else stream
    stream.write(_fit(text, stream) + "\n")
    stream.flush()


def _fit(text: str, stream: TextIO) -> str:
    glyphs = glyphs_for(getattr(stream, "encoding", None))
    return guarded(glyphs.fit(clean(text)))
