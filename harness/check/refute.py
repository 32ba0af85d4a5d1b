"""A refutation in polynomial time: what even an object that forgives almost everything cannot do.

The *forgiving* object differs from the real one in that an operation is not used up: as long as it
is open it can take effect again and again, and an unanswered one for ever. What stays is that an
operation that returned must have been *seen* between its call and its return: a read in a state
that allows it, a write in the state it makes, a compare-and-set on the way from one of its states
to the other. Every legal order of the real object is one of the forgiving object, where each
operation takes effect once and is seen when it does. So where the forgiving object cannot go on,
no legal order does: a return that it cannot pass is a proof, its passing everything is none.

It is quick because nothing has to be decided. A configuration is a state and the set of open
operations that have been seen. Whatever the object can reach it may as well visit, and see all that
can be seen there: if a blind write is open, all that can be reached through blind writes can be
reached from all of it, and every configuration there has seen all of it. Only what lies between a
state and the first blind write (a path of compare-and-set) is a one-way street, and there it is
assumed that all of it was seen: more than is possible, so what is refuted stays refuted. In place
of the exponential number of sets of used operations there is next to one set for each state.

Steps are taken when a return needs them, or when a return takes away the last operation with some
effect: until then it can still be had.
"""

from __future__ import annotations

from collections import Counter

from harness.check.limits import Budget
from harness.check.models import Kind
from harness.check.problem import Problem

_SEES, _SEES_OTHER = int(Kind.SEES), int(Kind.SEES_OTHER)
_BLIND, _MOVES = int(Kind.BLIND), int(Kind.MOVES)
_KNOWN = frozenset({_SEES, _SEES_OTHER, _BLIND, _MOVES})

MOST = 20_000
"""Configurations after which it is given up: then it is not quick after all."""


def refuted(problem: Problem, budget: Budget) -> int | None:
    """The position of a return that no legal order passes (there may be an earlier one); None if
    this way finds none.

    Raises:
        LimitReached: the budget is used up.
    """
    if not _KNOWN.issuperset(problem.kinds[cls] for cls in set(problem.classes)):
        return None
    return _Forgiving(problem).run(budget)


def before(problem: Problem, position: int) -> Problem:
    """What was before an event: operations that return later may take effect or not."""
    events = problem.events[:position]
    called = max((event >> 1 for event in events), default=-1) + 1
    returned = [False] * called
    for event in events:
        returned[event >> 1] |= bool(event & 1)
    return Problem(
        operations=problem.operations[:called],
        classes=problem.classes[:called],
        returned=returned,
        events=events,
        kinds=problem.kinds,
        at=problem.at,
        to=problem.to,
        initial=problem.initial,
        mute=problem.mute,
        commutes=problem.commutes,
        table=problem.table,
    )


class _Forgiving:
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        # States with the sets of what was seen: of those sets none holds another.
        self.configs: dict[int, list[int]] = {problem.initial: [0]}
        self.slots: dict[int, int] = {}
        self.unused: list[int] = []
        self.seen_in: Counter[int] = Counter()
        self.seen_elsewhere: Counter[int] = Counter()
        self.any_other = 0
        # How many open operations have an effect: by the state after it; by both states.
        self.blind: Counter[int] = Counter()
        self.edges: dict[int, dict[int, int]] = {}
        self.moves: Counter[tuple[int, int]] = Counter()
        self.movers: dict[tuple[int, int], int] = {}

    def run(self, budget: Budget) -> int | None:
        """See :func:`refuted`."""
        problem = self.problem
        for position, event in enumerate(problem.events):
            operation = event >> 1
            if not event & 1:
                self._open(operation)
                continue
            bit = 1 << self.slots[operation]
            budget.look()
            last = self._last(operation)
            self._pass(operation, bit, last=last)
            if not self.configs:
                return position
            if sum(map(len, self.configs.values())) > MOST:
                return None
        return None

    def _open(self, operation: int) -> None:
        problem = self.problem
        cls = problem.classes[operation]
        kind, at, to = problem.kinds[cls], problem.at[cls], problem.to[cls]
        bit = 0
        if problem.returned[operation]:
            slot = self.unused.pop() if self.unused else len(self.slots)
            self.slots[operation] = slot
            bit = 1 << slot
        if kind == _SEES:
            self.seen_in[at] |= bit
        elif kind == _SEES_OTHER:
            self.seen_elsewhere[at] |= bit
            self.any_other |= bit
        elif kind == _BLIND:
            self.blind[to] += 1
            self.seen_in[to] |= bit
        else:
            self.moves[at, to] += 1
            self.edges.setdefault(at, {})[to] = 0
            self.movers[at, to] = self.movers.get((at, to), 0) | bit

    def _last(self, operation: int) -> bool:
        """Whether no other open operation has the same effect."""
        problem = self.problem
        cls = problem.classes[operation]
        kind, at, to = problem.kinds[cls], problem.at[cls], problem.to[cls]
        if kind == _BLIND:
            return self.blind[to] == 1
        return kind == _MOVES and self.moves[at, to] == 1

    def _pass(self, operation: int, bit: int, *, last: bool) -> None:
        """What is left when the operation has returned."""
        kept: dict[int, list[int]] = {}
        through: list[int] = []
        for state, sets in self.configs.items():
            here = self._sees(state)
            for seen in sets:
                stays = bool((seen | here) & bit)
                if stays:
                    _add(kept, state, seen | here)
                if stays and not last:
                    continue
                street, again, more = self._street(state)
                for after in street:
                    if (seen | more) & bit and (after != state or again):
                        _add(kept, after, seen | more)
                through.append(seen | more)
        if through and self.blind:
            reach, there = self._free()
            for seen in _largest([one | there for one in through]):
                if seen & bit:
                    for state in reach:
                        _add(kept, state, seen)
        self._forget(operation, bit)
        self.configs = {
            state: _largest([seen & ~bit for seen in sets]) for state, sets in kept.items()
        }

    def _sees(self, state: int) -> int:
        return self.seen_in[state] | self.any_other & ~self.seen_elsewhere[state]

    def _street(self, state: int) -> tuple[list[int], bool, int]:
        """Where compare-and-set alone can lead from a state, whether back to it, and what can be
        seen on the way."""
        street, again, seen = [state], False, self._sees(state)
        met = {state}
        for one in street:
            for after in self.edges.get(one, ()):
                seen |= self.movers[one, after]
                again |= after == state
                if after not in met:
                    met.add(after)
                    street.append(after)
                    seen |= self._sees(after)
        return street, again, seen

    def _free(self) -> tuple[list[int], int]:
        """Where blind writes can lead, and then compare-and-set; and what can be seen there."""
        reach = list(self.blind)
        met, seen = set(reach), 0
        for one in reach:
            seen |= self._sees(one)
            for after in self.edges.get(one, ()):
                seen |= self.movers[one, after]
                if after not in met:
                    met.add(after)
                    reach.append(after)
        return reach, seen

    def _forget(self, operation: int, bit: int) -> None:
        problem = self.problem
        cls = problem.classes[operation]
        kind, at, to = problem.kinds[cls], problem.at[cls], problem.to[cls]
        self.unused.append(self.slots.pop(operation))
        if kind == _SEES:
            self.seen_in[at] &= ~bit
        elif kind == _SEES_OTHER:
            self.seen_elsewhere[at] &= ~bit
            self.any_other &= ~bit
        elif kind == _BLIND:
            self.seen_in[to] &= ~bit
            self.blind[to] -= 1
            if not self.blind[to]:
                del self.blind[to]
        else:
            self.movers[at, to] &= ~bit
            self.moves[at, to] -= 1
            if not self.moves[at, to]:
                del self.edges[at][to]


def _add(configs: dict[int, list[int]], state: int, seen: int) -> None:
    configs.setdefault(state, []).append(seen)


def _largest(sets: list[int]) -> list[int]:
    """Those that no other holds."""
    if len(sets) == 1:
        return sets
    kept: list[int] = []
    for one in sorted(set(sets), key=int.bit_count, reverse=True):
        if not any(one & ~other == 0 for other in kept):
            kept.append(one)
    return kept
