"""What a model is: the sequential object a history is compared with.

A model is a small frozen dataclass of pure functions. Only ``step`` is needed for a verdict; what
else a model declares makes the search fast (:class:`Shape`, ``project``) or the words good.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence, Set
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar, cast

from harness.core.operations import MISMATCH, Call, Operation, Outcome
from harness.core.values import Value, show

if TYPE_CHECKING:
    from harness.check.monitors.intervals import Decide
    from harness.check.problem import Problem

State: TypeAlias = Hashable
"""What the object is at one instant. Equal states must behave equally."""


class Action(NamedTuple):
    """All that is known of one operation: what was asked, and what came back.

    (A named tuple, like :class:`Shape`: there may be one for each operation of a long history.)

    ``outcome`` is OK (it happened and answered ``result``), INFO (if it happened, nobody knows what
    it answered) or FAIL (it was refused, and the refusal itself says something of the state).
    ``process`` is set only for models that tell callers apart.
    """

    f: str
    value: Value
    outcome: Outcome
    result: Value = None
    process: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A step that the object does not allow, with the model's own reason.

    ``reason`` is worded only when somebody reads it: a search is refused a thousand times a
    millisecond.
    """

    because: str
    held: State = ""

    def reason(self, describe: Callable[[State], str]) -> str:
        """The reason in words: ``it held 3``."""
        return f"{self.because} {describe(self.held)}".strip()


@dataclass(frozen=True, slots=True)
class Choice:
    """A step with several possible successors: the model does not say which (never empty)."""

    states: tuple[State, ...]


class Kind(IntEnum):
    """How an action treats the state. The first four change nothing: they are observers."""

    IDLE = 0
    """Allowed in every state, changes nothing: it says nothing at all."""
    SEES = 1
    """Allowed in the state ``at`` alone."""
    SEES_OTHER = 2
    """Allowed in every state but ``at``."""
    LOOKS = 3
    """Changes nothing; ``step`` says where it is allowed."""
    BLIND = 4
    """Allowed in every state, which becomes ``to``."""
    TOTAL = 5
    """Allowed in every state; ``step`` says what it becomes."""
    MOVES = 6
    """Allowed in the state ``at`` alone, which becomes ``to``."""
    OTHER = 7
    """Anything: ``step`` is asked."""


class Shape(NamedTuple):
    """A model's promise about ``step`` for one action. It must be true: tests compare the two."""

    kind: Kind
    at: State = None
    to: State = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """Which values an action brings into the object, and on which it depends.

    Used to shrink a failing history without changing what is wrong with it: an action stays only
    together with one that brought each value it ``needs``. Values that are there from the start are
    nobody's need. For objects that count, ``delta`` is what an action adds, and ``reaches`` what
    the sum of others' deltas must be able to reach.
    """

    brings: tuple[Value, ...] = ()
    needs: tuple[Value, ...] = ()
    delta: int = 0
    reaches: int | None = None


def action_of(operation: Operation) -> Action | None:
    """The usual reading of an operation; None when it says nothing.

    A failed operation took no effect and is dropped, but for a compare-and-set that was refused
    *because the value did not match*: it observed something. An operation without a known end may
    take effect at any time after its call, or never.
    """
    call = operation.call
    match operation.outcome:
        case Outcome.OK:
            return Action(call.f, call.value, Outcome.OK, operation.result)
        case Outcome.INFO:
            return Action(call.f, call.value, Outcome.INFO)
        case Outcome.FAIL if call.f == "cas" and operation.error == MISMATCH:
            return Action(call.f, call.value, Outcome.FAIL)
        case _:
            return None


def by_key(call: Call) -> Hashable:
    """Each key is an object of its own."""
    return call.key


def whole(_call: Call) -> Hashable:
    """All operations are about one object."""
    return None


def no_shape(_action: Action) -> Shape | None:
    """Nothing is declared."""
    return None


def no_traffic(_action: Action) -> Traffic:
    """Nothing is declared."""
    return Traffic()


def any_state(_actions: Sequence[Action]) -> Callable[[State], State]:
    """Every state is told apart from every other."""
    return lambda state: state


def show_state(state: State) -> str:
    """A state for people, for models whose states are plain values."""
    return "something else" if state is UNSEEN else show(cast("Value", state))


@dataclass(frozen=True, slots=True)
class RegisterRules:
    """What a history's author means by a read of nil and by a refused compare-and-set."""

    nil_is_a_value: bool = True
    failed_cas_observes: bool = True


@dataclass(frozen=True, slots=True)
class Model:
    """A sequential object.

    Attributes:
        name: the model string that makes it, for reports.
        init: its state before anything happened.
        step: the state after an action, or :class:`Refused`, or a :class:`Choice`. A state may be
            None (an empty register), so a refusal is never None. Must be pure.
        functions: the names of its operations; every other name is a usage error.
        action: what an operation says; None when it says nothing (a definite failure).
        shape: the declared kind of an action, None when nothing is declared.
        partition: operations with different answers are about independent objects. Linearizability
            is local (Herlihy & Wing 1990, section 3.3): each object is checked alone.
        project: given all actions of an object's history, a function from a state to one that no
            continuation of *this* history can tell from it. See :data:`UNSEEN`.
        commutes: any two actions that are allowed in every state commute, and none is BLIND.
        describe: a state for people.
        by_process: who called matters, so actions carry their process.
        traffic: what an action brings and needs.
        restrict: for collections to which each operation but a read brings one value: an operation
            as it would have been if only these values existed. A legal order of a history stays
            one when every operation is restricted to some values, and what brings others left out.
        answer: what an operation would have returned in a state, in words (default: the state).
        monitor: decides histories of unique values in polynomial time; see
            :mod:`harness.check.monitors`. What is made of reads, writes and compare-and-set alone
            needs none of its own.
        register: it is a register under these rules, with read (get), write (put) and cas and
            nothing else, so the compiled core need not ask what its operations mean.
        appends: it is an appended list, with append, read (get) and put (write) and nothing else:
            as above, where all that is appended and read is text.
    """

    name: str
    init: State
    step: Callable[[State, Action], State | Refused | Choice]
    functions: frozenset[str]
    action: Callable[[Operation], Action | None] = action_of
    shape: Callable[[Action], Shape | None] = no_shape
    partition: Callable[[Call], Hashable] = by_key
    project: Callable[[Sequence[Action]], Callable[[State], State]] = any_state
    commutes: bool = False
    by_process: bool = False
    describe: Callable[[State], str] = show_state
    traffic: Callable[[Action], Traffic] = no_traffic
    restrict: Callable[[Operation, Set[Value]], Operation] | None = None
    answer: Callable[[State], str] | None = None
    monitor: Callable[[Problem], Decide | None] | None = None
    register: RegisterRules | None = None
    appends: bool = False


def only(operation: Operation, values: Set[Value]) -> Operation:
    """A read of a collection, without all but these values."""
    if not isinstance(operation.result, tuple):
        return operation
    return replace(operation, result=tuple(item for item in operation.result if item in values))


def enumerated(items: Sequence[str], brackets: str) -> str:
    """Elements for people; of many, the first and the last."""
    shown = " ".join(items)
    if len(items) > _MANY:
        shown = f"{' '.join(items[:3])} … {' '.join(items[-2:])}"
    return f"{brackets[0]}{shown}{brackets[1]}"


_MANY = 12


class _Unseen:
    """See :data:`UNSEEN`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNSEEN"


UNSEEN = _Unseen()
"""The one state that stands for all that nobody ever observes (a value that is never read).

Which states may be merged into it is the model's to argue: from each of them exactly the same
continuations of the history at hand must be possible.
"""


Text = TypeVar("Text", str, tuple[Value, ...])


def longest(sequences: Sequence[Text]) -> list[Text]:
    """Those that are no prefix of another; every prefix of any is a prefix of one of these."""
    kept: list[Text] = []
    for sequence in sorted(sequences, key=len, reverse=True):
        length = len(sequence)
        if not any(other[:length] == sequence for other in kept):
            kept.append(sequence)
    return kept
