"""The smallest part of a failing history that fails in the same way."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.check.antichain import search
from harness.check.limits import Budget, LimitReached
from harness.check.models import Model
from harness.check.problem import pose
from harness.core.operations import Operation, Outcome

_FIRST_GUESS = 8
"""Operations before the culprit that are tried first; doubled until they are enough."""
_PAIRS_UP_TO = 24
"""Histories up to this size are also tried without each pair of operations."""
_NEVER = float("inf")


class _Sources:
    """Who brought what, so that a part of a history stays closed under reads-from."""

    def __init__(self, operations: Sequence[Operation], model: Model) -> None:
        actions = [model.action(operation) for operation in operations]
        assert None not in actions
        self.traffic = [model.traffic(action) for action in actions if action is not None]
        self.starts = [operation.start for operation in operations]
        self.ends = [_end(operation) for operation in operations]
        self.bringers: dict[object, list[int]] = {}
        for place, traffic in enumerate(self.traffic):
            for value in traffic.brings:
                self.bringers.setdefault(value, []).append(place)
        self.rise = sum(traffic.delta for traffic in self.traffic if traffic.delta > 0)
        self.fall = sum(traffic.delta for traffic in self.traffic if traffic.delta < 0)

    def add_latest(self, kept: set[int]) -> set[int]:
        """``kept`` with, for each need, the bringer called last before the needing one returned."""
        kept = set(kept)
        queue = list(kept)
        for place in queue:
            traffic = self.traffic[place]
            for value in traffic.needs:
                bringers = self.bringers.get(value, [])
                if not any(one in kept and one != place for one in bringers):
                    late = bisect_right(bringers, self.ends[place], key=self.starts.__getitem__)
                    others = [one for one in bringers[:late] if one != place]
                    if others:
                        kept.add(others[-1])
                        queue.append(others[-1])
            if traffic.reaches is not None:
                counting = {one for one, item in enumerate(self.traffic) if item.delta} - kept
                kept |= counting
        return kept

    def without_orphans(self, kept: set[int]) -> set[int]:
        """``kept`` without those whose needs somebody met in the whole, and nobody meets here."""
        kept = set(kept)
        while orphans := [place for place in kept if self._orphaned(place, kept)]:
            kept.difference_update(orphans)
        return kept

    def _orphaned(self, place: int, kept: set[int]) -> bool:
        traffic, end = self.traffic[place], self.ends[place]
        for value in traffic.needs:
            met = [one for one in self.bringers.get(value, ()) if self.starts[one] <= end]
            if met and not any(one in kept and one != place for one in met):
                return any(one != place for one in met)
        if traffic.reaches is not None and self.fall <= traffic.reaches <= self.rise:
            deltas = [self.traffic[one].delta for one in kept]
            rise = sum(delta for delta in deltas if delta > 0)
            fall = sum(delta for delta in deltas if delta < 0)
            return not fall <= traffic.reaches <= rise
        return False


def _end(operation: Operation) -> float:
    if operation.outcome is Outcome.INFO or operation.end is None:
        return _NEVER
    return operation.end


def fails_at(
    operations: Sequence[Operation], culprit: Operation, model: Model, budget: Budget
) -> bool:
    """Whether the culprit's return is the first event that no legal order passes.

    Raises:
        LimitReached: the budget is used up.
    """
    problem = pose(operations, model)
    place = problem.place(culprit)
    if place is None:
        return False  # in this part of the history it is allowed everywhere
    last = problem.events.index(2 * place + 1)
    return search(problem, budget, last + 1).dead == last


def shrink(
    operations: Sequence[Operation], culprit: Operation, model: Model, budget: Budget
) -> tuple[list[Operation], bool]:
    """The smallest part of one object's history that still fails at the culprit.

    The part stays closed under reads-from: an operation whose value somebody brought stays only
    together with one that brought it. Otherwise a stale read would shrink to a read alone, of a
    value that nobody wrote: smaller, but another anomaly. And it must fail at the same operation:
    a part of a history in which something else fails proves nothing about the whole.

    Returns:
        The operations in order of call; whether they are minimal: without any one of them, and
        those that depended on it alone, the rest does not fail at the culprit. False when the
        budget was used up before that was known.
    """
    end = _end(culprit)
    whole = [
        operation
        for operation in operations
        if operation.start <= end and model.action(operation) is not None
    ]
    sources = _Sources(whole, model)
    target = next(place for place, item in enumerate(whole) if item.index == culprit.index)

    def fails(kept: set[int]) -> bool:
        return fails_at([whole[place] for place in sorted(kept)], culprit, model, budget)

    part = _Part(set(range(len(whole))))
    try:
        size = _FIRST_GUESS
        while size < len(whole):
            guess = sources.add_latest({target, *range(len(whole) - size, len(whole))})
            if fails(guess):
                part.kept = guess
                break
            size *= 2
        _minimise(part, target, sources, fails)
    except LimitReached:
        return [whole[place] for place in sorted(part.kept)], False
    return [whole[place] for place in sorted(part.kept)], True


@dataclass(slots=True)
class _Part:
    """What is kept so far: it fails, whenever the budget ends."""

    kept: set[int]


def _minimise(
    part: _Part, target: int, sources: _Sources, fails: Callable[[set[int]], bool]
) -> None:
    """Leaves out halves, quarters, … single operations (delta debugging, Zeller 2002), pairs."""

    def leave_out(places: Iterable[int]) -> bool:
        rest = sources.without_orphans(part.kept.difference(places))
        if target not in rest or len(rest) == len(part.kept) or not fails(rest):
            return False
        part.kept = rest
        return True

    chunk = len(part.kept)
    while True:
        chunk = max(1, chunk // 2)
        order = sorted(part.kept)
        smaller = False
        for first in range(0, len(order), chunk):
            smaller |= leave_out(order[first : first + chunk])
        if chunk > 1 or smaller:
            continue
        pairs = combinations(sorted(part.kept), 2) if len(part.kept) <= _PAIRS_UP_TO else ()
        if not any(leave_out(pair) for pair in pairs):
            return
