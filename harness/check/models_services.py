"""Locks with fencing tokens, and banks: objects that refuse what does not fit their state."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.check.models import Action, Kind, Model, Refused, Shape, State, Traffic
from harness.core.operations import MISMATCH, Operation, Outcome
from harness.core.values import Value, show


def observed(operation: Operation) -> Action | None:
    """An operation. A refusal for what the object held observed it, any other says nothing."""
    call = operation.call
    match operation.outcome:
        case Outcome.OK:
            return Action(call.f, call.value, Outcome.OK, operation.result)
        case Outcome.INFO:
            return Action(call.f, call.value, Outcome.INFO)
        case Outcome.FAIL if operation.error == MISMATCH:
            return Action(call.f, call.value, Outcome.FAIL)
        case _:
            return None


@dataclass(frozen=True, slots=True)
class Locked:
    """A lock. ``token`` is the greatest so far, or a number that it is greater than.

    ``known`` says whether anybody knows the holder's token: who was never answered does not.
    """

    held: bool = False
    token: int = 0
    known: bool = True


def fenced_lock(name: str) -> Model:
    """A lock for each key: ``acquire`` answers a token greater than all before, by which the holder
    may ``release``."""
    return Model(
        name=name,
        init=Locked(),
        step=_lock_step,
        functions=frozenset({"acquire", "release"}),
        action=_lock_action,
        shape=_lock_shape,
        describe=_describe_lock,
        traffic=_lock_traffic,
    )


def _lock_action(operation: Operation) -> Action | None:
    """Who asks makes no difference."""
    known = observed(operation)
    if known is not None and known.f == "acquire":
        return known._replace(value=None)
    return known


def _under(token: Value) -> Locked:
    if isinstance(token, bool) or not isinstance(token, int):
        raise ValueError(f"a token is a whole number, not {show(token)}")
    return Locked(True, token)


def _lock_step(state: State, action: Action) -> State | Refused:
    assert isinstance(state, Locked)
    match action.f, action.outcome:
        case "acquire", Outcome.FAIL:
            return state if state.held else Refused("the lock was", state)
        case "acquire", _ if state.held:
            return Refused("the lock was", state)
        case "acquire", Outcome.INFO:
            return Locked(True, state.token + 1, known=False)
        case "acquire", _:
            match action.result:
                case int(token) if token > state.token:
                    return Locked(True, token)
            return Refused("the lock was", state)
        case _, Outcome.FAIL:
            return Refused("the lock was", state) if state == _under(action.value) else state
    if state != _under(action.value):
        return Refused("the lock was", state)
    return replace(state, held=False)


def _lock_shape(action: Action) -> Shape:
    match action.f, action.outcome:
        case "acquire", Outcome.FAIL:
            return Shape(Kind.LOOKS)
        case "acquire", _:
            return Shape(Kind.OTHER)
        case _, Outcome.FAIL:
            return Shape(Kind.SEES_OTHER, at=_under(action.value))
    held = _under(action.value)
    return Shape(Kind.MOVES, at=held, to=replace(held, held=False))


def _describe_lock(state: State) -> str:
    assert isinstance(state, Locked)
    match state:
        case Locked(held=False, token=0):
            return "free and never held"
        case Locked(held=False):
            return f"free, its last token {state.token}"
        case Locked(known=True):
            return f"held with token {state.token}"
        case _:
            return "held by who was never answered"


def _lock_traffic(action: Action) -> Traffic:
    if action.f == "acquire":
        return Traffic(brings=(action.result,) if action.outcome is Outcome.OK else ())
    return Traffic(needs=(action.value,) if action.outcome is Outcome.OK else ())


def bank(name: str) -> Model:
    """Accounts for each key: ``open`` all with one balance, ``transfer``, ``snapshot``.

    Before it is open a bank has no accounts: their balances are nil.
    """
    return Model(
        name=name,
        init=(),
        step=_bank_step,
        functions=frozenset({"open", "transfer", "snapshot"}),
        action=_bank_action,
        shape=_bank_shape,
        describe=_describe_bank,
    )


def _bank_action(operation: Operation) -> Action | None:
    known = observed(operation)
    return (
        known
        if known is None or known.outcome is not Outcome.FAIL or known.f == "transfer"
        else None
    )


def _bank_step(state: State, action: Action) -> State | Refused:
    assert isinstance(state, tuple)
    held: dict[Value, int] = dict(state)
    match action.f, action.value:
        case "open", (*names, int(balance)):
            return (
                Refused("it was open with", state)
                if held
                else _accounts(dict.fromkeys(names, balance))
            )
        case "transfer", (source, to, int(amount)):
            enough = held.get(source, 0) >= amount
            if action.outcome is Outcome.FAIL:
                return Refused("there was enough with", state) if enough else state
            if not enough:
                return Refused("there was too little with", state)
            moved = {source: held[source] - amount, to: held.get(to, 0) + amount}
            return _accounts(held | moved)
        case "snapshot", (*names,):
            if action.outcome is Outcome.INFO or action.result == tuple(map(held.get, names)):
                return state
            return Refused("it held", state)
    raise ValueError(f"a bank has no {action.f} {show(action.value)}")


def _accounts(held: dict[Value, int]) -> State:
    return tuple(sorted(held.items(), key=repr))


def _bank_shape(action: Action) -> Shape:
    if action.f == "snapshot":
        return Shape(Kind.IDLE if action.outcome is Outcome.INFO else Kind.LOOKS)
    return Shape(Kind.LOOKS if action.outcome is Outcome.FAIL else Kind.OTHER)


def _describe_bank(state: State) -> str:
    assert isinstance(state, tuple)
    return ", ".join(f"{show(name)} = {show(balance)}" for name, balance in state) or "no accounts"
