"""What comes next in the simulated world, and its clock.

Two kinds of things wait in one queue, ordered by time and then by who asked first: the world's own
events, which are called at once, and asyncio's timers, which are handed to the loop. There are a
hundred of the first for each of the others, so they go without a handle or a context.

Most of what is asked for comes within a millisecond, and most of what waits are time-outs of
seconds that nobody will need: so those wait apart, where they are in nobody's way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

NEAR_NS = 10_000_000
"""What comes later than this, from when the queue of the near was last empty, is far."""
START_NS = 1_000 * 1_000_000_000
"""Where the monotonic clock begins: a machine that has been up for a while."""


class Stuck(Exception):
    """Everybody waits, and nothing is going to happen any more."""


class Agenda:
    """``now_ns`` is the world's clock: it jumps to whatever comes next, and never goes back."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        # All that comes before the horizon is in the first, so its head is what comes next.
        self._near: list[tuple[int, int, Any, Any]] = []
        self._far: list[tuple[int, int, Any, Any]] = []
        self._horizon_ns = START_NS
        self._number = 0

    def at(self, when_ns: int, call: Callable[..., None], *arguments: Any) -> None:
        """An event of the world, never before now. It cannot be cancelled: who changes his mind
        ignores it."""
        self._put(when_ns, call, arguments)

    def timer(self, when_ns: int, handle: Any) -> None:
        """A timer of asyncio's, never before now."""
        self._put(when_ns, None, handle)

    def _put(self, when_ns: int, call: Any, what: Any) -> None:
        when_ns = max(when_ns, self.now_ns)
        self._number += 1
        queue = self._near if when_ns < self._horizon_ns else self._far
        heappush(queue, (when_ns, self._number, call, what))

    def advance(self, ready: deque[Any]) -> None:
        """Lets things happen until something is ready for the loop.

        Raises:
            Stuck: nothing is left.
        """
        near = self._near
        while not ready:
            if not near:
                self._look_further()
            when_ns, _, call, what = heappop(near)
            if call is not None:
                self.now_ns = when_ns
                call(*what)
            elif not what._cancelled:
                self.now_ns = when_ns
                what._scheduled = False
                ready.append(what)

    def _look_further(self) -> None:
        """The horizon moves on, to behind what comes next."""
        near, far = self._near, self._far
        if not far:
            raise Stuck("everybody waits, and nothing is going to happen any more")
        horizon_ns = self._horizon_ns = far[0][0] + NEAR_NS
        while far and far[0][0] < horizon_ns:
            heappush(near, heappop(far))

    def clear(self) -> None:
        """Nothing of it happens any more."""
        self._near.clear()
        self._far.clear()
