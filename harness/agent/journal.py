"""What was done to the machine, and how to undo it."""

from __future__ import annotations

import sys
from collections.abc import Callable


class Journal:
    """Undone in the opposite order. Kept in memory: it serves one life of the agent."""

    def __init__(self) -> None:
        self._entries: list[tuple[str, Callable[[], None]]] = []

    def add(self, words: str, undo: Callable[[], None]) -> None:
        """``words`` say what would be left if ``undo`` failed."""
        self._entries.append((words, undo))

    def undo(self) -> None:
        """Everything, the last first; what cannot be undone is said and does not stop the rest."""
        while self._entries:
            words, undo = self._entries.pop()
            try:
                undo()
            except Exception as error:
                say(f"left behind: {words} ({error})")


def say(words: str) -> None:
    """A line in the agent's log, which is its standard error."""
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()
