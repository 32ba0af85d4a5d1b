"""What an object can hold at each moment, over all legal orders of its whole history.

Asked, not derived: "can it hold v between t and u?" is the question whether the history with one
more operation, a read of v called at t and returned at u, has a legal order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from harness.check.antichain import Antichain
from harness.check.limits import Budget, LimitReached
from harness.check.models import Kind, Model, any_state
from harness.check.problem import Problem, pose
from harness.core.operations import Operation
from harness.core.verdict import LaneSegment

_FEW = 6
"""More values than this at one time are counted, not listed: nobody reads such a lane."""

_BEAM = 16
"""Width of the first attempt to answer a question; only a no needs the exact search."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """``legal``: what the culprit could have returned; ``lane``: what the object could hold.

    Both are empty when the budget did not suffice; a lane may begin late for the same reason.
    """

    legal: tuple[str, ...] = ()
    lane: tuple[LaneSegment, ...] = ()


def holdings(
    operations: Sequence[Operation],
    shown: Sequence[Operation],
    culprit: Operation,
    model: Model,
    budget: Callable[[], Budget],
) -> Holdings:
    """The object's possible states around a failure.

    Args:
        operations: all of the object's operations.
        shown: those whose times cut the lane into segments.
        culprit: the operation that fails.
        model: the sequential object.
        budget: makes the budget of one attempt. The first one keeps all states apart, the second
            merges those that nobody can tell from each other, which is less to look at.
    """
    for attempt in (replace(model, project=any_state), model):
        try:
            asker = _Asker(operations, culprit, attempt, budget())
            legal = asker.answers()
        except LimitReached:
            continue
        return Holdings(legal, asker.lane(shown))
    return Holdings()


class _Asker:
    """Puts questions to a history from which the culprit has been taken out."""

    def __init__(
        self, operations: Sequence[Operation], culprit: Operation, model: Model, budget: Budget
    ) -> None:
        assert culprit.end is not None
        self.culprit, self.model, self.end = culprit, model, culprit.end
        whole = pose([item for item in operations if item.start <= self.end], model)
        place = whole.place(culprit)
        assert place is not None  # an operation that says nothing is nobody's culprit
        self.called = whole.events.index(2 * place)
        self.returned = whole.events.index(2 * place + 1) - 1
        events = [event for event in whole.events if event >> 1 != place]
        self.problem = replace(whole, events=events[: self.returned])
        self.base = Antichain(self.problem, budget)

    def answers(self) -> tuple[str, ...]:
        """What the culprit could have returned."""
        self.base.run(self.called)
        states = self.held(self.base.fork(self.problem), self.returned)
        told = self.model.answer or self.model.describe
        return _words(told(self.problem.table.states[state]) for state in states)

    def lane(self, shown: Sequence[Operation]) -> tuple[LaneSegment, ...]:
        """Segments between the times of the shown operations, as many as the budget allows."""
        times = {time for item in shown for time in (item.start, item.end or 0) if time <= self.end}
        cuts = sorted(time for time in times | {self.end} if time >= min(i.start for i in shown))
        if len(cuts) == 1:
            cuts *= 2  # all of it happened in one instant
        at = [_time(self.problem, event) for event in self.problem.events]
        states, describe = self.problem.table.states, self.model.describe
        self.base = Antichain(self.problem, self.base.budget)
        segments: list[LaneSegment] = []
        try:
            here: list[Antichain] = []
            for start in cuts[:-1]:
                self.base.run(bisect_right(at, start) if start < self.end else self.called)
                here.append(self.base.fork(self.problem))
            # The last segments are the proof: they come first.
            for start, end, search in reversed(list(zip(cuts, cuts[1:], here, strict=False))):
                last = bisect_left(at, end) if start < end else self.returned
                held = self.held(search, last)
                values = _words(describe(states[state]) for state in held)
                segments.append(LaneSegment(start, end, values))
        except LimitReached:
            pass
        return _merged(reversed(segments))

    def held(self, search: Antichain, last: int) -> list[int]:
        """The states the object can have at some time between where a search stands and ``last``.

        Candidates are all states that some order of the past allows; those stay for which the rest
        has an order too.
        """
        first, events = search.position, self.problem.events
        walk = search.fork(self.problem)
        candidates = set(walk.possible())
        for position in range(first, last):
            walk.run(position + 1)
            if not events[position] & 1:
                candidates |= walk.possible()
        if len(candidates) > 4 * _FEW:
            return sorted(candidates)
        return [state for state in sorted(candidates) if self._allows(search, state, last)]

    def _allows(self, search: Antichain, state: int, last: int) -> bool:
        """Whether the history has an order in which the object is in ``state`` at some time."""
        problem, first = self.problem, search.position
        operation, cls = len(problem.classes), len(problem.kinds)
        events = problem.events
        asked = replace(
            problem,
            classes=[*problem.classes, cls],
            returned=[*problem.returned, True],
            kinds=[*problem.kinds, int(Kind.SEES)],
            at=[*problem.at, state],
            to=[*problem.to, -1],
            events=[
                *events[:first],
                2 * operation,
                *events[first:last],
                2 * operation + 1,
                *events[last:],
            ],
        )
        for width in (_BEAM, None):
            attempt = search.fork(asked)
            attempt.width, attempt.truncated = width, False
            if attempt.run() is None:
                return True
            if not attempt.truncated:
                return False
        return False


def _time(problem: Problem, event: int) -> int:
    operation = problem.operations[event >> 1]
    if not event & 1:
        return operation.start
    assert operation.end is not None
    return operation.end


def _words(values: Iterable[str]) -> tuple[str, ...]:
    """Different values in words, or their number when they are many."""
    different = sorted(set(values))
    if len(different) > _FEW:
        return (f"any of {len(different)} values",)
    return tuple(different)


def _merged(segments: Iterable[LaneSegment]) -> tuple[LaneSegment, ...]:
    """Neighbours with the same values as one."""
    merged: list[LaneSegment] = []
    for segment in segments:
        if merged and merged[-1].values == segment.values:
            merged[-1] = replace(merged[-1], end=segment.end)
        else:
            merged.append(segment)
    return tuple(merged)
