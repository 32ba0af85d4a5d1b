"""The linearizability checker: history in, verdict out."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from harness.check.antichain import Antichain
from harness.check.catalogue import parse_model
from harness.check.limits import Budget, LimitReached
from harness.check.models import Model
from harness.check.problem import Problem, partition, pose
from harness.check.witness import idle, linearization, weave
from harness.core.errors import UsageError
from harness.core.operations import History, Operation
from harness.core.protocols import Limits
from harness.core.values import Value, show
from harness.core.verdict import Anomaly, CheckResult, Verdict

NAME = "linearizable"

ENGINES = ("auto", "python")

BEAMS: tuple[int | None, ...] = (2, 16, 128, 1024, 8192, None)
"""Widths tried one after the other; the last, unlimited one is exact (rule 8 of the search)."""


@dataclass(frozen=True, slots=True)
class Linearizability(CheckResult):
    """A verdict with its proof.

    ``witness`` maps each key to an order of operation indices (VALID only): all operations that
    returned, and those of the unanswered that must have taken effect. ``verify_witness`` verifies
    it without the search.
    """

    witness: Mapping[Hashable, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """One object's verdict: a witness, or the return that nothing passes, or the limit hit."""

    key: Hashable
    operations: Sequence[Operation]
    problem: Problem
    witness: tuple[int, ...] | None = None
    dead: int | None = None
    limit: str | None = None
    visited: int = 0
    widest: int = 0


def check(
    history: History,
    model: Model | str,
    *,
    limits: Limits | None = None,
    engine: str = "auto",
) -> Linearizability:
    """Is there, for each object, a legal order of its operations that respects real time?

    Args:
        history: what clients asked and were told.
        model: the sequential object, or its string (see :func:`parse_model`).
        limits: wall clock and memory for the whole check.
        engine: ``auto``, or ``python`` (the antichain search).

    Raises:
        UsageError: an unknown model, or operations that it does not have.
    """
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}; known: {', '.join(ENGINES)}")
    began = time.perf_counter()
    if isinstance(model, str):
        model = parse_model(model)
    budget = Budget(limits or Limits())
    parts = partition(history, model)
    judged = [judge(key, operations, model, budget) for key, operations in parts.items()]
    took = (time.perf_counter() - began) * 1e3
    return _result(history, judged, took)


def judge(key: Hashable, operations: Sequence[Operation], model: Model, budget: Budget) -> Judged:
    """One object: beams first, the exact search last."""
    problem = pose(operations, model)
    visited = widest = 0
    for width in BEAMS:
        search = Antichain(problem, budget, width)
        try:
            dead = search.run()
        except LimitReached as limit:
            return Judged(
                key, operations, problem, None, None, limit.words, visited + search.visited, widest
            )
        visited += search.visited
        widest = max(widest, search.widest)
        if dead is None:
            trail = next(iter(search.configs.values()))[0][3]
            order = [problem.operations[place] for place in linearization(problem, trail)]
            extra = idle(operations, problem.operations, model)
            witness = tuple(weave(order, extra))
            return Judged(key, operations, problem, witness, visited=visited, widest=widest)
        if not search.truncated:
            return Judged(key, operations, problem, None, dead, visited=visited, widest=widest)
    raise AssertionError("the last search is not truncated")


def _result(history: History, judged: Sequence[Judged], took_ms: float) -> Linearizability:
    """One verdict of all objects: a violation wins over a limit, a limit over success."""
    bad = [item for item in judged if item.dead is not None]
    cut = [item for item in judged if item.limit is not None]
    figures: dict[str, Value] = {
        "operations": len(history),
        "keys": len(judged),
        "visited": sum(item.visited for item in judged),
        "widest": max((item.widest for item in judged), default=0),
        "check_ms": round(took_ms, 3),
    }
    if bad:
        anomalies = tuple(_anomaly(item) for item in bad)
        return Linearizability(NAME, Verdict.INVALID, anomalies[0].sentence, anomalies, figures)
    if cut:
        reason = (
            f"the search for a legal order of key {_show_key(cut[0].key)} "
            f"stopped at its limit of {cut[0].limit}"
        )
        return Linearizability(NAME, Verdict.UNKNOWN, reason, (), figures, cut[0].limit)
    keys = f"{len(judged):,} key{'s' if len(judged) != 1 else ''}"
    reason = f"{len(history):,} operations on {keys} have a legal order that respects real time"
    witness = {item.key: item.witness for item in judged if item.witness is not None}
    return Linearizability(NAME, Verdict.VALID, reason, (), figures, None, witness)


def _anomaly(item: Judged) -> Anomaly:
    assert item.dead is not None
    culprit = item.problem.operations[item.problem.events[item.dead] >> 1]
    sentence = (
        f"No legal order lets process {culprit.process} return from {culprit.words()} "
        f"on key {_show_key(item.key)}."
    )
    return Anomaly(
        kind="not linearizable",
        sentence=sentence,
        operations=(culprit.index,),
        culprit=culprit.index,
        key=cast("Value", item.key),
        at_ns=culprit.end,
    )


def _show_key(key: Hashable) -> str:
    return show(cast("Value", key))
