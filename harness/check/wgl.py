"""The search of Wing & Gong (1993) with Lowe's cache (2017): depth first over the orders.

A configuration (operations linearized, state) is entered once. No pruning rule is shared with
:mod:`harness.check.antichain`, so this is its second opinion; and as it goes straight for one order
instead of carrying all of them, it is also its scout, for as long as it gets on.

The operations linearized are kept as a window: a count of those that are linearized without a gap
in order of call, and a mask of what follows, so that an entry of the cache does not grow with the
history. (Porcupine keeps a bit for each operation of the whole history.) Operations without a
return are a mask of their own; each may be linearized or not, which doubles a search that fails.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.check.limits import Budget
from harness.check.problem import Problem

_LOOK_EVERY = 64
"""Steps between two looks at the budget and at the patience."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What a depth-first search came to.

    Attributes:
        order: a legal order of the problem's operations, None if none was found.
        finished: whether that is final; False when patience ended first.
        blocked: the last return that blocked an order. If there is no legal order, it is the first
            event that none can pass: some order linearizes all that returned before it.
        steps: how many.
    """

    order: list[int] | None
    finished: bool
    blocked: int
    steps: int


class _Entries:
    """The events as a doubly linked list, from which linearized operations are lifted.

    Place 0 is the head and also the end; event ``i`` is at place ``i + 1``. An operation without a
    return is only a call: it may be lifted, and need not be.
    """

    def __init__(self, problem: Problem) -> None:
        count = len(problem.events) + 1
        self.next = [*range(1, count), 0]
        self.before = [count - 1, *range(count - 1)]
        self.returns = [0] * len(problem.operations)
        for place, event in enumerate(problem.events):
            if event & 1:
                self.returns[event >> 1] = place + 1

    def lift(self, place: int, operation: int) -> None:
        """Takes an operation's call and return out."""
        for one in (place, self.returns[operation]):
            if one:
                before, after = self.before[one], self.next[one]
                self.next[before], self.before[after] = after, before

    def unlift(self, place: int, operation: int) -> None:
        """Puts them back; the last one lifted must be the first one back."""
        for one in (self.returns[operation], place):
            if one:
                self.next[self.before[one]] = self.before[self.next[one]] = one


def wgl(problem: Problem, budget: Budget, patience: int | None = None) -> Walk:
    """Searches for a legal order.

    Args:
        problem: the history of one object.
        budget: time and memory.
        patience: how many steps it may take for each event that it has reached so far, before it
            is given up as lost; None: any number.

    Raises:
        LimitReached: the budget is used up.
    """
    entries, table, number = _Entries(problem), problem.table, _numbers(problem)
    events, classes, returned = problem.events, problem.classes, problem.returned
    cache: set[tuple[int, int, int, int]] = set()
    # (place of the call, which of its successors was taken; before it: state, count, window, lost)
    stack: list[tuple[int, int, int, int, int, int]] = []
    state, count, window, lost = problem.initial, 0, 0, 0
    blocked, reached, steps = -1, 0, 0
    place, choice = entries.next[0], 0
    while place:
        steps += 1
        if steps % _LOOK_EVERY == 0:
            budget.look()
            if patience is not None and steps > patience * (max(reached, blocked) + _LOOK_EVERY):
                return Walk(None, False, blocked, steps)
        event = events[place - 1]
        operation = event >> 1
        if not event & 1:
            successors = table.next(state, classes[operation])
            if choice >= len(successors):
                place, choice = entries.next[place], 0
                continue
            after, base, mask, gone = successors[choice], count, window, lost
            if returned[operation]:
                mask |= 1 << (number[operation] - base)
                full = (~mask & (mask + 1)).bit_length() - 1
                base, mask = base + full, mask >> full
            else:
                gone |= 1 << number[operation]
            if (after, base, mask, gone) in cache:
                choice += 1
                continue
            cache.add((after, base, mask, gone))
            stack.append((place, choice, state, count, window, lost))
            state, count, window, lost, choice = after, base, mask, gone, 0
            entries.lift(place, operation)
            reached = max(reached, place)
            place = entries.next[0]
            continue
        blocked = max(blocked, place - 1)
        if not stack:
            return Walk(None, True, blocked, steps)
        place, choice, state, count, window, lost = stack.pop()
        entries.unlift(place, events[place - 1] >> 1)
        choice += 1
    return Walk([events[entry[0] - 1] >> 1 for entry in stack], True, blocked, steps)


def _numbers(problem: Problem) -> list[int]:
    """Operations that returned, and those that did not, each numbered in order of call."""
    counts = [0, 0]
    numbers = [0] * len(problem.operations)
    for event in problem.events:
        if not event & 1:
            kind = problem.returned[event >> 1]
            numbers[event >> 1] = counts[kind]
            counts[kind] += 1
    return numbers
