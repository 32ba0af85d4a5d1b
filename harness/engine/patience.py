"""The engine's own limit of a call, for clients that do not keep theirs."""

from __future__ import annotations

import asyncio


class Patience:
    """Ends what its task awaits when a call takes too long. As ``asyncio.timeout``, but one timer
    for many calls: it is looked at when it fires and put off, not made and cancelled each time.

    Belongs to the task in which it is made.
    """

    __slots__ = ("_cancelling", "_due", "_expired", "_limit_s", "_loop", "_task", "_timer")

    def __init__(self, limit_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._limit_s = limit_s
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False
        self._cancelling = 0

    def begin(self) -> None:
        """A call begins."""
        self._due = self._loop.time() + self._limit_s
        self._expired = False
        self._cancelling = self._task.cancelling()
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._look)

    def end(self) -> None:
        """The call is over."""
        self._due = None

    def was_it(self) -> bool:
        """Whether a cancellation that has arrived was for the call alone; then it is spent."""
        # Somebody else may have cancelled the task at the same time: that must go on.
        return self._expired and self._task.uncancel() <= self._cancelling

    def close(self) -> None:
        """Idempotent."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._look)
        else:
            # The task awaits the call at this very moment, so nothing else is hit.
            self._expired = True
            self._task.cancel()
