"""Linearization orders: made from a search's trail, and verified without trusting it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Mapping, Sequence
from operator import itemgetter

from harness.check.models import Action, Choice, Kind, Model, Refused, State
from harness.check.openings import Trail
from harness.check.problem import Problem
from harness.core.operations import History, Operation, Outcome


def unroll(trail: Trail) -> list[tuple[int, int, int]]:
    """A trail as a list, first step first: (position of the event, what, state after)."""
    steps: list[tuple[int, int, int]] = []
    while trail is not None:
        steps.append(trail[1:])
        trail = trail[0]
    steps.reverse()
    return steps


def linearization(problem: Problem, trail: Trail) -> list[int]:
    """A trail as a full order of the problem's operations that returned, and those it needed.

    A step that was taken at event t was taken just before that event. The state after it lasts
    until the next step's event. An observer fits into any such period that its interval meets and
    whose state allows it; a total operation that no step uses was absorbed, and fits immediately
    before any blind step during its interval. Within one period, order of call is in accordance
    with real time, as all of them meet at the period's end.

    Raises:
        ValueError: the trail explains some operation in no way (a defect of the search).
    """
    calls, ends = _intervals(problem)
    steps = unroll(trail)
    times = [-1, *(position for position, _, _ in steps)]
    states = [problem.initial, *(state for _, _, state in steps)]
    doers = _name_lost(problem, steps, calls)
    # order keys: (period, 0 before its step | 1 the step | 2 after it, call)
    order = [((number + 1, 1, 0), operation) for number, operation in enumerate(doers)]
    done = set(doers)
    blind = [
        number + 1
        for number, operation in enumerate(doers)
        if problem.kinds[problem.classes[operation]] == Kind.BLIND
    ]
    blind_times = [times[number] for number in blind]
    for operation, cls in enumerate(problem.classes):
        if operation in done or not problem.returned[operation]:
            continue
        called, ended = calls[operation], ends[operation]
        if problem.kinds[cls] <= Kind.LOOKS:
            # The periods the interval meets: from the one it is called in to its return's.
            first = bisect_left(times, called) - 1
            last = bisect_right(times, ended) - 1
            for period in range(first, last + 1):
                if _allows(problem, states[period], cls):
                    order.append(((period, 2, called), operation))
                    break
            else:
                raise ValueError(f"nothing explains {problem.operations[operation].words()}")
        else:
            place = bisect_right(blind_times, called)
            if place == len(blind) or blind_times[place] > ended:
                raise ValueError(f"nothing absorbs {problem.operations[operation].words()}")
            order.append(((blind[place], 0, called), operation))
    order.sort(key=itemgetter(0))
    return [operation for _, operation in order]


def _allows(problem: Problem, state: int, cls: int) -> bool:
    match problem.kinds[cls]:
        case Kind.SEES:
            return state == problem.at[cls]
        case Kind.SEES_OTHER:
            return state != problem.at[cls]
        case _:
            return bool(problem.table.next(state, cls))


def _intervals(problem: Problem) -> tuple[list[int], list[int]]:
    """Positions of call and return for each operation (-1 for a return that never came)."""
    calls = [-1] * len(problem.operations)
    ends = [-1] * len(problem.operations)
    for position, event in enumerate(problem.events):
        (ends if event & 1 else calls)[event >> 1] = position
    return calls, ends


def _name_lost(
    problem: Problem, steps: Sequence[tuple[int, int, int]], calls: Sequence[int]
) -> list[int]:
    """The operation behind each step; for an unanswered class the earliest called one left.

    That one was called in time: the search counts only those that were.
    """
    waiting: dict[int, list[int]] = {}
    for operation in sorted(range(len(calls)), key=calls.__getitem__, reverse=True):
        if not problem.returned[operation]:
            waiting.setdefault(problem.classes[operation], []).append(operation)
    return [what if what >= 0 else waiting[~what].pop() for _, what, _ in steps]


def idle(
    operations: Sequence[Operation], posed: Sequence[Operation], model: Model
) -> list[Operation]:
    """Operations that must be in a witness but say nothing, and so were not posed."""
    known = {operation.index for operation in posed}
    return [
        operation
        for operation in operations
        if operation.index not in known
        and operation.end is not None
        and model.action(operation) is not None
    ]


def weave(order: Sequence[Operation], extra: Sequence[Operation]) -> list[int]:
    """Puts operations that fit anywhere into an order, in accordance with real time.

    Each goes before the first operation that was called after it returned.
    """
    woven: list[int] = []
    waiting = sorted(extra, key=lambda operation: operation.end or 0, reverse=True)
    for operation in order:
        while waiting and (waiting[-1].end or 0) < operation.start:
            woven.append(waiting.pop().index)
        woven.append(operation.index)
    woven.extend(operation.index for operation in reversed(waiting))
    return woven


def verify_witness(
    history: History, model: Model, witness: Mapping[Hashable, Sequence[int]]
) -> str | None:
    """Checks linearization orders against the definition alone; shares nothing with the searches.

    Returns:
        None when they hold, otherwise what is wrong with them in one sentence.
    """
    by_index = {operation.index: operation for operation in history.operations}
    missing = {item.index for item in history.operations if _must(item, model)}
    for key, order in witness.items():
        states: set[State] = {model.init}
        latest = None
        for index in order:
            operation = by_index.pop(index, None)
            action = None if operation is None else model.action(operation)
            if operation is None or action is None or model.partition(operation.call) != key:
                return f"operation {index} is not one of {key!r}, took no effect, or comes twice"
            missing.discard(index)
            if latest is not None and operation.end is not None and operation.end < latest:
                return f"operation {index} had returned before one that precedes it was called"
            latest = operation.start if latest is None else max(latest, operation.start)
            states = {after for state in states for after in _after(model, state, action)}
            if not states:
                return f"operation {index} is refused at its place in the order"
    return f"operations {sorted(missing)} are in no order" if missing else None


def _must(operation: Operation, model: Model) -> bool:
    return operation.outcome is not Outcome.INFO and model.action(operation) is not None


def _after(model: Model, state: State, action: Action) -> Sequence[State]:
    match model.step(state, action):
        case Refused():
            return ()
        case Choice(states):
            return states
        case after:
            return (after,)
