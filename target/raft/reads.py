"""Reads that wait at the leader (dissertation, section 6.4)."""

from __future__ import annotations

from collections import deque

from target.raft.record import record


@record
class WaitingRead:
    """Reads of one context; ``asker`` None: this node's own.

    They may be served at ``index`` once a quorum has answered a broadcast of ``round`` or later.
    """

    context: int
    asker: str | None
    index: int
    round: int


class ReadQueue:
    """Contexts in the order in which they came. ``early`` ones wait for the first commit of the
    leader's term, the others for a quorum."""

    def __init__(self) -> None:
        self.early: list[tuple[int, str | None]] = []
        self.unasked = False
        """A read waits for a broadcast that has not been sent yet."""
        self._waiting: deque[WaitingRead] = deque()

    def wait(self, read: WaitingRead) -> None:
        """One more, for the next broadcast."""
        self._waiting.append(read)
        self.unasked = True

    def confirmed(self, round_: int) -> list[WaitingRead]:
        """Those that a quorum's answers to ``round_`` confirm; they are gone from here."""
        ready = []
        while self._waiting and self._waiting[0].round <= round_:
            ready.append(self._waiting.popleft())
        return ready

    def leave(self) -> list[int]:
        """Forgets all; the contexts of this node's own."""
        own = [read.context for read in self._waiting if read.asker is None]
        own += [context for context, asker in self.early if asker is None]
        self._waiting.clear()
        self.early, self.unasked = [], False
        return own

    def take_early(self) -> list[tuple[int, str | None]]:
        """The early ones; they are gone from here."""
        early, self.early = self.early, []
        return early
