"""From a history to the numbers that a search works on.

A :class:`Problem` is one independent object's history: events in order, operations as small
integers, operations of equal meaning as one *class*, states as small integers, and a transition
table that is filled as it is asked. It holds nothing that an engine in another language could not
hold.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from harness.check.models import (
    UNSEEN,
    Action,
    Choice,
    Kind,
    Model,
    Refused,
    Shape,
    State,
    any_state,
    by_key,
    whole,
)
from harness.core.columns import AllOperations, Columns, OfOneObject, Posed, SomeOperations
from harness.core.errors import UsageError
from harness.core.operations import History, Operation, Outcome

ENUMERATE = 1024
"""Largest transition table that is filled on purpose, to classify what a model did not declare."""


class Table:
    """States as integers, and what each class of actions makes of each of them.

    ``step`` of the model runs once for each (state, class) that a search visits. Every state goes
    through the model's ``project`` first, so states that this history cannot tell apart are one.
    """

    __slots__ = ("_ids", "_project", "_rows", "_step", "actions", "model", "states")

    def __init__(self, model: Model, actions: Sequence[Action]) -> None:
        self.model = model
        self.actions = actions
        self._step = model.step
        self._project: Callable[[State], State] = model.project(actions)
        self._ids: dict[State, int] = {}
        self._rows: list[dict[int, tuple[int, ...]]] = []
        self.states: list[State] = []

    def intern(self, state: State) -> int:
        """The number of a state, or of the one that stands for it."""
        return self.exactly(self._project(state))

    def exactly(self, state: State) -> int:
        """The number of a state that a class of actions expects: it stands for itself."""
        known = self._ids.get(state)
        if known is None:
            known = self._ids[state] = len(self.states)
            self.states.append(state)
            self._rows.append({})
        return known

    def next(self, state: int, cls: int) -> tuple[int, ...]:
        """The successors of a state under a class of actions; empty when it is refused."""
        row = self._rows[state]
        found = row.get(cls)
        if found is None:
            after = self._step(self.states[state], self.actions[cls])
            if isinstance(after, Refused):
                found = ()
            elif isinstance(after, Choice):
                found = tuple(dict.fromkeys(self.intern(item) for item in after.states))
            else:
                found = (self.intern(after),)
            row[cls] = found
        return found


@dataclass(slots=True)
class Problem:
    """One object's history in numbers.

    Attributes:
        operations: the operations that take part, in order of call.
        classes: for each operation its class.
        returned: for each operation whether it has an end. Those must be linearized; the others
            may be.
        events: calls and returns in order: ``2 * operation`` is a call, ``2 * operation + 1`` a
            return. At equal times calls come first, as intervals are closed.
        kinds, at, to: for each class its :class:`Kind` and the states that go with it (-1: none).
        initial: the state before anything happened.
        mute: a state in which only actions that are allowed everywhere are allowed, and which they
            either keep or overwrite (-1: there is none). Nothing is ever learnt there.
        commutes: actions of kind TOTAL commute with each other, and none is BLIND.
        table: transitions.
    """

    operations: Sequence[Operation]
    classes: list[int]
    returned: list[bool]
    events: list[int]
    kinds: list[int]
    at: list[int]
    to: list[int]
    initial: int
    mute: int
    commutes: bool
    table: Table

    def place(self, operation: Operation) -> int | None:
        """Where an operation is in ``operations``; None when it was left out."""
        for place, item in enumerate(self.operations):
            if item.index == operation.index:
                return place
        return None


class ColumnProblem(Problem):
    """A problem whose operations are rows of a table: the compiled search takes it as it is.

    What the Python searches and the explanations ask for is made when they ask.
    """

    __slots__ = ("_numbers", "columns", "posed")

    def __init__(self, columns: Columns, posed: Posed, of: _Classes) -> None:
        self.columns = columns
        self.posed = posed
        self._numbers: tuple[list[int], list[bool], list[int]] | None = None
        self.kinds, self.at, self.to = of.kinds, of.at, of.to
        self.initial, self.mute, self.commutes = of.initial, of.mute, of.commutes
        self.table = of.table

    @property
    def operations(self) -> Sequence[Operation]:  # type: ignore[override]
        """Made when they are looked at."""
        return SomeOperations(self.columns, self.posed)

    @property
    def classes(self) -> list[int]:  # type: ignore[override]
        """As a list."""
        return self._listed()[0]

    @property
    def returned(self) -> list[bool]:  # type: ignore[override]
        """As a list."""
        return self._listed()[1]

    @property
    def events(self) -> list[int]:  # type: ignore[override]
        """As a list."""
        return self._listed()[2]

    def _listed(self) -> tuple[list[int], list[bool], list[int]]:
        if self._numbers is None:
            self._numbers = self.posed.numbers()
        return self._numbers

    def witness(self, order: Sequence[int]) -> Sequence[int]:
        """An order of operations as indices of the history, with those that were left out."""
        found = array("I")
        found.frombytes(self.posed.witness(order))
        return found


def partition(history: History, model: Model) -> Mapping[Hashable, Sequence[Operation]]:
    """The operations of each independent object, in order of call.

    Raises:
        UsageError: an operation that the model does not know.
    """
    operations = history.operations
    if isinstance(operations, AllOperations) and model.partition in (by_key, whole):
        return _partition_columns(operations.columns, model)
    parts: dict[Hashable, list[Operation]] = {}
    functions, split = model.functions, model.partition
    for operation in operations:
        if operation.call.f not in functions:
            raise _unknown(model, operation)
        parts.setdefault(split(operation.call), []).append(operation)
    return parts


def _unknown(model: Model, operation: Operation) -> UsageError:
    return UsageError(
        f"model {model.name} has no operation {operation.call.f!r} "
        f"(event {operation.index}); it has: {', '.join(sorted(model.functions))}"
    )


def _partition_columns(columns: Columns, model: Model) -> Mapping[Hashable, Sequence[Operation]]:
    strange = [row for f, row in columns.functions().items() if f not in model.functions]
    if strange:
        raise _unknown(model, columns.operation(min(strange)))
    keyed = model.partition is by_key
    return {columns.values[key]: OfOneObject(columns, part) for key, part in columns.parts(keyed)}


def pose(operations: Sequence[Operation], model: Model) -> Problem:
    """One object's history as a problem.

    Left out are operations that say nothing: definite failures, and unanswered or ``IDLE``
    operations that change nothing. A linearization of the rest is one of the whole: an operation
    that is allowed in every state and changes nothing fits anywhere within its interval.

    Raises:
        UsageError: an operation whose arguments the model cannot read.
    """
    if isinstance(operations, OfOneObject):
        return _pose_columns(operations, model)
    try:
        kept, classes, actions, declared = _classify(operations, model)
        of = _describe(actions, declared, model)
    except (ValueError, TypeError) as error:
        raise UsageError(f"model {model.name} cannot read this history: {error}") from error
    kinds = of.kinds
    returned = [operation.outcome is not Outcome.INFO for operation in kept]
    speaking = [
        place
        for place, cls in enumerate(classes)
        if kinds[cls] > Kind.LOOKS or (kinds[cls] != Kind.IDLE and returned[place])
    ]
    if len(speaking) < len(kept):
        kept = [kept[place] for place in speaking]
        classes = [classes[place] for place in speaking]
        returned = [returned[place] for place in speaking]
    return Problem(
        operations=kept,
        classes=classes,
        returned=returned,
        events=_events(kept),
        kinds=kinds,
        at=of.at,
        to=of.to,
        initial=of.initial,
        mute=of.mute,
        commutes=of.commutes,
        table=of.table,
    )


def _pose_columns(operations: OfOneObject, model: Model) -> Problem:
    """The same, a combination at a time instead of an operation at a time."""
    columns, part = operations.columns, operations.part
    classes: list[int] = []
    actions: list[Action] = []
    declared: list[Shape | None] = []
    try:
        for row in part.combine(model.by_process):
            action = model.action(columns.operation(row))
            classes.append(-1 if action is None else len(actions))
            if action is not None:
                actions.append(action)
                declared.append(model.shape(action))
        of = _describe(actions, declared, model)
    except (ValueError, TypeError) as error:
        raise UsageError(f"model {model.name} cannot read this history: {error}") from error
    return ColumnProblem(columns, part.pose(classes, bytes(map(_keep, of.kinds))), of)


def _keep(kind: int) -> int:
    """Whether operations of a kind say something: never, always, or only if they returned."""
    if kind == Kind.IDLE:
        return 2
    return 1 if kind > Kind.LOOKS else 0


@dataclass(frozen=True, slots=True)
class _Classes:
    """What a problem says of classes and states."""

    kinds: list[int]
    at: list[int]
    to: list[int]
    initial: int
    mute: int
    commutes: bool
    table: Table


def _describe(
    actions: Sequence[Action], declared: Sequence[Shape | None], model: Model
) -> _Classes:
    table = Table(model, actions)
    initial = table.intern(model.init)
    shapes = _complete(declared, table, initial)
    kinds = [int(shape.kind) for shape in shapes]
    at = [table.exactly(shape.at) if shape.kind in _LOOKED_AT else -1 for shape in shapes]
    to = [table.intern(shape.to) if shape.kind in _LED_TO else -1 for shape in shapes]
    mute = _mute(kinds, at, table, model)
    return _Classes(kinds, at, to, initial, mute, model.commutes, table)


_TOTAL = int(Kind.TOTAL)
_LOOKED_AT = (Kind.SEES, Kind.SEES_OTHER, Kind.MOVES)
_LED_TO = (Kind.BLIND, Kind.MOVES)


def _mute(kinds: Sequence[int], at: Sequence[int], table: Table, model: Model) -> int:
    """The state of all that is unseen, if only what is allowed everywhere is allowed there."""
    if model.project is any_state:
        return -1
    if not {Kind.SEES_OTHER, Kind.LOOKS, Kind.OTHER}.isdisjoint(kinds):
        return -1
    unseen = table.exactly(UNSEEN)
    if unseen in at:
        return -1
    for cls, kind in enumerate(kinds):
        if kind == _TOTAL and table.next(unseen, cls) != (unseen,):
            return -1
    return unseen


def _classify(
    operations: Sequence[Operation], model: Model
) -> tuple[list[Operation], list[int], list[Action], list[Shape | None]]:
    """Operations that say something, their classes, and each class' action and declared shape."""
    kept: list[Operation] = []
    classes: list[int] = []
    actions: list[Action] = []
    shapes: list[Shape | None] = []
    # What an action can depend on, by outcome; equal keys give equal actions.
    answered: dict[Hashable, int] = {}
    unanswered: dict[Hashable, int] = {}
    failed: dict[Hashable, int] = {}
    ok, info, by_process = Outcome.OK, Outcome.INFO, model.by_process
    for operation in operations:
        call = operation.call
        process = operation.process if by_process else -1
        if operation.outcome is ok:
            ids, key = answered, (call.f, call.value, operation.result, process)
        elif operation.outcome is info:
            ids, key = unanswered, (call.f, call.value, None, process)
        else:
            ids, key = failed, (call.f, call.value, operation.error, process)
        cls = ids.get(key)
        if cls is None:
            action = model.action(operation)
            if action is None:
                cls = -1
            else:
                cls = len(actions)
                actions.append(action)
                shapes.append(model.shape(action))
            ids[key] = cls
        if cls >= 0:
            kept.append(operation)
            classes.append(cls)
    return kept, classes, actions, shapes


def _events(operations: Sequence[Operation]) -> list[int]:
    """Calls and returns in order of time, at equal times calls first (intervals are closed).

    Raises:
        UsageError: an operation that ends before it starts.
    """
    times: dict[int, int] = {}
    for place, operation in enumerate(operations):
        times[2 * place] = 2 * operation.start
        if operation.outcome is not Outcome.INFO:
            if operation.end is None or operation.end < operation.start:
                raise UsageError(f"operation {operation.index} ends before it starts")
            times[2 * place + 1] = 2 * operation.end + 1
    return sorted(times, key=times.__getitem__)


def _complete(declared: Sequence[Shape | None], table: Table, initial: int) -> list[Shape]:
    """Finds the shapes that the model did not declare, by trying every state there is.

    Only if all states that the actions of this history can ever reach fit into ``ENUMERATE``
    entries: then the shape holds in all of them, which is all that the search relies on.
    Otherwise the class is OTHER, about which the search assumes nothing.
    """
    if None not in declared:
        return [shape for shape in declared if shape is not None]
    reached = [initial]
    known = {initial}
    for state in reached:
        if len(reached) * len(declared) > ENUMERATE:
            return [shape or Shape(Kind.OTHER) for shape in declared]
        for cls in range(len(declared)):
            for after in table.next(state, cls):
                if after not in known:
                    known.add(after)
                    reached.append(after)
    return [
        shape or _shape_of({state: table.next(state, cls) for state in reached}, table)
        for cls, shape in enumerate(declared)
    ]


def _shape_of(row: Mapping[int, tuple[int, ...]], table: Table) -> Shape:
    """The narrowest shape that fits a full row of the transition table."""
    allowed = {state: after for state, after in row.items() if after}
    everywhere = len(allowed) == len(row)
    targets = {target for after in allowed.values() for target in after}
    if all(after == (state,) for state, after in allowed.items()):
        if everywhere:
            return Shape(Kind.IDLE)
        if len(allowed) == 1:
            return Shape(Kind.SEES, at=table.states[next(iter(allowed))])
        return Shape(Kind.LOOKS)
    if everywhere:
        if len(targets) == 1:
            return Shape(Kind.BLIND, to=table.states[targets.pop()])
        return Shape(Kind.TOTAL)
    if len(allowed) == 1 and len(targets) == 1:
        return Shape(
            Kind.MOVES, at=table.states[next(iter(allowed))], to=table.states[targets.pop()]
        )
    return Shape(Kind.OTHER)
