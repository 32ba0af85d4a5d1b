"""From a return that nothing passes to an anomaly that a person can follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from harness.check.kinds import Named, name_anomaly
from harness.check.lane import UNTOLD, Holdings, holdings
from harness.check.limits import Budget
from harness.check.models import Model, State
from harness.check.partial import Partial, longest_order
from harness.check.shrink import focused, shrink
from harness.check.words import did, had_happened, step
from harness.core.operations import Operation
from harness.core.protocols import Limits
from harness.core.units import show_ms
from harness.core.values import Value, show
from harness.core.verdict import Anomaly

SHRINK_S = 6.0
LANE_S = 1.0
PARTIAL_S = 3.0
"""Seconds that an explanation may take for each of its parts, at most."""


def explain(
    key: Value,
    operations: Sequence[Operation],
    culprit: Operation,
    model: Model,
    limits: Limits,
    *,
    timed: bool = True,
) -> tuple[Anomaly, tuple[int, ...]]:
    """What is wrong with one object's history, shrunk, named and worded.

    Args:
        key: which object.
        operations: all of its operations.
        culprit: the operation whose return no legal order passes.
        model: the sequential object.
        limits: of the whole check; an explanation takes a small part of it.
        timed: the history has usable times; else nothing is said of how long anything took.

    Returns:
        The anomaly, and the longest legal order that stops short of the culprit.
    """

    def budget(seconds: float) -> Budget:
        return Budget(Limits(min(seconds, limits.time_s), limits.memory_bytes))

    shrunk = shrink(operations, culprit, model, budget(SHRINK_S))
    kept = shrunk.operations
    named = name_anomaly(operations, kept, culprit, model)
    seen = focused(operations, model, shrunk.values)
    held = holdings(
        seen,
        kept,
        next(item for item in seen if item.index == culprit.index),
        _as_part(model) if len(seen) < len(operations) else model,
        lambda: budget(LANE_S),
    )
    partial = longest_order(operations, culprit, model, budget(PARTIAL_S))
    shown = _in_order([*kept, *named.context], culprit)
    possible = _possible(culprit, held, partial)
    anomaly = Anomaly(
        kind=named.kind,
        sentence=_sentence(key, kept, culprit, model, named, possible, timed=timed),
        operations=tuple(operation.index for operation in shown),
        culprit=culprit.index,
        steps=tuple(_steps(key, shown, culprit, model, possible, timed=timed)),
        legal=held.legal,
        lane=held.lane,
        key=key,
        at_ns=culprit.end,
    )
    return anomaly, partial.order


def _as_part(model: Model) -> Model:
    """The model of a collection of which only some values are looked at: ``{… 72}``."""

    def describe(state: State) -> str:
        words = model.describe(state)
        if words[:1] not in ("{", "["):
            return words
        return f"{words[0]}…{' ' if len(words) > 2 else ''}{words[1:]}"

    return replace(model, describe=describe)


def brief(
    key: Value,
    operations: Sequence[Operation],
    culprit: Operation,
    model: Model,
    *,
    timed: bool = True,
) -> Anomaly:
    """The same, without shrinking: one of many that need not all be told."""
    named = name_anomaly(operations, (), culprit, model)
    return Anomaly(
        kind=named.kind,
        sentence=_sentence(key, operations, culprit, model, named, None, timed=timed),
        operations=(culprit.index,),
        culprit=culprit.index,
        key=key,
        at_ns=culprit.end,
    )


def _in_order(operations: Sequence[Operation], culprit: Operation) -> list[Operation]:
    """In order of call, the culprit last: what forbids it comes before it."""
    others = [item for item in operations if item.index != culprit.index]
    return [*sorted(others, key=lambda item: (item.start, item.index)), culprit]


def _sentence(
    key: Value,
    operations: Sequence[Operation],
    culprit: Operation,
    model: Model,
    named: Named,
    possible: str | None,
    *,
    timed: bool,
) -> str:
    """One sentence: who did what, and what makes it impossible."""
    head = f"Process {culprit.process} {did(culprit, key)}"
    if named.because is not None:
        return f"{head}, {named.because}."
    reason = _gap(operations, culprit, model, timed=timed)
    if reason is not None:
        return f"{head}{reason}."
    return f"{head}; {possible or 'no legal order of the operations allows it'}."


def _possible(culprit: Operation, held: Holdings, partial: Partial) -> str | None:
    """What would have been legal, or why the culprit is not, in words."""
    values = " or ".join(held.legal) if held.legal != UNTOLD else ""
    if values and culprit.call.f in ("read", "get", "dequeue"):
        return f"legal here: {values}"
    if partial.reason is not None:
        return f"in the longest legal order of the others {partial.reason}"
    return f"possible then: {values}" if values else None


def _gap(
    operations: Sequence[Operation], culprit: Operation, model: Model, *, timed: bool
) -> str | None:
    """How long before the culprit's call something had returned that contradicts it.

    That is the last thing to return before; but nothing that says the same as the culprit, such as
    the write of the value it read, or another read of it.
    """
    action = model.action(culprit)
    needs = set() if action is None else set(model.traffic(action).needs)
    before: list[Operation] = []
    for item in operations:
        known = model.action(item)
        if known is None or item.end is None or item.end >= culprit.start or known == action:
            continue
        brings = set(model.traffic(known).brings)
        if not brings or not brings <= needs:
            before.append(item)
    if not before:
        return None
    last = max(before, key=lambda item: cast("int", item.end))
    gap = f"after {had_happened(last)}"
    if timed:
        gap = f"{show_ms(culprit.start - cast('int', last.end))} {gap}"
    lacks = last.call.f in ("add", "append") and isinstance(culprit.result, tuple)
    return f" without {show(last.call.value)}, {gap}" if lacks else f", {gap}"


def _steps(
    key: Value,
    shown: Sequence[Operation],
    culprit: Operation,
    model: Model,
    possible: str | None,
    *,
    timed: bool,
) -> list[str]:
    """One sentence for each operation; the culprit's says when it was called and what was legal."""
    told = [step(item, key, timed=timed) for item in shown if item.index != culprit.index]
    reason = _gap(shown, culprit, model, timed=timed)
    words = f"Process {culprit.process} {did(culprit, key)}"
    words += reason or ""
    words += f"; {possible}" if possible else ""
    return [*told, f"{words}."]
