"""What an object can hold at each moment, over all legal orders of its whole history.

Asked, not derived: "can it hold v between t and u?" is the question whether the history with one
more operation, a read of v called at t and returned at u, has a legal order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from harness.check.antichain import Antichain
from harness.check.limits import Budget, LimitReached
from harness.check.models import Kind, Model, State, any_state
from harness.check.problem import Problem, pose
from harness.core.operations import Operation
from harness.core.verdict import LaneSegment

UNTOLD = ("?",)
"""What a segment, or a list of answers, says where there is too much to tell."""

_FEW = 6
"""More values than this at one time are not listed: nobody reads such a lane."""

_LONG = 400
"""Events in a segment; a longer one is not looked at, as whatever it holds explains nothing."""

_BEAM = 16
"""Width of the first attempt to answer a question; only a no needs the exact search."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """``legal``: what the culprit could have returned; ``lane``: what the object could hold.

    Both are empty when the budget did not suffice; a lane may begin late for the same reason.
    Where there are too many values, they are :data:`UNTOLD`.
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
            asker = _Asker(operations, shown, culprit, attempt, budget())
            return Holdings(asker.answers(), asker.lane())
        except LimitReached:
            continue
    return Holdings()


@dataclass(frozen=True, slots=True)
class _Span:
    """A segment of the lane: its times, and the positions of the events it lies between."""

    start: int
    end: int
    first: int
    last: int


class _Asker:
    """Puts questions to a history from which the culprit has been taken out."""

    def __init__(
        self,
        operations: Sequence[Operation],
        shown: Sequence[Operation],
        culprit: Operation,
        model: Model,
        budget: Budget,
    ) -> None:
        assert culprit.end is not None
        self.model, self.end = model, culprit.end
        whole = pose([item for item in operations if item.start <= self.end], model)
        place = whole.place(culprit)
        assert place is not None  # an operation that says nothing is nobody's culprit
        self.called = whole.events.index(2 * place)
        self.returned = whole.events.index(2 * place + 1) - 1
        events = [event for event in whole.events if event >> 1 != place]
        self.problem = replace(whole, events=events[: self.returned])
        self.spans = self._spans(shown)
        self.searches: dict[int, Antichain] = {}
        search = Antichain(self.problem, budget)
        for position in sorted({self.called, *(span.first for span in self.spans)}):
            search.run(position)
            self.searches[position] = search.fork(self.problem)

    def _spans(self, shown: Sequence[Operation]) -> list[_Span]:
        """The segments between the times of the shown operations."""
        first = min(item.start for item in shown)
        times = {time for item in shown for time in (item.start, item.end or 0)}
        cuts = sorted(time for time in times | {self.end} if first <= time <= self.end)
        if len(cuts) == 1:  # all of it happened in one instant
            return [_Span(first, self.end, self.called, self.returned)]
        at = [_time(self.problem, event) for event in self.problem.events]
        return [
            _Span(start, end, bisect_right(at, start), bisect_left(at, end))
            for start, end in pairwise(cuts)
        ]

    def answers(self) -> tuple[str, ...]:
        """What the culprit could have returned."""
        told = self.model.answer or self.model.describe
        return self._words(self.held(self.called, self.returned), told)

    def lane(self) -> tuple[LaneSegment, ...]:
        """What the object could hold, as far back as the budget allows."""
        segments: list[LaneSegment] = []
        try:
            # The last segments are the proof: they come first.
            for span in reversed(self.spans):
                values: tuple[str, ...] = UNTOLD
                if span.last - span.first <= _LONG:
                    held = self.held(span.first, span.last)
                    values = self._words(held, self.model.describe)
                segments.append(LaneSegment(span.start, span.end, values))
        except LimitReached:
            pass
        return _merged(reversed(segments))

    def _words(self, states: Iterable[int], told: Callable[[State], str]) -> tuple[str, ...]:
        different = sorted({told(self.problem.table.states[state]) for state in states})
        return UNTOLD if len(different) > _FEW else tuple(different)

    def held(self, first: int, last: int) -> list[int]:
        """The states the object can have at some time between two positions in the events.

        Candidates are all states that some order of the past allows; those stay for which the rest
        has an order too. When there are too many of them, all are returned as they are.
        """
        search, events = self.searches[first], self.problem.events
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


def _merged(segments: Iterable[LaneSegment]) -> tuple[LaneSegment, ...]:
    """Neighbours with the same values as one."""
    merged: list[LaneSegment] = []
    for segment in segments:
        if merged and merged[-1].values == segment.values:
            merged[-1] = replace(merged[-1], end=segment.end)
        else:
            merged.append(segment)
    return tuple(merged)
