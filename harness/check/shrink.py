"""The smallest part of a failing history that fails in the same way."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import combinations

from harness.check.engines import first_to_fail
from harness.check.limits import Budget, LimitReached
from harness.check.models import Model
from harness.core.operations import Operation, Outcome
from harness.core.values import Value

_FIRST_GUESS = 8
"""Operations before the culprit that are tried first; doubled until they are enough."""
_PAIRS_UP_TO = 24
"""Histories up to this size are also tried without each pair of operations."""
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What is left of a failing history.

    Attributes:
        operations: in order of call.
        values: for a collection, the values that matter; in the operations all others are to be
            disregarded. None: all do.
        minimal: without any one of the operations (and those that depended on it alone) the rest
            does not fail at the culprit. False when the budget was used up before that was known.
    """

    operations: list[Operation]
    values: frozenset[Value] | None
    minimal: bool


def focused(
    operations: Sequence[Operation], model: Model, values: Set[Value] | None
) -> list[Operation]:
    """Operations on a collection as if only these values existed (None: as they are)."""
    if values is None or model.restrict is None:
        return list(operations)
    kept = []
    for operation in operations:
        action = model.action(operation)
        brings = model.traffic(action).brings if action is not None else ()
        if not brings or not values.isdisjoint(brings):
            kept.append(model.restrict(operation, values))
    return kept


class _Sources:
    """Who brought what, so that a part of a history stays as honest as the whole.

    For a collection that is a restriction to some values: each is there with all that brought it,
    or nowhere. For other objects the part is closed under reads-from.
    """

    def __init__(self, operations: Sequence[Operation], model: Model) -> None:
        actions = [model.action(operation) for operation in operations]
        assert None not in actions
        self.traffic = [model.traffic(action) for action in actions if action is not None]
        self.starts = [operation.start for operation in operations]
        self.ends = [_end(operation) for operation in operations]
        self.bringers: dict[Value, list[int]] = {}
        for place, traffic in enumerate(self.traffic):
            for value in traffic.brings:
                self.bringers.setdefault(value, []).append(place)
        self.rise = sum(traffic.delta for traffic in self.traffic if traffic.delta > 0)
        self.fall = sum(traffic.delta for traffic in self.traffic if traffic.delta < 0)
        self.phantoms = {value for traffic in self.traffic for value in traffic.needs}.difference(
            self.bringers
        )
        self.restricts = model.restrict is not None and all(
            item.call.f not in ("put", "write") and not isinstance(item.result, str)
            for item in operations
        )

    def values(self, kept: Set[int]) -> frozenset[Value] | None:
        """The values to which a part restricts a collection: those brought here or nowhere."""
        if not self.restricts:
            return None
        brought = {
            value
            for value, places in self.bringers.items()
            if all(place in kept for place in places)
        }
        return frozenset(brought | self.phantoms)

    def closed(self, kept: Set[int]) -> set[int]:
        """``kept`` without what would be dishonest."""
        values = self.values(kept)
        if values is None:
            return self.without_orphans(kept)
        return {
            place
            for place in kept
            if not self.traffic[place].brings or not values.isdisjoint(self.traffic[place].brings)
        }

    def add_latest(self, kept: Set[int]) -> set[int]:
        """``kept`` with, for each need, the bringer called last before the needing one returned."""
        if self.restricts:
            return self.closed(kept)
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

    def without_orphans(self, kept: Set[int]) -> set[int]:
        """``kept`` without those whose needs somebody met in the whole, and nobody meets here."""
        kept = set(kept)
        while orphans := [place for place in kept if self._orphaned(place, kept)]:
            kept.difference_update(orphans)
        return kept

    def _orphaned(self, place: int, kept: Set[int]) -> bool:
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
    found = first_to_fail(operations, model, budget)
    return found is not None and found.index == culprit.index


def shrink(
    operations: Sequence[Operation], culprit: Operation, model: Model, budget: Budget
) -> Shrunk:
    """The smallest part of one object's history that still fails at the culprit.

    The part stays closed under reads-from: an operation whose value somebody brought stays only
    together with one that brought it. Otherwise a stale read would shrink to a read alone, of a
    value that nobody wrote: smaller, but another anomaly. (Of a collection only some values are
    looked at instead: a read of a hundred elements needs none of them to lack one.) And it must
    fail at the same operation: a part in which something else fails proves nothing about the whole.
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
        part = [whole[place] for place in sorted(kept)]
        return fails_at(focused(part, model, sources.values(kept)), culprit, model, budget)

    part = _Part(set(range(len(whole))))
    minimal = True
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
        minimal = False
    kept = [whole[place] for place in sorted(part.kept)]
    return Shrunk(kept, sources.values(part.kept), minimal)


@dataclass(slots=True)
class _Part:
    """What is kept so far: it fails, whenever the budget ends."""

    kept: set[int]


def _minimise(
    part: _Part, target: int, sources: _Sources, fails: Callable[[set[int]], bool]
) -> None:
    """Leaves out halves, quarters, … single operations (delta debugging, Zeller 2002), pairs."""

    def leave_out(places: Iterable[int]) -> bool:
        rest = sources.closed(part.kept.difference(places))
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
