"""What time it is for a run.

Engine, nemeses and stores ask here and nowhere else. A simulation brings an event loop whose time
is its own; everywhere else it is the host's.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, runtime_checkable


@runtime_checkable
class Timekeeper(Protocol):
    """Two clocks in nanoseconds: an event loop that has its own implements this."""

    def monotonic_ns(self) -> int:
        """Never goes back."""

    def wall_ns(self) -> int:
        """Since the epoch."""


class _Host:
    """The host's clocks."""

    def monotonic_ns(self) -> int:
        """CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """CLOCK_REALTIME."""
        return time.time_ns()


HOST: Timekeeper = _Host()
"""The host's clocks."""


def here() -> Timekeeper:
    """The running event loop if it keeps time itself, else the host."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return HOST
    return loop if isinstance(loop, Timekeeper) else HOST
