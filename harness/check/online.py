"""The search while the history grows: event by event, with a verdict so far at any time.

The verdict so far is exactly what :func:`harness.check.check` would say of the history so far, with
the same operation to blame. A call that has not completed counts there as an unanswered one. A
violation is final: a history of which some beginning has no legal order has none itself
(linearizability is prefix-closed; Herlihy & Wing 1990).

Each object (key) is searched alone. Its history is in two parts. What is before the *cut* is
behind the search for good: only its configurations are carried on, with the operations that are
still open and the unanswered ones as counts. Events after the cut are kept. :meth:`Online.look`
searches them to the end on a copy and throws the copy away; ``feed`` moves the cut.

How far the cut may go is argued in :mod:`harness.check.growing`; memory is bounded by what is open
or unanswered, and by what came after the earliest open call.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable
from dataclasses import dataclass, replace
from math import inf

from harness.check.carried import Declared
from harness.check.catalogue import parse_model
from harness.check.growing import Growing, Violation
from harness.check.limits import Budget, LimitReached
from harness.check.models import Model
from harness.core.operations import Complete, Event, Invoke, operation
from harness.core.protocols import Limits
from harness.core.verdict import Verdict

BATCH = 16
"""Completed operations of a key after which moving its cut is worth the trouble."""

PATIENCE = 4096
"""Operations without a pin after which the cut moves on without one."""


@dataclass(frozen=True, slots=True)
class SoFar:
    """What is known at one moment.

    Attributes:
        verdict: INVALID with a ``violation`` is final; VALID is so far; UNKNOWN with a ``limit``
            means that at least one key was given up.
        checked: operations that have ended and are judged.
        at_ns: the time of the last event that is judged.
    """

    verdict: Verdict
    checked: int = 0
    at_ns: int = 0
    violation: Violation | None = None
    limit: str | None = None


class Online:
    """Feeds a history to the search as it happens. Deterministic but for ``limits``.

    Args:
        model: the sequential object, or its string.
        limits: time of one search, and memory above what was there in the beginning. A key whose
            search takes more is given up; the check after the run decides.
        batch, patience: see :data:`BATCH`, :data:`PATIENCE`. They change no verdict.

    Raises:
        UsageError: an unknown model.
    """

    def __init__(
        self,
        model: Model | str,
        limits: Limits | None = None,
        *,
        batch: int = BATCH,
        patience: int = PATIENCE,
    ) -> None:
        if isinstance(model, str):
            model = parse_model(model)
        limits = limits or Limits()
        self._models = Declared(model)
        self._limits = limits
        self._memory = Budget(replace(limits, time_s=inf))
        self._batch, self._patience = batch, patience
        self._objects: dict[Hashable, Growing] = {}
        self._changed: dict[Hashable, Growing] = {}
        self._calls: dict[int, tuple[Invoke, Growing]] = {}
        self._now = 0
        self._so_far = SoFar(Verdict.VALID)

    @property
    def verdict_so_far(self) -> SoFar:
        """What the last look came to."""
        return self._so_far

    @property
    def checked(self) -> int:
        """Operations that have ended and are judged."""
        return self._so_far.checked

    @property
    def lag(self) -> int:
        """Nanoseconds of the history that no look has judged yet."""
        return self._now - self._so_far.at_ns

    @property
    def kept(self) -> int:
        """Operations that are remembered: open, unanswered, or not behind the cut of their key."""
        return sum(item.kept for item in self._objects.values())

    def feed(self, event: Event) -> None:
        """Takes the next event in; times must not go back.

        Raises:
            ValueError: a completion without a call.
        """
        self._now = max(self._now, event.at_ns)
        match event:
            case Invoke():
                key = self._models.model.partition(event.call)
                item = self._objects.get(key)
                if item is None:
                    item = self._objects[key] = Growing(key, self._models, self._batch)
                self._calls[event.index] = (event, item)
                item.called(event)
            case Complete():
                if event.of not in self._calls:
                    raise ValueError(f"event {event.index} completes {event.of}: no such call")
                call, item = self._calls.pop(event.of)
                item.ended(operation(call, event))
                self._changed[item.key] = item
                if item.due():
                    item.advance(self._now, self._effort, self._patience)

    def look(self, *, final: bool = False) -> SoFar:
        """Judges what was fed; ``final`` says that nothing more comes.

        Returns at the present instant are judged only when it has passed, or in the end: a call
        may still come at this instant, and is concurrent with them.
        """
        until = (2 * self._now + 1, sys.maxsize if final else -1)
        for item in tuple(self._changed.values()):
            item.look(until, self._effort)
            if not item.changed:
                del self._changed[item.key]
        found = [item.violation for item in self._objects.values() if item.violation is not None]
        limit = next((item.limit for item in self._objects.values() if item.limit), None)
        verdict = Verdict.INVALID if found else Verdict.UNKNOWN if limit else Verdict.VALID
        first = min(
            found, key=lambda one: (one.operation.end or 0, one.operation.index), default=None
        )
        checked = sum(item.judged for item in self._objects.values())
        self._so_far = SoFar(verdict, checked, self._now, first, limit)
        return self._so_far

    def _effort(self, events: int, extra: int) -> Budget:
        # A return takes one look by itself.
        return _Effort(self._limits, self._memory, events // 2 + extra)


class _Effort(Budget):
    """One search's share: its own time and work, everybody's memory."""

    __slots__ = ("_left", "_memory")

    def __init__(self, limits: Limits, memory: Budget, looks: int) -> None:
        super().__init__(replace(limits, memory_bytes=1 << 62))
        self._memory = memory
        self._left = looks

    def look(self) -> None:
        """Stops the search when its work, its time or the memory is used up.

        Raises:
            LimitReached: with the limit in words.
        """
        self._left -= 1
        if self._left < 0:
            raise LimitReached("work while the run goes on")
        super().look()
        self._memory.look()
