"""The search while the history grows: event by event, with a verdict so far at any time.

The verdict so far is exactly what :func:`harness.check.check` would say of the history so far, with
the same operation to blame. A call that has not completed counts there as an unanswered one. A
violation is final: a history of which some beginning has no legal order has none itself
(linearizability is prefix-closed; Herlihy & Wing 1990).

Each object (key) is searched alone. Its history is in two parts. What is before the *cut* is
behind the search for good: only its configurations are carried on, with the operations that are
still open and the unanswered ones as counts. Events after the cut are kept. :meth:`Online.look`
searches them to the end on a copy and throws the copy away; ``feed`` moves the cut.

How far the cut may go:

1. Not past the *watermark*, the earliest call that has not completed. What an operation is (which
   value a read returned, whether it happened at all) is known only from its completion, and an
   order may take it at any instant after its call. Nor past a return at the present instant: a
   call may still come at that instant, and would precede it.

2. Models merge states that a history cannot tell apart (``Model.project``), and without that some
   searches explode: the order of appends that nobody has read yet. But what the future will read
   is not known. So the cut stops at the call of a *pin*: an operation R that returned before the
   watermark and is allowed in one state alone. Everything linearized before R was called before R
   returned, hence is known; so up to R, states may be merged by what is known, and whoever comes
   after R finds the very state that R saw. Two states that nobody can tell apart until R are
   one state after it.

3. Where no pin comes for long (nobody reads), the events up to the watermark are searched with all
   states told apart, which is always right.

4. All configurations at the cut are needed. Where they are too many (unanswered cas of few values)
   the cut stays, and is tried again when twice as much has come. A look needs not all of them: one
   legal order will do, and a beam finds it.

So memory is bounded by what is open or unanswered, and by what came after the earliest open call.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import TypeAlias

from harness.check.antichain import BEAMS
from harness.check.carried import Carried, Declared, carry
from harness.check.catalogue import parse_model
from harness.check.limits import Budget, LimitReached, uncollected
from harness.check.models import Model
from harness.check.problem import Problem, pose
from harness.core.errors import UsageError
from harness.core.operations import Complete, Event, Invoke, Operation, operation
from harness.core.protocols import Limits
from harness.core.verdict import Verdict

BATCH = 16
"""Completed operations of a key after which moving its cut is worth the trouble."""

PATIENCE = 4096
"""Operations without a pin after which the cut moves on without one."""

WIDEST = 64
"""Configurations that are carried over a cut, at most. Where there are more, it stays."""

EFFORT, HASTE = 200, 4
"""Looks at the budget, of some 20,000 comparisons each, for a look and for moving a cut.

Unlike a limit of time they stop two searches of one history at the same place.
"""

_Moment: TypeAlias = tuple[int, int]
"""An event's place in the order of the search: (2 · time, + 1 for a return; its call's index)."""

_Grant: TypeAlias = Callable[[int, int], Budget]
"""From a number of events, and the looks beyond those, to the budget of one search."""


@dataclass(frozen=True, slots=True)
class Violation:
    """The first operation of its key that no legal order lets return."""

    key: Hashable
    operation: Operation


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
        self._objects: dict[Hashable, _Object] = {}
        self._changed: dict[Hashable, _Object] = {}
        self._calls: dict[int, tuple[Invoke, _Object]] = {}
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
                    item = self._objects[key] = _Object(key, self._models, self._batch)
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


class _Object:
    """One key: what is carried, and the events after the cut.

    Attributes:
        judged: operations that have ended and are judged.
        changed: whether a look may find what the last one did not.
        violation, limit: why nothing more is searched, if so.
    """

    def __init__(self, key: Hashable, models: Declared, batch: int) -> None:
        self.key = key
        self.judged = 0
        self.violation: Violation | None = None
        self.limit: str | None = None
        self._models = models
        self._carried = Carried(((models.model.init, ((0, 0, 0),)),))
        self._cut: _Moment = (-1, -1)
        self._calls: dict[int, Invoke] = {}
        self._fresh: list[Operation] = []
        self._ended = 0
        # The latest instant of a return, and how many were at it.
        self._last = -1
        self._of_last = 0
        self._batch = batch
        self._due = batch
        self.changed = False
        self._over = False

    @property
    def kept(self) -> int:
        """Operations that are remembered."""
        carried = self._carried
        behind = len(carried.open) + sum(count for _, count in carried.lost)
        return len(self._calls) + len(self._fresh) + behind

    def called(self, call: Invoke) -> None:
        """A call began."""
        if not self._over:
            self._calls[call.index] = call

    def ended(self, item: Operation) -> None:
        """A call completed."""
        self._ended += 1
        if not self._over:
            del self._calls[item.index]
            self._fresh.append(item)
            self.changed = True
            if item.end is not None:
                self._of_last = self._of_last + 1 if item.end == self._last else 1
                self._last = item.end

    def due(self) -> bool:
        """Whether enough has happened to move the cut."""
        return not self._over and self.violation is None and len(self._fresh) >= self._due

    def look(self, until: _Moment, effort: _Grant) -> None:
        """Searches the events before a moment, on a copy."""
        if not self._over and self.changed:
            waiting = [operation(call, None) for call in self._calls.values()]
            try:
                culprit = self._search([*self._fresh, *waiting], until, effort)
                if culprit is not None:
                    self._blame(culprit)
            except LimitReached as limit:
                self._give_up(limit.words)
            except (UsageError, ValueError, TypeError) as error:
                self._give_up(str(error))
            present = (2 * self._last + 1, 0) >= until
            self.changed = present and not self._over
            if not self._over and self.violation is None:
                self.judged = self._ended - (self._of_last if present else 0)

    def advance(self, now: int, effort: _Grant, patience: int) -> None:
        """Moves the cut as far as it may go."""
        self._fresh.sort(key=_index)
        watermark = self._watermark(now)
        try:
            pin = self._pin(watermark) if self._models.merges else watermark
            if pin is not None:
                self._move(pin, self._models.model, effort)
            elif len(self._fresh) > patience:
                self._move(watermark, self._models.apart, effort)
        except LimitReached:
            pass  # As if too many had to be carried.
        except (UsageError, ValueError, TypeError) as error:
            self._give_up(str(error))
        self._due = max(self._batch, 2 * len(self._fresh))

    def _watermark(self, now: int) -> _Moment:
        """No event before this moment can still come, or turn out to be something else."""
        first = next(iter(self._calls.values()), None)
        present = (2 * now + 1, -1)
        return present if first is None else min(present, (2 * first.at_ns, first.index))

    def _pin(self, watermark: _Moment) -> _Moment | None:
        """The call of the latest pin."""
        for item in reversed(self._fresh):
            known = item.end is not None and (2 * item.end + 1, item.index) < watermark
            if known and self._models.pins(item):
                return (2 * item.start, item.index)
        return None

    def _move(self, limit: _Moment, model: Model, effort: _Grant) -> None:
        """Searches the events up to a moment, which becomes the cut."""
        if limit <= self._cut:
            return
        problem = self._pose(self._fresh, model)
        last = _place(limit, problem)
        search = self._carried.resume(problem, effort(last, HASTE), WIDEST)
        with uncollected():
            dead = search.run(last)
        if search.truncated:
            return
        if dead is not None:
            self._blame(problem.operations[problem.events[dead] >> 1])
            return
        self._carried, self._cut = carry(search), limit
        self._fresh = [item for item in self._fresh if (2 * item.start, item.index) >= limit]

    def _search(
        self, fresh: Iterable[Operation], until: _Moment, effort: _Grant
    ) -> Operation | None:
        """The first operation between cut and ``until`` that no legal order lets return."""
        problem = self._pose(fresh, self._models.model)
        last = _place(until, problem)
        budget = effort(last, EFFORT)
        with uncollected():
            for width in BEAMS:
                search = self._carried.resume(problem, budget, width)
                dead = search.run(last)
                if dead is None:
                    return None
                if not search.truncated:
                    return problem.operations[problem.events[dead] >> 1]
        raise AssertionError("the last search cuts nothing off")

    def _pose(self, fresh: Iterable[Operation], model: Model) -> Problem:
        carried = self._carried
        behind = [item for item, _ in (*carried.open, *carried.lost)]
        return pose(sorted((*behind, *fresh), key=_index), model)

    def _blame(self, culprit: Operation) -> None:
        """Final, but for who is to blame.

        When a call that could have explained an earlier operation turns out to have failed, that
        one is to blame: so it is settled only when no call from before the return is open.
        """
        self.violation = Violation(self.key, culprit)
        first = next(iter(self._calls.values()), None)
        assert culprit.end is not None
        if first is None or culprit.end < first.at_ns:
            self._forget()

    def _give_up(self, limit: str) -> None:
        if self.violation is None:
            self.limit = limit
        self._forget()

    def _forget(self) -> None:
        self._over = True
        self._carried = Carried(())
        self._fresh, self._calls = [], {}


def _index(item: Operation) -> int:
    return item.index


def _place(moment: _Moment, problem: Problem) -> int:
    """The position of the first event that is not before a moment."""
    events, operations = problem.events, problem.operations

    def at(place: int) -> _Moment:
        item = operations[events[place] >> 1]
        if events[place] & 1:
            assert item.end is not None  # it returned
            return (2 * item.end + 1, item.index)
        return (2 * item.start, item.index)

    return bisect_left(range(len(events)), moment, key=at)
