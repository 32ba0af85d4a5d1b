"""The native core: the searches of this package, compiled. An installation may be without it.

Its source is in ``native/``. It is handed a problem's numbers and answers as
:mod:`harness.check.antichain` and :mod:`harness.check.wgl` do; a model's ``step`` and the budget
stay on this side and are called back, the first once for each (state, class), the second every few
milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.check.limits import Budget
from harness.check.problem import Problem
from harness.check.wgl import Walk
from harness.core.errors import UsageError

if TYPE_CHECKING:
    from harness.check._native import Core

INTERFACE = 1
"""What this side expects the compiled side to be; both count up together."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What the antichain came to: an order, or the return that nothing passes."""

    order: list[int] | None
    dead: int | None
    visited: int
    widest: int


def _load() -> tuple[type[Core] | None, str | None]:
    """The compiled side, or why there is none."""
    try:
        import harness.check._native as compiled
    except ModuleNotFoundError:
        return None, "left out at installation (`make native` puts it in, with a Rust toolchain)"
    except ImportError as error:
        return None, f"cannot be loaded: {error}"
    if compiled.INTERFACE != INTERFACE:
        return None, "older or newer than the rest: install again"
    return compiled.Core, None


_CORE, _MISSING = _load()


def available() -> str | None:
    """Why the native core cannot be used; None when it can."""
    return _MISSING


class Native:
    """One problem, in the native core's memory."""

    def __init__(self, problem: Problem) -> None:
        """Copies the problem's numbers.

        Raises:
            UsageError: there is no native core.
        """
        if _CORE is None:
            raise UsageError(f"no native engine here; {_MISSING}")
        self._core = _CORE(problem)

    def search(self, budget: Budget) -> Swept:
        """The antichain, as :func:`harness.check.antichain.search`.

        Raises:
            LimitReached: the budget is used up.
        """
        return Swept(*self._core.search(budget.look))

    def walk(self, budget: Budget, patience: int | None = None) -> Walk:
        """Depth first, as :func:`harness.check.wgl.wgl`.

        Raises:
            LimitReached: the budget is used up.
        """
        return Walk(*self._core.walk(budget.look, patience))
