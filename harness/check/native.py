"""The native core: the searches of this package, compiled. An installation may be without it.

Its source is in ``native/``. It is handed a problem's numbers and answers as
:mod:`harness.check.antichain` and :mod:`harness.check.wgl` do; a model's ``step`` and the budget
stay on this side and are called back, the first once for each (state, class), the second every few
milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from harness.check.antichain import BEAMS
from harness.check.attempts import Sizes
from harness.check.limits import Budget
from harness.check.monitors import Decided
from harness.check.monitors.queues import Roles
from harness.check.problem import ColumnProblem, Problem
from harness.check.solution import Solution
from harness.check.wgl import Walk
from harness.core.columns import kept
from harness.core.errors import UsageError
from harness.core.operations import History
from harness.native import COMPILED, MISSING

if TYPE_CHECKING:
    from harness._native import Core, Plan


def available() -> str | None:
    """Why the native core cannot be used; None when it can."""
    return MISSING


def columned(history: History) -> History:
    """A history with columns for the core to start from, where there is one and they have room."""
    return history if COMPILED is None else kept(history, COMPILED.Table)


class Native:
    """One problem, in the native core's memory."""

    def __init__(self, problem: Problem) -> None:
        """Copies the problem's numbers.

        Raises:
            UsageError: there is no native core.
        """
        if COMPILED is None:
            raise UsageError(f"no native engine here; {MISSING}")
        if isinstance(problem, ColumnProblem):
            self._core = cast("Core", problem.posed.core(problem))
        else:
            self._core = COMPILED.Core(problem)

    def search(self, budget: Budget, first: int = 0, last: int = len(BEAMS)) -> Solution:
        """The antichain, as :func:`harness.check.antichain.search`, with some of its beams.

        Neither an order nor a dead event: all of these beams cut something off.

        Raises:
            LimitReached: the budget is used up.
        """
        return Solution(*self._core.search(budget.look, first, last))

    def operations(self) -> int:
        """How many operations there are."""
        return self._core.operations()

    def sizes(self) -> Sizes:
        """How large it is."""
        return Sizes(*self._core.sizes())

    def solve(self, budget: Budget, plan: Plan) -> Solution | None:
        """What the first attempt of a plan that decides came to; None if none does.

        Raises:
            LimitReached: the budget is used up.
        """
        found = self._core.solve(plan, budget.look)
        return None if found is None else Solution(*found)

    def queue(self, budget: Budget, roles: Roles) -> Decided | None:
        """As :func:`harness.check.monitors.queues.fifo` and ``bag``.

        Raises:
            LimitReached: the budget is used up.
        """
        found = self._core.queue(roles.what, roles.element, roles.in_order, budget.look)
        return None if found is None else Decided(*found)

    def refuted(self, budget: Budget) -> int | None:
        """A return that no order passes, as :func:`harness.check.refute.refuted`.

        Raises:
            LimitReached: the budget is used up.
        """
        return self._core.refuted(budget.look)

    def walk(self, budget: Budget, patience: int | None = None) -> Walk:
        """Depth first, as :func:`harness.check.wgl.wgl`.

        Raises:
            LimitReached: the budget is used up.
        """
        return Walk(*self._core.walk(budget.look, patience))

    def plain(self, budget: Budget) -> Walk:
        """Depth first with Porcupine's cache, which has a bit for each operation.

        Raises:
            LimitReached: the budget is used up.
        """
        return Walk(*self._core.plain(budget.look))
