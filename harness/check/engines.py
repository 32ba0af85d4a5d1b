"""The searches under one interface: a problem in, an order or the event that has none out."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeAlias, cast

from harness.check.antichain import BEAMS, Found, attempt, search
from harness.check.limits import Budget
from harness.check.models import Action, Kind, Model, Shape, any_state
from harness.check.monitors import Decided, monitored
from harness.check.monitors.queues import roles
from harness.check.native import Native, Swept, available, columned
from harness.check.problem import Problem, pose
from harness.check.refute import before, refuted
from harness.check.wgl import Walk, wgl
from harness.check.witness import linearization
from harness.core.columns import AllOperations, MadeColumns, Numbered, OfOneObject
from harness.core.operations import MISMATCH, History, Operation
from harness.core.values import Value

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


@dataclass(frozen=True, slots=True)
class Refute:
    """The object that forgives almost everything (:mod:`harness.check.refute`). Where it refutes, a
    walk with so much patience, between beams, looks for an order of all before."""

    patience: int


Attempt: TypeAlias = "Beams | Go | Ask | Refute"
Tried: TypeAlias = "tuple[int, int] | tuple[int] | int"
"""An attempt that is compiled."""

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


TINY: tuple[Attempt, ...] = (Go(64),)
"""The attempts for up to :data:`OF_TINY` operations: choosing among more would take longer."""

OF_TINY = 24

SHORT = 256
"""Operations of a history in which nothing takes long."""

FEW = 4
"""Classes of operations of an object that can hardly have more than two states."""

NARROW = 16
"""Operations open at once, at most, among which a beam of some width does not take long either."""


def is_easy(operations: int, most_open: int, lost_moves: int) -> bool:
    """Whether a beam of some width is worth trying first."""
    return operations <= SHORT or (most_open <= NARROW and not lost_moves)


def order_of_attempts(
    asks: bool, lost_moves: int, *, monitored: bool, easy: bool, few: bool = False
) -> tuple[Attempt, ...]:
    """What to try, one after the other, until something decides. The antichain to the end is last.

    Each finds what another would look for in vain. Narrow beams are the quickest there is where
    nothing is asked of the model, and they refute what a walk cannot; a wider one is as quick where
    few operations are open at once, however many are unanswered, and hopeless where a hundred are
    open. A walk finds orders among many unanswered cas of few values, of which the antichain
    carries far too many (of a lock, which has but two states, a narrow beam carries them all); and
    it goes first where what would keep configurations few is not known (queues, lists, sets). The
    forgiving object refutes, in next to no time, what no beam gets to the end of. A monitor takes
    no longer for hard histories than for easy ones: it goes first for objects that have one of
    their own, and for registers, of which most are easy, after a glance.

    Args:
        asks: the model's ``step`` has to be asked; see :func:`declared`.
        lost_moves: unanswered operations that lead from one state to another.
        monitored: the object has a monitor of its own.
        easy: see :func:`is_easy`.
        few: at most :data:`FEW` classes of operations.
    """
    if monitored:
        return (Ask(), Go(4), Go(32), Go(256))
    if asks:
        return (Beams(0, 1), Go(4)) if easy else (Go(4),)
    if lost_moves >= MANY_MOVES:
        narrow = (Beams(0, 1),) if few else ()
        return (*narrow, Go(64), Refute(256), Go(128), Ask())
    if not easy:
        return (Beams(0, 1), Go(8 if lost_moves else 4), Refute(32), Ask(), Beams(1, 3), Go(32))
    return (Beams(0, 2), Go(8 if lost_moves else 4), Refute(32), Ask(), Beams(2, 3), Go(32))


def _attempts(problem: Problem, lost_moves: int) -> tuple[Attempt, ...]:
    if len(problem.classes) <= OF_TINY:
        return TINY
    own = problem.table.model.monitor is not None
    asks = not declared(problem)
    easy = len(problem.classes) <= SHORT
    if not asks and not own:
        easy = is_easy(len(problem.classes), _most_open(problem), lost_moves)
    few = len(problem.kinds) <= FEW
    return order_of_attempts(asks, lost_moves, monitored=own, easy=easy, few=few)


def _most_open(problem: Problem) -> int:
    """The largest number of operations that are open at once and will return."""
    now = most = 0
    for event in problem.events:
        if event & 1:
            now -= 1
        elif problem.returned[event >> 1]:
            now += 1
            most = max(most, now)
    return most


def scouted(problem: Problem, budget: Budget) -> Solution:
    """The attempts of :func:`order_of_attempts`, then the antichain to the end.

    Raises:
        LimitReached: the budget is used up.
    """
    kinds, moves = problem.kinds, int(Kind.MOVES)
    lost = zip(problem.classes, problem.returned, strict=True)
    lost_moves = sum(not returned and kinds[cls] == moves for cls, returned in lost)
    solved = _first(problem, budget, _attempts(problem, lost_moves))
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


@dataclass(frozen=True, slots=True)
class Glanced:
    """A verdict without a problem: a witness, or the operation that cannot return."""

    witness: Sequence[int] | None
    culprit: Operation | None
    visited: int
    widest: int
    search_ns: int


def by_glance(operations: Sequence[Operation], model: Model, budget: Budget) -> Glanced | None:
    """The compiled core alone with one register's columns: it poses the problem and makes the
    first attempts of :func:`order_of_attempts`. None where that is not enough.

    Raises:
        LimitReached: the budget is used up.
    """
    rules = model.register
    if rules is None or not isinstance(operations, OfOneObject):
        return None
    columns = operations.columns
    roles = bytes(_ROLES.get(name, _STRANGE) for name in columns.names)
    observed = rules.failed_cas_observes and MISMATCH in columns.words
    numbered = Numbered(
        roles=roles,
        initial=columns.number(cast("Value", model.init)),
        nil_is_a_value=rules.nil_is_a_value,
        mismatch=columns.words.index(MISMATCH) if observed else None,
    )
    found = operations.part.glance(numbered, _at_a_glance, budget.look)
    if found is None:
        return None
    order, row, visited, widest, took = found
    culprit = None if row is None else columns.operation(row)
    witness: Sequence[int] | None = None
    if order is not None:
        numbers = array("I", order)
        # A long history that was read into columns keeps its witness as small.
        witness = tuple(numbers) if isinstance(columns, MadeColumns) else numbers
    return Glanced(witness, culprit, visited, widest, took)


_ROLES = {"read": 0, "get": 0, "write": 1, "put": 1, "cas": 2}
_STRANGE = 255


def _compiled(one: Attempt) -> Tried:
    """An attempt as the compiled core takes it."""
    match one:
        case Beams(first, last):
            return first, last
        case Go(patience):
            return patience
        case Refute(patience):
            return (patience,)
        case Ask():
            raise ValueError("monitors are not compiled")


_TINY = [_compiled(one) for one in TINY]


@cache
def _plan(
    asks: bool, lost_moves: int, monitored: bool, easy: bool, few: bool
) -> tuple[list[Tried], list[Tried] | None]:
    """The attempts before the monitor's, and after it; None if it is not asked."""
    attempts = order_of_attempts(asks, lost_moves, monitored=monitored, easy=easy, few=few)
    if Ask() not in attempts:
        return list(map(_compiled, attempts)), None
    place = attempts.index(Ask())
    return list(map(_compiled, attempts[:place])), list(map(_compiled, attempts[place + 1 :]))


def _at_a_glance(lost_moves: int, most_open: int, operations: int, classes: int) -> list[Tried]:
    """What the compiled core tries by itself with a register's history."""
    moves = min(lost_moves, MANY_MOVES)
    return _plan(False, moves, False, is_easy(operations, most_open, moves), classes <= FEW)[0]


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
    operations = core.operations()
    if operations <= OF_TINY:
        return _swept(core.solve(budget, _TINY) or core.search(budget))
    asks = not declared(problem)
    own = problem.table.model.monitor is not None
    moves = 0 if asks or own else min(core.lost_moves(), MANY_MOVES)
    easy = operations <= SHORT
    if not asks and not own:
        easy = is_easy(operations, core.most_open(), moves)
    first, rest = _plan(asks, moves, own, easy, len(problem.kinds) <= FEW)
    swept = core.solve(budget, first) if first else None
    if swept is None and rest is not None:
        queue = roles(problem)
        known = core.queue(budget, queue) if queue else monitored(problem, budget)
        if known is not None:
            return _decided(problem, known)
        swept = core.solve(budget, rest)
    return _swept(swept or core.search(budget))


def _swept(found: Swept) -> Solution:
    return Solution(found.order, found.dead, found.visited, found.widest)


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
    told = columned(History(operations)).operations if model.register is not None else operations
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
