"""What to try with a problem, one after the other, until something decides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeAlias

from harness.check.models import Kind
from harness.check.problem import Problem


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
MANY_MOVES = 10
"""So many unanswered cas: beams carry a configuration for each set of them that may have been."""

TINY: tuple[Attempt, ...] = (Go(64),)
"""The attempts for up to :data:`OF_TINY` operations: choosing among more would take longer."""

OF_TINY = 24

SHORT = 256
"""Operations of a history in which nothing takes long."""

FEW = 4
"""Classes of operations of an object that can hardly have more than two states."""

NARROW = 16
"""Operations open at once, at most, among which a beam of some width does not take long either."""


class Sizes(NamedTuple):
    """How large a problem is, in the respects that decide what is tried.

    Attributes:
        operations: all of them.
        classes: of operations that ask the same and were told the same.
        lost: operations without an answer.
        lost_moves: those of them that lead from one state to another.
        most_open: how many that return are open at once, at most.
    """

    operations: int
    classes: int
    lost: int
    lost_moves: int
    most_open: int


class Traits(NamedTuple):
    """What :func:`order_of_attempts` goes by.

    Attributes:
        asks: the model's ``step`` has to be asked; see :func:`declared`.
        monitored: the object has a monitor of its own.
        lost: operations are unanswered.
        lost_moves: unanswered operations that lead from one state to another; at most
            :data:`MANY_MOVES`.
        easy: whether a beam of some width is worth trying first.
        few: at most :data:`FEW` classes of operations.
    """

    asks: bool
    monitored: bool
    lost: bool
    lost_moves: int
    easy: bool
    few: bool


def traits(sizes: Sizes, *, asks: bool, monitored: bool) -> Traits:
    """Of a problem of these sizes."""
    moves = 0 if asks or monitored else min(sizes.lost_moves, MANY_MOVES)
    easy = sizes.operations <= SHORT
    if not asks and not monitored:
        easy = easy or (sizes.most_open <= NARROW and not moves)
    return Traits(asks, monitored, sizes.lost > 0, moves, easy, sizes.classes <= FEW)


@cache
def order_of_attempts(one: Traits) -> tuple[Attempt, ...]:
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
    """
    if one.monitored:
        return (Ask(), Go(4), Go(32), Go(256))
    if one.asks:
        return (Beams(0, 1), Go(4)) if one.easy else (Go(4),)
    if one.lost_moves >= MANY_MOVES:
        narrow = (Beams(0, 1),) if one.few else ()
        return (*narrow, Go(64), Refute(256), Go(128), Ask())
    go = Go(8 if one.lost_moves else 4)
    if not one.easy:
        return (Beams(0, 1), go, Refute(32), Ask(), Beams(1, 3), Go(32))
    return (Beams(1 if one.lost else 0, 2), go, Refute(32), Ask(), Beams(2, 3), Go(32))


def attempts(problem: Problem) -> tuple[Attempt, ...]:
    """What to try with a problem."""
    if len(problem.classes) <= OF_TINY:
        return TINY
    own = problem.table.model.monitor is not None
    return order_of_attempts(traits(_sizes(problem), asks=not declared(problem), monitored=own))


def declared(problem: Problem) -> bool:
    """Is nothing asked of the model: does each class say itself what it allows and makes?"""
    return _ASKS.isdisjoint(problem.kinds)


_ASKS = frozenset({int(Kind.LOOKS), int(Kind.TOTAL), int(Kind.OTHER)})


def _sizes(problem: Problem) -> Sizes:
    kinds, move = problem.kinds, int(Kind.MOVES)
    paired = zip(problem.classes, problem.returned, strict=True)
    lost = [kinds[cls] == move for cls, returned in paired if not returned]
    return Sizes(len(problem.classes), len(kinds), len(lost), sum(lost), _most_open(problem))


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
