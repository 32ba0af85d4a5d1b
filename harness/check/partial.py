"""The longest legal order around a failure, and the model's own reason for not going on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.check.engines import scouted
from harness.check.limits import Budget, LimitReached
from harness.check.models import Choice, Model, Refused, State
from harness.check.problem import pose
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
    events = [event for event in problem.events[:dead] if event >> 1 != place]
    returned = [False] * len(problem.operations)
    for event in events:
        returned[event >> 1] |= bool(event & 1)
    try:
        found = scouted(replace(problem, events=events, returned=returned), budget)
    except LimitReached:
        return Partial()
    assert found.order is not None
    order = [problem.operations[item] for item in found.order]
    extra = [
        item
        for item in idle(operations, problem.operations, model)
        if item.end is not None and (item.end, item.index) < (culprit.end, culprit.index)
    ]
    return Partial(tuple(weave(order, extra)), _reason(order, culprit, model))


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
