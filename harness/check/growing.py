"""One object's history while it grows, and the cut that lets its memory stay small.

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
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from harness.check.antichain import BEAMS
from harness.check.carried import Carried, Declared, carry
from harness.check.limits import Budget, LimitReached, uncollected
from harness.check.models import Model
from harness.check.problem import Problem, pose
from harness.core.errors import UsageError
from harness.core.operations import Invoke, Operation, operation

WIDEST = 64
"""Configurations that are carried over a cut, at most. Where there are more, it stays."""

EFFORT, HASTE = 200, 4
"""Looks at the budget, of some 20,000 comparisons each, for a look and for moving a cut.

Unlike a limit of time they stop two searches of one history at the same place.
"""

Moment: TypeAlias = tuple[int, int]
"""An event's place in the order of the search: (2 · time, + 1 for a return; its call's index)."""

Grant: TypeAlias = Callable[[int, int], Budget]
"""From a number of events, and the looks beyond those, to the budget of one search."""


@dataclass(frozen=True, slots=True)
class Violation:
    """The first operation of its key that no legal order lets return."""

    key: Hashable
    operation: Operation


class Growing:
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
        self._cut: Moment = (-1, -1)
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

    def look(self, until: Moment, effort: Grant) -> None:
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

    def advance(self, now: int, effort: Grant, patience: int) -> None:
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

    def _watermark(self, now: int) -> Moment:
        """No event before this moment can still come, or turn out to be something else."""
        first = next(iter(self._calls.values()), None)
        present = (2 * now + 1, -1)
        return present if first is None else min(present, (2 * first.at_ns, first.index))

    def _pin(self, watermark: Moment) -> Moment | None:
        """The call of the latest pin."""
        for item in reversed(self._fresh):
            known = item.end is not None and (2 * item.end + 1, item.index) < watermark
            if known and self._models.pins(item):
                return (2 * item.start, item.index)
        return None

    def _move(self, limit: Moment, model: Model, effort: Grant) -> None:
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

    def _search(self, fresh: Iterable[Operation], until: Moment, effort: Grant) -> Operation | None:
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


def _place(moment: Moment, problem: Problem) -> int:
    """The position of the first event that is not before a moment."""
    events, operations = problem.events, problem.operations

    def at(place: int) -> Moment:
        item = operations[events[place] >> 1]
        if events[place] & 1:
            assert item.end is not None  # it returned
            return (2 * item.end + 1, item.index)
        return (2 * item.start, item.index)

    return bisect_left(range(len(events)), moment, key=at)
