"""An event loop whose time is virtual: it jumps to whatever comes next.

What that is stands in the :class:`~harness.runtime.sim.agenda.Agenda`, with the world's own
events. Nothing else ever happens: there are no sockets, no threads and no signals but those that
end the run.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any, NoReturn

from harness.runtime.sim.agenda import Agenda, Stuck

__all__ = ["EPOCH_NS", "SimLoop", "Stuck"]

EPOCH_NS = 1_700_000_000 * 1_000_000_000
"""The world's time of day when its monotonic clock shows zero."""

COLLECTED = (100_000, 20, 20)
"""The collector's thresholds during a run."""

NO_THREADS = "there are no threads in a simulated run: what they did would take real time"


class SimLoop(asyncio.BaseEventLoop):
    """See the module's text. Also a :class:`harness.core.clock.Timekeeper`."""

    def __init__(self) -> None:
        super().__init__()
        self.agenda = Agenda()
        self._signals: dict[int, Any] = {}

    # -- clocks ---------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """The world's clock."""
        return self.agenda.now_ns

    def monotonic_ns(self) -> int:
        """The world's clock."""
        return self.agenda.now_ns

    def wall_ns(self) -> int:
        """The world's time of day."""
        return EPOCH_NS + self.agenda.now_ns

    def time(self) -> float:
        """Seconds, for asyncio."""
        return self.agenda.now_ns / 1e9

    # -- what comes -----------------------------------------------------------------------------

    def at(self, when_ns: int, call: Callable[..., None], *arguments: Any) -> None:
        """See :meth:`harness.runtime.sim.agenda.Agenda.at`."""
        self.agenda.at(when_ns, call, *arguments)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """From asyncio. Never before now: time is whole nanoseconds, and never goes back."""
        return self._timer(round(when * 1e9), callback, args, context)

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """From asyncio."""
        due_ns = self.agenda.now_ns + max(0, round(delay * 1e9))
        return self._timer(due_ns, callback, args, context)

    def _timer(
        self,
        due_ns: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(due_ns / 1e9, callback, args, self, context)
        handle._scheduled = True  # type: ignore[attr-defined]
        self.agenda.timer(due_ns, handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays in the queue and is passed over."""

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]
        if not ready:
            self.agenda.advance(ready)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def run_forever(self) -> None:
        """From asyncio. The collector of cycles hardly looks meanwhile: a run keeps what it makes,
        or drops it for the reference counts to free, and looking at it again and again finds
        nothing."""
        before = gc.get_threshold()
        gc.freeze()
        gc.set_threshold(*COLLECTED)
        try:
            super().run_forever()
        finally:
            gc.set_threshold(*before)
            gc.unfreeze()

    # -- the rest of a loop ---------------------------------------------------------------------

    def _process_events(self, event_list: object) -> None:
        """There is no selector."""

    def _write_to_self(self) -> None:
        """It never sleeps, so nobody has to wake it."""

    def add_signal_handler(  # type: ignore[override]
        self, sig: int, callback: Callable[..., object], *args: Any
    ) -> None:
        """From asyncio. Who had the signal before has it again when the loop is closed."""
        before = signal.signal(sig, lambda *_: self.call_soon_threadsafe(callback, *args))
        self._signals.setdefault(sig, before)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """From asyncio, for signal handlers.

        Raises:
            RuntimeError: from another thread, whose moment would be another in each run.
        """
        running = self._thread_id  # type: ignore[attr-defined]
        if running is not None and running != threading.get_ident():
            raise RuntimeError(NO_THREADS)
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, *_: object) -> NoReturn:
        """From asyncio.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(NO_THREADS)

    def close(self) -> None:
        """From asyncio."""
        for number, before in self._signals.items():
            # None: a handler that no Python installed, and that none can give back.
            signal.signal(number, signal.SIG_DFL if before is None else before)
        self._signals.clear()
        self.agenda.clear()
        super().close()
