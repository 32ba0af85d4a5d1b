"""Budgets: wall clock and memory, looked at inside the hottest loops."""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.core.protocols import Limits

_STATM = "/proc/self/statm"
_PAGE = resource.getpagesize()


@contextmanager
def uncollected() -> Iterator[None]:
    """Keeps the cyclic garbage collector away.

    A search makes millions of tuples and no cycles; the collector would walk all of them again and
    again to find nothing. Reference counts free what is dropped, and the budget watches memory.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class LimitReached(Exception):
    """A budget is used up; ``words`` name it: ``60 s of time``, ``2.0 GiB of memory``."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def resident() -> int:
    """Bytes of memory this process holds; where the system does not tell, the most it ever held."""
    try:
        statm = os.open(_STATM, os.O_RDONLY)
        try:
            return int(os.read(statm, 64).split()[1]) * _PAGE
        finally:
            os.close(statm)
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Budget:
    """What is left of a check's limits. One budget is shared by all the searches of a check.

    Memory counts from the first reading of it, which is late enough that a short check, which needs
    next to none, is over before.
    """

    __slots__ = ("_deadline", "_highest", "_memory_at", "_memory_bytes", "_stopped", "_time_s")

    MEMORY_EVERY_S = 0.02
    """Seconds between two readings of the memory, which cost more than readings of the clock."""

    def __init__(self, limits: Limits) -> None:
        self._stopped = False
        self._time_s = limits.time_s
        self._memory_bytes = limits.memory_bytes
        now = time.perf_counter()
        self._deadline = now + limits.time_s
        self._highest: int | None = None
        self._memory_at = now + self.MEMORY_EVERY_S

    def left_s(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self._deadline - time.perf_counter()

    def stop(self) -> None:
        """Ends all searches that share it, at their next look: somebody wants them to end."""
        self._stopped = True

    def look(self) -> None:
        """Stops the search when a limit was hit.

        Raises:
            LimitReached: with the limit in words.
        """
        if self._stopped:
            raise LimitReached("patience: interrupted")
        now = time.perf_counter()
        if now > self._deadline:
            raise LimitReached(f"{self._time_s:g} s of time")
        if now > self._memory_at:
            self._memory_at = now + self.MEMORY_EVERY_S
            held = resident()
            if self._highest is None:
                self._highest = held + self._memory_bytes
            if held > self._highest:
                raise LimitReached(f"{self._memory_bytes / (1 << 30):.3g} GiB of memory")
