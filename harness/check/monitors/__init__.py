"""Polynomial decisions for histories in which every value is put there once.

With unique values it is known who wrote what was read, and for some objects that leaves only
constraints of order, which a sort decides. A monitor looks whether its precondition holds and says
so; where it does not, the searches go on. It gives what they give: an order as the proof of
*valid*, and for *invalid* the first event that no order passes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from harness.check.limits import Budget
from harness.check.monitors.intervals import Decide
from harness.check.monitors.registers import register
from harness.check.problem import Problem


@dataclass(frozen=True, slots=True)
class Decided:
    """What a monitor came to: a legal order, or the position of the event that none can pass."""

    order: list[int] | None
    dead: int | None


Monitor: TypeAlias = Callable[[Problem], "Decide | None"]


def monitored(problem: Problem, budget: Budget) -> Decided | None:
    """The verdict of the monitor that knows the object; None where there is none, or where its
    precondition does not hold.

    Raises:
        LimitReached: the budget is used up.
    """
    monitor: Monitor = problem.table.model.monitor or register
    decide = monitor(problem)
    if decide is None:
        return None
    budget.look()
    whole = decide(len(problem.events))
    if whole is not None:
        return Decided(whole, None)
    return Decided(None, _first(problem, decide, budget))


def _first(problem: Problem, decide: Decide, budget: Budget) -> int:
    """The first return whose prefix has no legal order.

    If a prefix has one, so has each shorter one (leave out what was called later, and what had not
    returned need not be there): so halving finds it.
    """
    returns = [position for position, event in enumerate(problem.events) if event & 1]

    def fails(position: int) -> bool:
        budget.look()
        return decide(position + 1) is None

    return returns[bisect_left(returns, True, key=fails)]
