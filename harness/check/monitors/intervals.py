"""What all monitors work on: operations as intervals of positions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from harness.check.problem import Problem

NEVER = float("inf")
"""Where an operation returns that did not, and where a value leaves that stays."""

Decide: TypeAlias = "Callable[[int], list[int] | None]"
"""A legal order of the operations called before a position, or None if there is none.

Of those that return later it holds what it needs, with the result that they will have; the order
for all events holds every operation of the problem that returned.
"""


class Intervals:
    """The positions of each operation's call and return, as seen from before some event."""

    def __init__(self, problem: Problem) -> None:
        self.calls = [0] * len(problem.classes)
        self._ends = [NEVER] * len(problem.classes)
        for position, event in enumerate(problem.events):
            if event & 1:
                self._ends[event >> 1] = position
            else:
                self.calls[event >> 1] = position
        self.by_call = [event >> 1 for event in problem.events if not event & 1]

    def ends(self, last: int) -> list[float]:
        """Where operations return; NEVER if not before ``last``."""
        return [end if end < last else NEVER for end in self._ends]

    def keeps_time(self, order: Iterable[int], ends: list[float]) -> bool:
        """Whether no operation comes after one that was called when it had returned."""
        latest, calls = -1, self.calls
        for operation in order:
            if ends[operation] < latest:
                return False
            latest = max(latest, calls[operation])
        return True
