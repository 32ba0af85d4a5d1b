"""What a client asked and what it was told.

Time is int nanoseconds from the run's monotonic origin. An operation's interval is closed:
at equal times a call comes before a return (two operations that touch at one instant are
concurrent).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeAlias, runtime_checkable

from harness.core.record import record
from harness.core.values import Value, show


class Outcome(Enum):
    """What the client may conclude from the answer, or from its absence."""

    OK = "ok"
    """It took effect, at some instant between call and return."""
    FAIL = "fail"
    """It took no effect and never will. Only a definite refusal earns this word."""
    INFO = "info"
    """Unknown: it may take effect at any later time, or never. Its interval has no end."""


MISMATCH = "mismatch"
"""The ``error`` of a failed cas that was refused because the register held something else; in the
same way of an acquire (it was held), a release (not under this token), a transfer (too little).

Such a failure observed the object; any other (no leader, connection refused) did not.
"""


ANSWERED = frozenset({"read", "get", "dequeue", "acquire", "generate", "snapshot"})
"""Functions of which people want to know what came back rather than what was asked."""


@record
class Call:
    """One request: the function ``f`` on ``key`` with the argument ``value``.

    The vocabulary (a model may define more):

    ========== ======================= =============================
    f          value                   result when OK
    ========== ======================= =============================
    read       None                    the value read
    write      the new value           None
    cas        (expected, new)         None; a mismatch is FAIL
    add        the element, or delta   None (set), None (counter)
    increment  the delta               None, or what it became
    append     the element             None
    get, put, delete                   as read and write of a kv key
    enqueue    the element             None
    dequeue    None                    the element; None: it was empty
    acquire    who asks                the token; FAIL: it was held
    release    the token               None; FAIL: it was not held so
    generate   None                    an id that nobody else has
    open       (account …, balance)    None
    transfer   (from, to, amount)      None; FAIL: too little there
    snapshot   the accounts            their balances, in this order
    ========== ======================= =============================
    """

    f: str
    key: Value = None
    value: Value = None


@record
class Completion:
    """What a client's ``invoke`` returns.

    ``node`` is who answered, where that is known; ``position`` is the system's own order hint
    (log index, revision), kept for checks that can use it; ``error`` is a word for people.
    """

    outcome: Outcome
    value: Value = None
    error: str | None = None
    node: str | None = None
    position: int | None = None


@record
class Invoke:
    """A call left the client. ``index`` is the event's place in the history."""

    index: int
    process: int
    node: str | None
    at_ns: int
    call: Call


@record
class Complete:
    """The call at event ``of`` ended for its client; for INFO only the waiting ended."""

    index: int
    of: int
    at_ns: int
    completion: Completion


Event: TypeAlias = Invoke | Complete


@record
class Operation:
    """A call paired with its completion.

    ``index`` is the invocation's event index: the operation's identity in every report.
    ``end`` is None when the operation has no end (INFO, or no completion was recorded).
    """

    index: int
    process: int
    call: Call
    outcome: Outcome
    start: int
    end: int | None
    result: Value = None
    error: str | None = None
    node: str | None = None
    position: int | None = None

    def words(self) -> str:
        """For people: ``write 4``, ``read → 3``, ``cas 1 2``."""
        call = self.call
        if self.call.f in ANSWERED:
            return f"{call.f} → {show(self.result)}" if self.outcome is Outcome.OK else call.f
        match call.value:
            case None:
                return call.f
            case tuple() if call.f == "cas":
                return " ".join([call.f, *(show(item) for item in call.value)])
            case _:
                return f"{call.f} {show(call.value)}"


def pair(events: Iterable[Event]) -> tuple[Operation, ...]:
    """Operations of an event stream, in order of invocation.

    Raises:
        ValueError: a completion without its invocation, or a second completion of one.
    """
    invokes: dict[int, Invoke] = {}
    done: dict[int, Complete] = {}
    for event in events:
        match event:
            case Invoke():
                invokes[event.index] = event
            case Complete():
                if event.of not in invokes:
                    raise ValueError(f"event {event.index} completes {event.of}: no such call")
                if event.of in done:
                    raise ValueError(f"event {event.index} completes {event.of} a second time")
                done[event.of] = event
    return tuple(operation(invoke, done.get(index)) for index, invoke in invokes.items())


def operation(invoke: Invoke, complete: Complete | None) -> Operation:
    """A call with its completion; without one its end is unknown (INFO)."""
    if complete is None:
        return Operation(
            index=invoke.index,
            process=invoke.process,
            call=invoke.call,
            outcome=Outcome.INFO,
            start=invoke.at_ns,
            end=None,
            error="no completion recorded",
            node=invoke.node,
        )
    completion = complete.completion
    return Operation(
        index=invoke.index,
        process=invoke.process,
        call=invoke.call,
        outcome=completion.outcome,
        start=invoke.at_ns,
        end=None if completion.outcome is Outcome.INFO else complete.at_ns,
        result=completion.value,
        error=completion.error,
        node=completion.node or invoke.node,
        position=completion.position,
    )


@dataclass(frozen=True, slots=True)
class History:
    """Operations in order of invocation, and what reading them had to warn about.

    Without usable times in the file (``timed`` False) an operation's ``start`` and ``end`` are
    places in it: their order means something, their differences do not.
    """

    operations: Sequence[Operation]
    warnings: tuple[str, ...] = ()
    timed: bool = True

    def __len__(self) -> int:
        return len(self.operations)

    def called(self) -> Mapping[str, int]:
        """The functions that were called, each with the event index of its first call."""
        match self.operations:
            case Summed() as sums:
                return sums.called()
        first: dict[str, int] = {}
        for operation in self.operations:
            first.setdefault(operation.call.f, operation.index)
        return first

    def outcomes(self) -> tuple[int, int, int]:
        """How many were OK, FAIL and INFO."""
        match self.operations:
            case Summed() as sums:
                return sums.outcomes()
        ok = sum(operation.outcome is Outcome.OK for operation in self.operations)
        fail = sum(operation.outcome is Outcome.FAIL for operation in self.operations)
        return ok, fail, len(self.operations) - ok - fail

    def until_ns(self) -> int:
        """When the last thing happened that is known of; 0 of an empty history."""
        match self.operations:
            case Summed() as sums:
                return sums.until_ns()
        return max((item.end or item.start for item in self.operations), default=0)


@runtime_checkable
class Summed(Protocol):
    """Operations that know these figures without being looked at one by one."""

    def called(self) -> Mapping[str, int]:
        """See :class:`History`."""

    def outcomes(self) -> tuple[int, int, int]:
        """See :class:`History`."""

    def until_ns(self) -> int:
        """See :class:`History`."""
