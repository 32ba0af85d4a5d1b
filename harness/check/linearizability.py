"""The linearizability checker: history in, verdict out."""

from __future__ import annotations

import os
import time
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import cast

from harness.check.catalogue import parse_model
from harness.check.engines import ENGINES, Engine, by_native, scouted, searched
from harness.check.explain import brief, explain
from harness.check.glance import by_glance
from harness.check.limits import Budget, LimitReached, uncollected
from harness.check.models import Model
from harness.check.native import columned
from harness.check.problem import ColumnProblem, partition, pose
from harness.check.witness import idle, weave
from harness.core.errors import UsageError
from harness.core.operations import History, Operation
from harness.core.protocols import Limits
from harness.core.values import Value, show
from harness.core.verdict import Anomaly, CheckResult, Verdict

NAME = "linearizable"

IN_FULL = 3
"""Anomalies that are shrunk and explained; the others are only named."""

EXPLAIN_S = 10.0
"""Seconds after which no further anomaly is explained in full."""


@dataclass(frozen=True, slots=True)
class Linearizability(CheckResult):
    """A verdict with its proof.

    ``witness`` maps each key that has one to an order of operation indices: all operations that
    returned, and those of the unanswered that must have taken effect. ``verify_witness`` verifies
    it without the search. ``partial`` maps each key that was explained to the longest legal order
    that stops short of the operation that is to blame.
    """

    witness: Mapping[Hashable, Sequence[int]] = field(default_factory=dict)
    partial: Mapping[Hashable, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judged:
    """One object's verdict: a witness, or the operation that cannot return, or the limit hit."""

    key: Hashable
    operations: Sequence[Operation]
    witness: Sequence[int] | None = None
    culprit: Operation | None = None
    limit: str | None = None
    visited: int = 0
    widest: int = 0
    search_ns: int = 0
    """Of computing."""


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
        engine: ``python`` (a depth-first scout, then the antichain), ``native`` (the same,
            compiled), ``auto`` (native where that is installed), ``antichain`` (that alone, in
            Python) or ``wgl`` (depth first alone: a second opinion).

    Raises:
        UsageError: an unknown model, operations that it does not have, or no native core.
    """
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}; known: {', '.join(ENGINES)}")
    began = time.perf_counter()
    if isinstance(model, str):
        model = parse_model(model)
    limits = limits or Limits()
    budget = Budget(limits)
    judged = judge_all(history, model, budget, engine)
    took = (time.perf_counter() - began) * 1e3
    anomalies, partial = _explain(judged, model, limits, timed=history.timed)
    explained = (time.perf_counter() - began) * 1e3 - took
    result = _result(history, judged, anomalies, took, explained)
    witness = {item.key: item.witness for item in judged if item.witness is not None}
    return replace(result, witness=witness, partial=partial)


MANY = 20_000
"""Operations from which on keys are searched side by side: below, one core is as quick."""


def judge_all(history: History, model: Model, budget: Budget, engine: str) -> list[Judged]:
    """Each object's verdict, in the order of the objects.

    Raises:
        UsageError: operations that the model does not have, or no native core.
    """
    with uncollected():
        if ENGINES[engine] is by_native:
            history = columned(history)
        return _judge_parts(partition(history, model), model, budget, engine)


def _judge_parts(
    parts: Mapping[Hashable, Sequence[Operation]], model: Model, budget: Budget, engine: str
) -> list[Judged]:
    """The same, one after the other or side by side.

    Objects are independent and the compiled search holds no lock, so it takes one thread for each
    core; a Python search would only wait for itself.
    """
    search = ENGINES[engine]

    def one(part: tuple[Hashable, Sequence[Operation]]) -> Judged:
        return judge(*part, model, budget, search)

    compiled = search is by_native
    if not compiled or len(parts) < 2 or sum(map(len, parts.values())) < MANY:
        return [one(part) for part in parts.items()]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        try:
            return list(threads.map(one, parts.items()))
        except BaseException:
            # Ctrl-C, or a history that the model cannot read: nobody waits for the others.
            budget.stop()
            threads.shutdown(wait=True, cancel_futures=True)
            raise


def judge(
    key: Hashable,
    operations: Sequence[Operation],
    model: Model,
    budget: Budget,
    engine: Engine = scouted,
) -> Judged:
    """One object's verdict, without words."""
    try:
        budget.look()
        glanced = by_glance(operations, model, budget) if engine is by_native else None
    except LimitReached as limit:
        return Judged(key, operations, limit=limit.words)
    if glanced is not None:
        seen = (glanced.visited, glanced.widest, glanced.search_ns)
        return Judged(key, operations, glanced.witness, glanced.culprit, None, *seen)
    problem = pose(operations, searched(model, engine))
    began = time.thread_time_ns()
    try:
        found = engine(problem, budget)
    except LimitReached as limit:
        return Judged(key, operations, limit=limit.words)
    seen = (found.visited, found.widest, time.thread_time_ns() - began)
    if found.order is None:
        assert found.dead is not None
        culprit = problem.operations[problem.events[found.dead] >> 1]
        return Judged(key, operations, None, culprit, None, *seen)
    if isinstance(problem, ColumnProblem):
        return Judged(key, operations, problem.witness(found.order), None, None, *seen)
    order = [problem.operations[place] for place in found.order]
    witness = tuple(weave(order, idle(operations, problem.operations, model)))
    return Judged(key, operations, witness, None, None, *seen)


def _result(
    history: History,
    judged: Sequence[Judged],
    anomalies: tuple[Anomaly, ...],
    took_ms: float,
    explained_ms: float,
) -> Linearizability:
    """One verdict of all objects: a violation wins over a limit, a limit over success."""
    cut = [item for item in judged if item.limit is not None]
    figures: dict[str, Value] = {
        "operations": len(history),
        "keys": len(judged),
        "visited": sum(item.visited for item in judged),
        "widest": max((item.widest for item in judged), default=0),
        "search_ms": round(sum(item.search_ns for item in judged) / 1e6, 3),
        "check_ms": round(took_ms, 3),
        "explain_ms": round(explained_ms, 3),
    }
    if anomalies:
        return Linearizability(NAME, Verdict.INVALID, anomalies[0].sentence, anomalies, figures)
    if cut:
        reason = (
            f"{len(judged) - len(cut)} of {len(judged)} keys have a legal order; the search on key "
            f"{_show_key(cut[0].key)} stopped at its limit of {cut[0].limit}"
        )
        return Linearizability(NAME, Verdict.UNKNOWN, reason, (), figures, cut[0].limit)
    keys = f"{len(judged):,} key{'s' if len(judged) != 1 else ''}"
    reason = f"{len(history):,} operations on {keys} have a legal order that respects real time"
    return Linearizability(NAME, Verdict.VALID, reason, (), figures)


def _explain(
    judged: Sequence[Judged], model: Model, limits: Limits, *, timed: bool
) -> tuple[tuple[Anomaly, ...], Mapping[Hashable, tuple[int, ...]]]:
    """One anomaly for each object that fails, the earliest first; the first few in full.

    Returns:
        The anomalies, and for those in full the longest legal orders by key.
    """
    bad = [(item, item.culprit) for item in judged if item.culprit is not None]
    bad.sort(key=lambda pair: (pair[1].end or 0, pair[1].index))
    anomalies: list[Anomaly] = []
    partial: dict[Hashable, tuple[int, ...]] = {}
    began = time.perf_counter()
    for item, culprit in bad:
        key = cast("Value", item.key)
        left = began + EXPLAIN_S - time.perf_counter()
        if not anomalies or (len(anomalies) < IN_FULL and left > 0):
            part = Limits(min(limits.time_s, max(left, 0)), limits.memory_bytes)
            anomaly, partial[item.key] = explain(
                key, item.operations, culprit, model, part, timed=timed
            )
        else:
            anomaly = brief(key, item.operations, culprit, model, timed=timed)
        anomalies.append(anomaly)
    return tuple(anomalies), partial


def _show_key(key: Hashable) -> str:
    return show(cast("Value", key))
