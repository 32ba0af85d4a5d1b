"""Lists, sets, counters and queues: objects that grow.

Their states are many, so each declares which of them a history can still tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.check.models import (
    UNSEEN,
    Action,
    Choice,
    Kind,
    Model,
    Refused,
    Shape,
    State,
    Traffic,
    action_of,
    enumerated,
    longest,
    only,
)
from harness.check.monitors.queues import bag, fifo
from harness.check.monitors.sets import growing_set
from harness.core.operations import Operation, Outcome
from harness.core.values import Value, show


def appended_list(name: str) -> Model:
    """A list for each key: ``append`` an element, ``read`` all of it, ``put`` another in its place.

    A read may also return the elements concatenated to one text, as Porcupine's logs do; there a
    put takes a text. (``get`` is another name for read, ``write`` for put.)
    """
    return Model(
        name=name,
        init=(),
        step=_list_step,
        functions=frozenset({"append", "read", "get", "put", "write"}),
        action=_list_action,
        shape=_list_shape,
        project=_live_lists,
        describe=_show_list,
        traffic=_list_traffic,
        restrict=only,
        appends=True,
    )


def _list_action(operation: Operation) -> Action | None:
    """Nothing, no text and no elements are all the empty list."""
    known = action_of(operation)
    match known:
        case None | Action(f="append"):
            return known
        case Action(f="put" | "write"):
            if not isinstance(known.value, str | tuple):
                raise ValueError(f"a list cannot become {show(known.value)}")
            return Action("write", known.value or (), known.outcome)
        case _:
            return Action("read", None, known.outcome, known.result or ())


def _list_step(state: State, action: Action) -> State | Refused:
    if action.f == "append":
        match state:
            case str():
                return state + str(action.value)
            case tuple():
                return (*state, action.value)
            case _:
                return UNSEEN
    if action.f == "write":
        return action.value
    if action.outcome is Outcome.INFO or _as_read(state, action.result) == action.result:
        return state
    return Refused("it held", state)


def _as_read(state: State, result: Value) -> State:
    """The list in the form in which a read returned it (an empty one is always the tuple)."""
    if isinstance(result, str) and isinstance(state, tuple) and state:
        return "".join(str(item) for item in state)
    return state


def _list_shape(action: Action) -> Shape:
    if action.f == "append":
        return Shape(Kind.TOTAL)
    if action.f == "write":
        return Shape(Kind.BLIND, to=action.value)
    if action.outcome is Outcome.INFO:
        return Shape(Kind.IDLE)
    return Shape(Kind.SEES, at=action.result)


def _live_lists(actions: Sequence[Action]) -> Callable[[State], State]:
    """Merges the lists that are no prefix of any list that was read.

    Safe: but for puts, which do not care, a list only grows at its end; so such a list is refused
    by every read that returned, and appending leads from such lists to such lists. Where reads
    return text, lists are represented by their text: equal texts are read alike, and stay equal.
    """
    seen = [action.result for action in actions if action.f == "read" and _answered(action)]
    texts = [result for result in seen if isinstance(result, str)]
    lists = [result for result in seen if isinstance(result, tuple) and result]
    if texts and lists:
        raise ValueError("some reads of one list return text, others a list")
    live: Sequence[str | tuple[Value, ...]] = longest(texts) if texts else longest(lists)

    def project(state: State) -> State:
        if state is UNSEEN:
            return UNSEEN
        held = _as_read(state, "" if texts else ()) or ()
        assert isinstance(held, tuple | str)
        length = len(held)
        return held if not length or any(other[:length] == held for other in live) else UNSEEN

    return project


def _answered(action: Action) -> bool:
    return action.outcome is Outcome.OK


def _show_list(state: State) -> str:
    match state:
        case str():
            return repr(state)
        case tuple():
            return enumerated([show(item) for item in state], "[]")
        case _:
            return "a list that nobody read"


def _list_traffic(action: Action) -> Traffic:
    if action.f == "append":
        return Traffic(brings=(action.value,))
    if action.f == "write":
        return Traffic(brings=action.value if isinstance(action.value, tuple) else ())
    if _answered(action) and isinstance(action.result, tuple):
        return Traffic(needs=action.result)
    return Traffic()


def grow_set(name: str) -> Model:
    """A set for each key: ``add`` an element, ``read`` all of them."""
    return Model(
        name=name,
        init=frozenset(),
        step=_set_step,
        functions=frozenset({"add", "read"}),
        shape=_set_shape,
        project=_live_sets,
        commutes=True,
        describe=_show_set,
        traffic=_set_traffic,
        restrict=only,
        monitor=growing_set,
    )


def _members(result: Value) -> frozenset[Value]:
    match result:
        case None:
            return frozenset()
        case tuple():
            return frozenset(result)
        case _:
            raise ValueError(f"a set is read as a list of its elements, not as {show(result)}")


def _set_step(state: State, action: Action) -> State | Refused:
    if action.f == "add":
        return state | {action.value} if isinstance(state, frozenset) else UNSEEN
    if action.outcome is Outcome.INFO or state == _members(action.result):
        return state
    return Refused("it held", state)


def _set_shape(action: Action) -> Shape:
    if action.f == "add":
        return Shape(Kind.TOTAL)
    if action.outcome is Outcome.INFO:
        return Shape(Kind.IDLE)
    return Shape(Kind.SEES, at=_members(action.result))


def _live_sets(actions: Sequence[Action]) -> Callable[[State], State]:
    """Merges the sets that are no subset of any set that was read.

    Safe: a set only grows, so from such a set no read that returned is ever allowed again.
    """
    seen = {
        _members(action.result) for action in actions if action.f == "read" and _answered(action)
    }
    largest: list[frozenset[Value]] = []
    for members in sorted(seen, key=len, reverse=True):
        if not any(members <= other for other in largest):
            largest.append(members)

    def project(state: State) -> State:
        if not isinstance(state, frozenset):
            return UNSEEN
        return state if any(state <= other for other in largest) else UNSEEN

    return project


def _show_set(state: State) -> str:
    if not isinstance(state, frozenset):
        return "a set that nobody read"
    items = [show(item) for item in state]
    return enumerated(sorted(items, key=lambda item: (len(item), item)), "{}")


def _set_traffic(action: Action) -> Traffic:
    if action.f == "add":
        return Traffic(brings=(action.value,))
    return Traffic(needs=tuple(_members(action.result)) if _answered(action) else ())


def counter(name: str, initial: int) -> Model:
    """A number for each key: ``add`` (or ``increment``) a delta (default 1), ``read`` the sum.

    A read of nil is a read of ``initial``: nobody has made the counter yet.
    """

    def action(operation: Operation) -> Action | None:
        known = action_of(operation)
        match known:
            case Action(f="increment"):
                return known._replace(f="add")
            case Action(f="read", outcome=Outcome.OK, result=None):
                return known._replace(result=initial)
            case _:
                return known

    return Model(
        name=name,
        init=initial,
        step=_counter_step,
        functions=frozenset({"add", "increment", "read"}),
        action=action,
        shape=_counter_shape,
        project=_live_sums,
        commutes=True,
        traffic=lambda action: _counter_traffic(action, initial),
    )


def _delta(action: Action) -> int:
    match action.value:
        case None:
            return 1
        case int():
            return action.value
        case other:
            raise ValueError(f"a counter is moved by a whole number, not by {show(other)}")


def _counter_step(state: State, action: Action) -> State | Refused:
    if action.f == "add":
        return state + _delta(action) if isinstance(state, int) else UNSEEN
    if action.outcome is Outcome.INFO or state == action.result:
        return state
    return Refused("it stood at", state)


def _counter_shape(action: Action) -> Shape:
    if action.f == "add":
        return Shape(Kind.TOTAL)
    if action.outcome is Outcome.INFO:
        return Shape(Kind.IDLE)
    return Shape(Kind.SEES, at=action.result)


def _live_sums(actions: Sequence[Action]) -> Callable[[State], State]:
    """Merges the sums that have passed everything that was read, if the counter has one direction.

    Safe: a counter that only rises never comes back to a smaller reading (and the mirror image).
    """
    seen = [action.result for action in actions if action.f == "read" and _answered(action)]
    readings = [result for result in seen if isinstance(result, int | float)]
    deltas = [_delta(action) for action in actions if action.f == "add"]
    highest, lowest = max(readings, default=None), min(readings, default=None)
    rises, falls = min(deltas, default=0) >= 0, max(deltas, default=0) <= 0

    def project(state: State) -> State:
        if not isinstance(state, int):
            return UNSEEN
        if rises and (highest is None or state > highest):
            return UNSEEN
        if falls and (lowest is None or state < lowest):
            return UNSEEN
        return state

    return project


def _counter_traffic(action: Action, initial: int) -> Traffic:
    if action.f == "add":
        return Traffic(delta=_delta(action))
    if _answered(action) and isinstance(action.result, int):
        return Traffic(reaches=action.result - initial)
    return Traffic()


def fifo_queue(name: str) -> Model:
    """A queue for each key: ``enqueue`` an element, ``dequeue`` the oldest (nil: it was empty)."""
    return Model(
        name=name,
        init=(),
        step=_fifo_step,
        functions=frozenset({"enqueue", "dequeue"}),
        shape=_queue_shape,
        describe=_show_list,
        traffic=_queue_traffic,
        answer=lambda state: show(state[0] if isinstance(state, tuple) and state else None),
        monitor=fifo,
    )


def _fifo_step(state: State, action: Action) -> State | Refused:
    assert isinstance(state, tuple)
    if action.f == "enqueue":
        return (*state, action.value)
    if not state:
        return state if action.result is None else Refused("it was empty")
    if action.outcome is Outcome.INFO or state[0] == action.result:
        return state[1:]
    return Refused("it held", state)


def _queue_shape(action: Action) -> Shape:
    if action.f == "enqueue":
        return Shape(Kind.TOTAL)
    if action.outcome is Outcome.OK and action.result is None:
        return Shape(Kind.SEES, at=())
    return Shape(Kind.OTHER)


def _queue_traffic(action: Action) -> Traffic:
    if action.f == "enqueue":
        return Traffic(brings=(action.value,))
    return Traffic(
        needs=(action.result,) if _answered(action) and action.result is not None else ()
    )


def unordered_queue(name: str) -> Model:
    """A bag for each key: ``enqueue`` an element, ``dequeue`` any of them (nil: it was empty)."""
    return Model(
        name=name,
        init=(),
        step=_bag_step,
        functions=frozenset({"enqueue", "dequeue"}),
        shape=_queue_shape,
        commutes=True,
        describe=_show_list,
        traffic=_queue_traffic,
        monitor=bag,
    )


def _bag_step(state: State, action: Action) -> State | Refused | Choice:
    """A bag is the sorted tuple of its elements (by representation: they may be of any type)."""
    assert isinstance(state, tuple)
    if action.f == "enqueue":
        return tuple(sorted((*state, action.value), key=repr))
    if not state:
        return state if action.result is None else Refused("it was empty")
    if action.outcome is Outcome.INFO:
        return Choice(tuple(_without(state, place) for place in range(len(state))))
    if action.result in state:
        return _without(state, state.index(action.result))
    return Refused("it held", state)


def _without(bag: tuple[Value, ...], place: int) -> tuple[Value, ...]:
    return bag[:place] + bag[place + 1 :]
