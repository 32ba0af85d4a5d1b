"""The longest legal order around a failure, and the model's own reason for not going on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.check.engines import ENGINES
from harness.check.limits import Budget, LimitReached
from harness.check.models import Choice, Model, Refused, State
from harness.check.problem import Problem, pose
from harness.check.refute import before
from harness.check.witness import idle, weave
from harness.core.operations import Operation


@dataclass(frozen=True, slots=True)
class Partial:
    """``order``: all that returned before the culprit did, and what that needs, in a legal order.

    Operations by index. ``reason`` is what the model says to the culprit after them; None where it
    did not say.
    """

    order: tuple[int, ...] = ()
    reason: str | None = None


def longest_order(
    operations: Sequence[Operation], culprit: Operation, model: Model, budget: Budget
) -> Partial:
    """The longest legal order that stops short of the culprit.

    As the culprit's return is the first event that no legal order passes, some order has all that
    returned before it. Empty when the budget did not suffice.
    """
    assert culprit.end is not None
    problem = pose([item for item in operations if item.start <= culprit.end], model)
    place = problem.place(culprit)
    assert place is not None  # an operation that says nothing is nobody's culprit
    dead = problem.events.index(2 * place + 1)
    problem = _without(problem, place, dead)
    try:
        found = ENGINES["auto"](problem, budget)
    except LimitReached:
        return Partial()
    if found.order is None:
        return Partial()  # what was refuted need not be the first that no order passes
    order = [problem.operations[item] for item in found.order]
    extra = [
        item
        for item in idle(operations, problem.operations, model)
        if item.end is not None and (item.end, item.index) < (culprit.end, culprit.index)
    ]
    return Partial(tuple(weave(order, extra)), _reason(order, culprit, model))


def _without(problem: Problem, place: int, dead: int) -> Problem:
    """What was before an event, as if one operation had never been called."""
    events = [
        event - 2 if event >> 1 > place else event
        for event in problem.events[:dead]
        if event >> 1 != place
    ]
    operations, classes = list(problem.operations), list(problem.classes)
    del operations[place], classes[place]
    returned = [False] * len(operations)
    return before(
        replace(problem, operations=operations, classes=classes, returned=returned, events=events),
        len(events),
    )


def _reason(order: Sequence[Operation], culprit: Operation, model: Model) -> str | None:
    """What the model answers to the culprit after an order; None if it leaves choices open."""
    state: State = model.init
    for operation in (*order, culprit):
        action = model.action(operation)
        assert action is not None
        match model.step(state, action):
            case Refused() as refused:
                return refused.reason(model.describe)
            case Choice():
                return None
            case after:
                state = after
    return None
