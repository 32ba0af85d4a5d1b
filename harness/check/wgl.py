"""The search of Wing & Gong (1993) with Lowe's cache (2017): a second opinion.

Depth first over the orders, with a cache of (operations linearized, state) that were met before,
as Porcupine does it. No pruning rule is shared with :mod:`harness.check.antichain`. The cache holds
a mask of *all* operations in each entry, so time and memory grow with the square of the history,
and each unanswered operation doubles the search.
"""

from __future__ import annotations

from harness.check.limits import Budget
from harness.check.problem import Problem

_LOOK_EVERY = 1024
"""Steps between two looks at the budget."""


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


def wgl(problem: Problem, budget: Budget) -> tuple[list[int] | None, int, int]:
    """Searches for a legal order.

    Returns:
        The order (None: there is none), the position of the last return that blocked an order
        (without a legal order: the first that none can pass), and the number of steps.

    Raises:
        LimitReached: the budget is used up.
    """
    entries, table = _Entries(problem), problem.table
    events, classes = problem.events, problem.classes
    cache: set[tuple[int, int]] = set()
    # (place of the call, state before it, mask before it, which of its successors was taken)
    stack: list[tuple[int, int, int, int]] = []
    state, done, blocked, steps = problem.initial, 0, -1, 0
    place, choice = entries.next[0], 0
    while place:
        steps += 1
        if steps % _LOOK_EVERY == 0:
            budget.look()
        event = events[place - 1]
        operation = event >> 1
        if not event & 1:
            successors = table.next(state, classes[operation])
            if choice < len(successors):
                after, mask = successors[choice], done | 1 << operation
                if (mask, after) in cache:
                    choice += 1
                    continue
                cache.add((mask, after))
                stack.append((place, state, done, choice))
                state, done, choice = after, mask, 0
                entries.lift(place, operation)
                place = entries.next[0]
            else:
                place, choice = entries.next[place], 0
            continue
        blocked = max(blocked, place - 1)
        if not stack:
            return None, blocked, steps
        place, state, done, choice = stack.pop()
        entries.unlift(place, events[place - 1] >> 1)
        choice += 1
    return [events[place - 1] >> 1 for place, _, _, _ in stack], blocked, steps
