"""The searches under one interface: a problem in, an order or the event that has none out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from harness.check import plans
from harness.check.antichain import BEAMS, Found, attempt, search
from harness.check.attempts import (
    OF_TINY,
    Ask,
    Attempt,
    Beams,
    Go,
    Refute,
    attempts,
    declared,
    traits,
)
from harness.check.glance import by_glance, is_posed_by_core
from harness.check.limits import Budget
from harness.check.models import Action, Kind, Model, Shape, any_state
from harness.check.monitors import Decided, monitored
from harness.check.monitors.queues import roles
from harness.check.native import Native, available, columned
from harness.check.problem import Problem, pose
from harness.check.refute import before, refuted
from harness.check.solution import Solution
from harness.check.wgl import Walk, wgl
from harness.check.witness import linearization
from harness.core.columns import AllOperations, OfOneObject
from harness.core.operations import History, Operation

Engine: TypeAlias = Callable[[Problem, Budget], Solution]


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


def scouted(problem: Problem, budget: Budget) -> Solution:
    """What :mod:`harness.check.attempts` says to try, then the antichain to the end.

    Raises:
        LimitReached: the budget is used up.
    """
    solved = _first(problem, budget, attempts(problem))
    return by_antichain(problem, budget) if solved is None else solved


def _first(problem: Problem, budget: Budget, attempts: Sequence[Attempt]) -> Solution | None:
    """What the first attempt that decides came to."""
    for one in attempts:
        match one:
            case Ask():
                known = monitored(problem, budget)
                if known is not None:
                    return _decided(problem, known)
            case Refute(patience):
                dead = refuted(problem, budget)
                if dead is not None:
                    return _first_dead(problem, budget, dead, patience)
            case Beams(first, last):
                found = attempt(problem, budget, BEAMS[first:last])
                if found is not None:
                    return _solved(problem, found)
            case Go(patience):
                walk = wgl(problem, budget, patience)
                if walk.finished:
                    return _walked(walk)
    return None


def _first_dead(problem: Problem, budget: Budget, dead: int, patience: int) -> Solution:
    """Nothing passes one return: does something pass all before it?"""
    tried = (Beams(0, 1), Go(patience), Beams(1, 2))
    earlier = _first(before(problem, dead), budget, tried)
    if earlier is None or earlier.dead is None:
        return Solution(None, dead, 0 if earlier is None else earlier.visited, 1)
    return Solution(None, earlier.dead, earlier.visited, 1)


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
    return with_core(Native(problem), problem, budget)


def with_core(core: Native, problem: Problem, budget: Budget) -> Solution:
    """The same, with a core that may have asked the model before.

    Raises:
        LimitReached: the budget is used up.
    """
    if core.operations() <= OF_TINY:
        return core.solve(budget, plans.tiny()) or core.search(budget)
    own = problem.table.model.monitor is not None
    first, rest = plans.of(traits(core.sizes(), asks=not declared(problem), monitored=own))
    solved = core.solve(budget, first)
    if solved is None and rest is not None:
        queue = roles(problem)
        known = core.queue(budget, queue) if queue else monitored(problem, budget)
        if known is not None:
            return _decided(problem, known)
        solved = core.solve(budget, rest)
    return solved or core.search(budget)


ENGINES: Mapping[str, Engine] = {
    "auto": scouted if available() else by_native,
    "python": scouted,
    "native": by_native,
    "antichain": by_antichain,
    "monitor": by_monitor,
    "wgl": by_wgl,
}
"""``auto`` is native where that is there, python elsewhere."""


def first_to_fail(
    operations: Sequence[Operation], model: Model, budget: Budget
) -> Operation | None:
    """The operation of one object whose return is the first that no legal order passes.

    Raises:
        LimitReached: the budget is used up.
    """
    told = columned(History(operations)).operations if is_posed_by_core(model) else operations
    if isinstance(told, AllOperations):
        for _, rows in told.columns.parts(keyed=False):
            glanced = by_glance(OfOneObject(told.columns, rows), model, budget)
            if glanced is not None:
                return glanced.culprit
    problem = pose(operations, model)
    dead = ENGINES["auto"](problem, budget).dead
    return None if dead is None else problem.operations[problem.events[dead] >> 1]


def present() -> list[str]:
    """The engines that work here."""
    return [name for name in ENGINES if name != "native" or available() is None]
