"""The searches under one interface: a problem in, an order or the event that has none out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from harness.check.antichain import BEAMS, Found, attempt, search
from harness.check.limits import Budget
from harness.check.models import Action, Kind, Model, Shape, any_state
from harness.check.monitors import Decided, monitored
from harness.check.native import Native, available
from harness.check.problem import Problem
from harness.check.wgl import Walk, wgl
from harness.check.witness import linearization

Engine: TypeAlias = "Callable[[Problem, Budget], Solution]"


@dataclass(frozen=True, slots=True)
class Beams:
    """The antichain with the beams from one to another (not included)."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Go:
    """A depth-first walk, with so many steps for each event that it has passed."""

    patience: int


@dataclass(frozen=True, slots=True)
class Ask:
    """The object's monitor."""


Attempt: TypeAlias = "Beams | Go | Ask"

MANY_MOVES = 10
"""So many unanswered cas: beams carry a configuration for each set of them that may have been."""


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
    return _solved(problem, search(problem, budget))


def _solved(problem: Problem, found: Found) -> Solution:
    if found.dead is not None:
        return Solution(None, found.dead, found.visited, found.last.widest)
    trail = next(iter(found.last.configs.values()))[0][3]
    return Solution(linearization(problem, trail), None, found.visited, found.last.widest)


def _walked(walk: Walk) -> Solution:
    return Solution(walk.order, walk.blocked if walk.order is None else None, walk.steps, 1)


def _decided(problem: Problem, known: Decided) -> Solution:
    return Solution(known.order, known.dead, len(problem.classes), 1)


def by_monitor(problem: Problem, budget: Budget) -> Solution:
    """Where the precondition of a monitor holds, that; the antichain elsewhere.

    Raises:
        LimitReached: the budget is used up.
    """
    known = monitored(problem, budget)
    return by_antichain(problem, budget) if known is None else _decided(problem, known)


def declared(problem: Problem) -> bool:
    """Is nothing asked of the model: does each class say itself what it allows and makes?"""
    return _ASKS.isdisjoint(problem.kinds)


_ASKS = frozenset({int(Kind.LOOKS), int(Kind.TOTAL), int(Kind.OTHER)})


def order_of_attempts(asks: bool, lost_moves: int, *, monitored: bool) -> tuple[Attempt, ...]:
    """What to try, one after the other, until something decides. The antichain to the end is last.

    Each finds what another would look for in vain. Narrow beams are the quickest there is where
    nothing is asked of the model, and they refute what a walk cannot. A walk finds orders among
    many unanswered cas of few values, of which the antichain carries far too many; and it goes
    first where what would keep configurations few is not known (queues, lists, sets). A monitor
    takes no longer for hard histories than for easy ones: it goes first for objects that have one
    of their own, and for registers, of which most are easy, after a glance.

    Args:
        asks: the model's ``step`` has to be asked; see :func:`declared`.
        lost_moves: unanswered operations that lead from one state to another.
        monitored: the object has a monitor of its own.
    """
    if monitored:
        return (Ask(), Go(4), Go(32), Go(256))
    if asks:
        return (Go(4),)
    if lost_moves >= MANY_MOVES:
        return (Go(32), Ask())
    return (Beams(0, 1), Go(8 if lost_moves else 4), Beams(1, 3), Ask(), Go(32))


def _attempts(problem: Problem, lost_moves: int) -> tuple[Attempt, ...]:
    own = problem.table.model.monitor is not None
    return order_of_attempts(not declared(problem), lost_moves, monitored=own)


def scouted(problem: Problem, budget: Budget) -> Solution:
    """The attempts of :func:`order_of_attempts`, then the antichain to the end.

    Raises:
        LimitReached: the budget is used up.
    """
    kinds, moves = problem.kinds, int(Kind.MOVES)
    lost = zip(problem.classes, problem.returned, strict=True)
    lost_moves = sum(not returned and kinds[cls] == moves for cls, returned in lost)
    for one in _attempts(problem, lost_moves):
        match one:
            case Ask():
                known = monitored(problem, budget)
                if known is not None:
                    return _decided(problem, known)
            case Beams(first, last):
                found = attempt(problem, budget, BEAMS[first:last])
                if found is not None:
                    return _solved(problem, found)
            case Go(patience):
                walk = wgl(problem, budget, patience)
                if walk.finished:
                    return _walked(walk)
    return by_antichain(problem, budget)


def searched(model: Model, engine: Engine) -> Model:
    """The model as an engine gets it: the second opinion believes nothing that a model declares,
    so that neither its classes nor the states it merges are shared by the two opinions."""
    if engine is not by_wgl:
        return model
    return replace(model, shape=_anything, project=any_state, commutes=False)


def _anything(_action: Action) -> Shape:
    return Shape(Kind.OTHER)


def by_wgl(problem: Problem, budget: Budget) -> Solution:
    """The second opinion: depth first alone. Compiled, where that is there, and then with a cache
    like Porcupine's; in Python with the smaller one of :mod:`harness.check.wgl`.

    Raises:
        LimitReached: the budget is used up.
    """
    return _walked(wgl(problem, budget) if available() else Native(problem).plain(budget))


def by_native(problem: Problem, budget: Budget) -> Solution:
    """The same as :func:`scouted`, compiled.

    Raises:
        LimitReached: the budget is used up.
        UsageError: there is no native core.
    """
    core = Native(problem)
    for one in _attempts(problem, core.lost_moves()):
        match one:
            case Ask():
                known = monitored(problem, budget)
                if known is not None:
                    return _decided(problem, known)
            case Beams(first, last):
                swept = core.search(budget, first, last)
                if swept.order is not None or swept.dead is not None:
                    return Solution(swept.order, swept.dead, swept.visited, swept.widest)
            case Go(patience):
                walk = core.walk(budget, patience)
                if walk.finished:
                    return _walked(walk)
    swept = core.search(budget)
    return Solution(swept.order, swept.dead, swept.visited, swept.widest)


ENGINES: Mapping[str, Engine] = {
    "auto": scouted if available() else by_native,
    "python": scouted,
    "native": by_native,
    "antichain": by_antichain,
    "monitor": by_monitor,
    "wgl": by_wgl,
}
"""``auto`` is native where that is there, python elsewhere."""


def present() -> list[str]:
    """The engines that work here."""
    return [name for name in ENGINES if name != "native" or available() is None]
