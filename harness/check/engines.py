"""The searches under one interface: a problem in, an order or the event that has none out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.check.antichain import search
from harness.check.limits import Budget
from harness.check.problem import Problem
from harness.check.wgl import wgl
from harness.check.witness import linearization


@dataclass(frozen=True, slots=True)
class Solution:
    """What a search found.

    Attributes:
        order: a legal order of the problem's operations, None when there is none.
        dead: without an order, the position of the first event that none can pass.
        visited: configurations looked at.
        widest: configurations carried at once, at most.
    """

    order: list[int] | None
    dead: int | None
    visited: int
    widest: int


def by_antichain(problem: Problem, budget: Budget) -> Solution:
    """The project's own search.

    Raises:
        LimitReached: the budget is used up.
    """
    found = search(problem, budget)
    if found.dead is not None:
        return Solution(None, found.dead, found.visited, found.last.widest)
    trail = next(iter(found.last.configs.values()))[0][3]
    return Solution(linearization(problem, trail), None, found.visited, found.last.widest)


def by_wgl(problem: Problem, budget: Budget) -> Solution:
    """The second opinion.

    Raises:
        LimitReached: the budget is used up.
    """
    order, blocked, steps = wgl(problem, budget)
    return Solution(order, blocked if order is None else None, steps, 1)


ENGINES: Mapping[str, Callable[[Problem, Budget], Solution]] = {
    "auto": by_antichain,
    "python": by_antichain,
    "wgl": by_wgl,
}
