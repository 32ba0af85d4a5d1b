"""An event loop whose time is virtual: it jumps to whatever comes next.

Two kinds of things wait in one queue, ordered by time and then by who asked first: asyncio's
timers, and the world's own events, which are called at once, without a handle or a context,
because there are a hundred of them for each of the others. Nothing else ever happens: there are
no sockets, no threads and no signals but those that end the run.
"""

from __future__ import annotations

import asyncio
import heapq
import signal
from collections.abc import Callable
from contextvars import Context
from typing import Any

EPOCH_NS = 1_700_000_000 * 1_000_000_000
"""The world's time of day when its monotonic clock shows zero."""
START_NS = 1_000 * 1_000_000_000
"""Where the monotonic clock begins: a machine that has been up for a while."""


class Stuck(RuntimeError):
    """Everybody waits, and nothing is going to happen any more."""


class SimLoop(asyncio.BaseEventLoop):
    """See the module's text. Also a :class:`harness.core.clock.Timekeeper`."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = START_NS
        self._queue: list[tuple[int, int, Any, Any]] = []
        self._number = 0
        self._signals: list[int] = []

    # -- clocks ---------------------------------------------------------------------------------

    def monotonic_ns(self) -> int:
        """The world's clock."""
        return self.now_ns

    def wall_ns(self) -> int:
        """The world's time of day."""
        return EPOCH_NS + self.now_ns

    def time(self) -> float:
        """Seconds, for asyncio."""
        return self.now_ns / 1e9

    # -- what comes -----------------------------------------------------------------------------

    def at(self, when_ns: int, call: Callable[..., None], *arguments: Any) -> None:
        """An event of the world. It cannot be cancelled: who changes his mind ignores it."""
        self._number += 1
        heapq.heappush(self._queue, (when_ns, self._number, call, arguments))

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """From asyncio. Never before now: time is whole nanoseconds, and never goes back."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        handle._scheduled = True  # type: ignore[attr-defined]
        self._number += 1
        when_ns = max(round(when * 1e9), self.now_ns)
        heapq.heappush(self._queue, (when_ns, self._number, None, handle))
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """From asyncio."""
        return self.call_at(
            (self.now_ns + max(0, round(delay * 1e9))) / 1e9, callback, *args, context=context
        )

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays in the queue and is passed over."""

    def _run_once(self) -> None:
        ready, queue = self._ready, self._queue  # type: ignore[attr-defined]
        while not ready:
            if not queue:
                raise Stuck("everybody waits, and nothing is going to happen any more")
            when_ns, _, call, what = heapq.heappop(queue)
            if call is not None:
                self.now_ns = when_ns
                call(*what)
            elif not what._cancelled:
                self.now_ns = when_ns
                what._scheduled = False
                ready.append(what)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    # -- the rest of a loop ---------------------------------------------------------------------

    def _process_events(self, event_list: object) -> None:
        """There is no selector."""

    def _write_to_self(self) -> None:
        """It never sleeps, so nobody has to wake it."""

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Callable[..., object], *args: Any
    ) -> None:
        """From asyncio."""
        signal.signal(sig, lambda *_: self.call_soon_threadsafe(callback, *args))
        self._signals.append(sig)

    def close(self) -> None:
        """From asyncio."""
        for number in self._signals:
            signal.signal(number, signal.SIG_DFL)
        self._signals.clear()
        self._queue.clear()
        super().close()
