"""Registers, key-value maps, mutexes: objects whose state is one value.

All of them declare the shape of every action, so the search never has to guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.check.models import (
    UNSEEN,
    Action,
    Kind,
    Model,
    Refused,
    RegisterRules,
    Shape,
    State,
    Traffic,
    action_of,
    longest,
    whole,
)
from harness.core.operations import Operation, Outcome
from harness.core.values import Value, show

_NAMES = {"get": "read", "put": "write"}


def register(name: str, initial: Value, rules: RegisterRules, *, cas: bool) -> Model:
    """One register for each key: read, write, and with ``cas`` compare-and-set."""
    functions = {"read", "get", "write", "put"} | ({"cas"} if cas else set())

    def action(operation: Operation) -> Action | None:
        call = operation.call
        if operation.outcome is Outcome.OK:
            return Action(_NAMES.get(call.f, call.f), call.value, Outcome.OK, operation.result)
        if operation.outcome is Outcome.FAIL and not rules.failed_cas_observes:
            return None
        known = action_of(operation)
        return known and known._replace(f=_NAMES.get(call.f, call.f))

    def shape(action: Action) -> Shape:
        if action.f == "read" and action.result is None and not rules.nil_is_a_value:
            return Shape(Kind.IDLE)
        return register_shape(action)

    def step(state: State, action: Action) -> State | Refused:
        if action.f == "read" and action.result is None and not rules.nil_is_a_value:
            return state
        return register_step(state, action)

    return Model(
        name=name,
        init=initial,
        step=step,
        functions=frozenset(functions),
        action=action,
        shape=shape,
        project=seen_values,
        traffic=lambda action: register_traffic(action, initial),
        register=rules,
    )


def expected_and_new(action: Action) -> tuple[Value, Value]:
    """The two arguments of a compare-and-set."""
    match action.value:
        case (expected, new):
            return expected, new
        case other:
            raise ValueError(f"a cas takes (expected, new), not {show(other)}")


def register_step(state: State, action: Action) -> State | Refused:
    """The register's semantics, in full."""
    match action.f:
        case "write":
            return action.value
        case "read":
            if action.outcome is Outcome.INFO or state == action.result:
                return state
            return Refused("it held", state)
        case _:
            expected, new = expected_and_new(action)
            if action.outcome is Outcome.FAIL:
                return state if state != expected else Refused("it did hold", state)
            return new if state == expected else Refused("it held", state)


def register_shape(action: Action) -> Shape:
    """The same, as a declaration."""
    match action.f:
        case "write":
            return Shape(Kind.BLIND, to=action.value)
        case "read":
            if action.outcome is Outcome.INFO:
                return Shape(Kind.IDLE)
            return Shape(Kind.SEES, at=action.result)
        case _:
            expected, new = expected_and_new(action)
            if action.outcome is Outcome.FAIL:
                return Shape(Kind.SEES_OTHER, at=expected)
            if expected == new:
                return Shape(Kind.SEES, at=expected)
            return Shape(Kind.MOVES, at=expected, to=new)


def seen_values(actions: Sequence[Action]) -> Callable[[State], State]:
    """Merges the values that nothing expects.

    Safe: a value that is no read's result and no cas' expectation is refused by every read and
    every successful cas, and allowed by every write and every refused cas, exactly like every
    other such value.
    """
    seen = _expected(actions)
    return lambda state: state if state in seen else UNSEEN


def _expected(actions: Sequence[Action]) -> set[State]:
    """The results of reads, and what each cas compared with."""
    seen: set[State] = set()
    for action in actions:
        if action.f == "read":
            seen.add(action.result)
        elif action.f == "cas":
            seen.add(expected_and_new(action)[0])
    return seen


def register_traffic(action: Action, initial: Value) -> Traffic:
    """A write brings its value, a read needs what it returned, a successful cas does both."""

    def needs(value: Value) -> tuple[Value, ...]:
        return () if value == initial else (value,)

    match action.f:
        case "write":
            return Traffic(brings=(action.value,))
        case "read":
            return Traffic(needs=() if action.outcome is Outcome.INFO else needs(action.result))
        case _:
            expected, new = expected_and_new(action)
            if action.outcome is Outcome.FAIL:
                return Traffic()
            return Traffic(brings=(new,), needs=needs(expected))


def key_value(name: str, initial: Value) -> Model:
    """A map: get, put, delete, cas and append (of text) on each key by itself.

    An absent key and the empty text are the same, as clients cannot agree which of them a get of
    nothing returns.
    """
    return Model(
        name=name,
        init=_absent_if_empty(initial),
        step=_key_value_step,
        functions=frozenset({"get", "read", "put", "write", "delete", "cas", "append"}),
        action=_key_value_action,
        shape=_key_value_shape,
        project=_seen_texts,
        traffic=lambda action: _key_value_traffic(action, _absent_if_empty(initial)),
    )


def _absent_if_empty(value: Value) -> Value:
    return None if value == "" else value


def _key_value_action(operation: Operation) -> Action | None:
    known = action_of(operation)
    match known:
        case None:
            return None
        case Action(f="delete"):
            return Action("write", None, known.outcome)
        case Action(f="cas"):
            expected, new = expected_and_new(known)
            return known._replace(value=(_absent_if_empty(expected), _absent_if_empty(new)))
        case _:
            return Action(
                _NAMES.get(known.f, known.f),
                _absent_if_empty(known.value),
                known.outcome,
                _absent_if_empty(known.result),
            )


def _key_value_step(state: State, action: Action) -> State | Refused:
    if action.f != "append":
        return register_step(state, action)
    if state is UNSEEN:
        return UNSEEN
    return _text(state) + _text(action.value) or None


def _text(state: State) -> str:
    return "" if state is None else str(state)


def _key_value_shape(action: Action) -> Shape:
    return Shape(Kind.TOTAL) if action.f == "append" else register_shape(action)


def _seen_texts(actions: Sequence[Action]) -> Callable[[State], State]:
    """Merges the values that nothing expects and that no appending can make expected.

    Safe: such a value is refused by every read and successful cas, allowed by everything else, and
    appending to it gives another such value.
    """
    if all(action.f != "append" for action in actions):
        return seen_values(actions)
    seen = _expected(actions)
    texts = longest([text for text in seen if isinstance(text, str)])

    def project(state: State) -> State:
        if state in seen:
            return state
        text = _text(state)
        return state if any(other.startswith(text) for other in texts) else UNSEEN

    return project


def _key_value_traffic(action: Action, initial: Value) -> Traffic:
    if action.f == "append":
        return Traffic(brings=(action.value,))
    return register_traffic(action, initial)


def mutex(name: str, *, owned: bool) -> Model:
    """A lock. ``owned``: only the process that acquired it may release it."""

    def action(operation: Operation) -> Action | None:
        known = action_of(operation)
        if known is None or not owned:
            return known
        return known._replace(process=operation.process)

    def step(state: State, action: Action) -> State | Refused:
        shape = mutex_shape(action, owned=owned)
        return shape.to if state == shape.at else Refused("the lock was", state)

    return Model(
        name=name,
        init="free",
        step=step,
        functions=frozenset({"acquire", "release"}),
        action=action,
        shape=lambda action: mutex_shape(action, owned=owned),
        by_process=owned,
        describe=str,
    )


def mutex_shape(action: Action, *, owned: bool) -> Shape:
    """``free`` becomes held by acquiring, and the other way round."""
    held = f"held by process {action.process}" if owned else "held"
    if action.f == "acquire":
        return Shape(Kind.MOVES, at="free", to=held)
    return Shape(Kind.MOVES, at=held, to="free")


def multi_register(name: str, initial: Value) -> Model:
    """Named registers, read and written by transactions ``((f, register, value), …)``."""
    return Model(
        name=name,
        init=(),
        step=lambda state, action: _transact(state, action, initial),
        functions=frozenset({"txn"}),
        shape=_transaction_shape,
        partition=whole,
        describe=lambda state: _describe_registers(state, initial),
        traffic=lambda action: _transaction_traffic(action, initial),
    )


def _micro(action: Action) -> tuple[tuple[str, Value, Value], ...]:
    """The transaction's steps as (read or write, register, value); results win over requests."""
    steps = action.result if action.outcome is Outcome.OK and action.result else action.value
    if not isinstance(steps, tuple):
        raise ValueError(f"a transaction is a list of steps, not {show(steps)}")
    micro = []
    for item in steps:
        match item:
            case (str() as f, where, value) if f[:1] in ("r", "w"):
                micro.append(("read" if f[0] == "r" else "write", where, value))
            case _:
                raise ValueError(f"a step is (read or write, register, value), not {show(item)}")
    return tuple(micro)


def _transact(state: State, action: Action, initial: Value) -> State | Refused:
    assert isinstance(state, tuple)
    held = dict(state)
    for f, where, value in _micro(action):
        if f == "write":
            held[where] = value
        elif action.outcome is Outcome.OK and held.get(where, initial) != value:
            return Refused("it held", state)
    changed = ((where, value) for where, value in held.items() if value != initial)
    return tuple(sorted(changed, key=repr))


def _transaction_shape(action: Action) -> Shape | None:
    micro = _micro(action)
    if all(f == "read" for f, _, _ in micro):
        return Shape(Kind.IDLE if action.outcome is Outcome.INFO else Kind.LOOKS)
    # An unanswered transaction's reads say nothing: whatever they saw, its writes are allowed.
    if action.outcome is Outcome.INFO or all(f == "write" for f, _, _ in micro):
        return Shape(Kind.TOTAL)
    return Shape(Kind.OTHER)


def _transaction_traffic(action: Action, initial: Value) -> Traffic:
    micro = _micro(action)
    seen = [step[1:] for step in micro if step[0] == "read" and step[2] != initial]
    return Traffic(
        brings=tuple(step[1:] for step in micro if step[0] == "write"),
        needs=tuple(seen) if action.outcome is Outcome.OK else (),
    )


def _describe_registers(state: State, initial: Value) -> str:
    assert isinstance(state, tuple)
    words = [f"{show(where)} = {show(value)}" for where, value in state]
    return ", ".join(words) or f"all {show(initial)}"
