"""The searches under one interface: a problem in, an order or the event that has none out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from harness.check.antichain import search
from harness.check.limits import Budget
from harness.check.native import Native, available
from harness.check.problem import Problem
from harness.check.wgl import wgl
from harness.check.witness import linearization

Engine: TypeAlias = "Callable[[Problem, Budget], Solution]"

PATIENCE = 4
"""Steps of the scout for each event that it has passed."""


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


def scouted(problem: Problem, budget: Budget) -> Solution:
    """A depth-first walk for as long as it gets on, then the antichain.

    Most histories are easy, and the walk finds an order of those, or that there is none, before
    the antichain has put on its boots. It also finds orders among many unanswered cas of few
    values, of which the antichain carries far too many.

    Raises:
        LimitReached: the budget is used up.
    """
    walk = wgl(problem, budget, PATIENCE)
    if not walk.finished:
        return by_antichain(problem, budget)
    return Solution(walk.order, walk.blocked if walk.order is None else None, walk.steps, 1)


def by_wgl(problem: Problem, budget: Budget) -> Solution:
    """The second opinion; compiled, where that is there.

    Raises:
        LimitReached: the budget is used up.
    """
    walk = wgl(problem, budget) if available() else Native(problem).walk(budget)
    return Solution(walk.order, walk.blocked if walk.order is None else None, walk.steps, 1)


def by_native(problem: Problem, budget: Budget) -> Solution:
    """The same as :func:`scouted`, compiled.

    Raises:
        LimitReached: the budget is used up.
        UsageError: there is no native core.
    """
    core = Native(problem)
    walk = core.walk(budget, PATIENCE)
    if walk.finished:
        return Solution(walk.order, walk.blocked if walk.order is None else None, walk.steps, 1)
    swept = core.search(budget)
    return Solution(swept.order, swept.dead, swept.visited, swept.widest)


ENGINES: Mapping[str, Engine] = {
    "auto": scouted if available() else by_native,
    "python": scouted,
    "native": by_native,
    "antichain": by_antichain,
    "wgl": by_wgl,
}
"""``auto`` is native where that is there, python elsewhere."""


def present() -> list[str]:
    """The engines that work here."""
    return [name for name in ENGINES if name != "native" or available() is None]
