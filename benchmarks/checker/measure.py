"""One engine on one family, in a process of its own: what it takes there is its alone."""

from __future__ import annotations

import gc
import os
import pickle
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.checker.families import Family
from harness.check.catalogue import parse_model
from harness.check.engines import ENGINES, searched
from harness.check.limits import Budget, LimitReached, uncollected
from harness.check.models import Model
from harness.check.problem import Problem, partition, pose
from harness.core.operations import History
from harness.core.protocols import Limits

_ENOUGH_S = 0.5
"""Repeated until this much time has been spent, at most five times; the least counts."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What an engine made of a family.

    Attributes:
        verdicts: one letter for each history: ``v`` valid, ``i`` invalid, ``u`` unknown.
        search_ms: the searches alone, wall clock, the sum over the histories.
        pose_ms: from operations to the problems that are searched.
        bytes: what the process grew by beyond the loaded histories.
    """

    verdicts: str
    search_ms: float
    pose_ms: float
    bytes: int


def measure(family: Family, engine: str, limits: Limits) -> Measured | str:
    """Forks; what the child found, or in words what became of it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as file:
                pickle.dump(_measure(family, engine, limits), file)
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        data = file.read()
    _, status = os.waitpid(child, 0)
    return pickle.loads(data) if data else f"died ({status})"


def _measure(family: Family, engine: str, limits: Limits) -> Measured:
    model = parse_model(family.model)
    histories = family.make()
    gc.collect()
    gc.freeze()
    before = _resident()
    verdicts, search_ms, pose_ms = "", 0.0, 0.0
    for history in histories:
        verdict, search, posing = _least(history, model, engine, limits)
        verdicts += verdict
        search_ms += search
        pose_ms += posing
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Measured(verdicts, search_ms, pose_ms, max(0, most - before))


def _least(history: History, model: Model, engine: str, limits: Limits) -> tuple[str, float, float]:
    """The verdict, and the least milliseconds of some runs: searching, posing."""
    best, posing, spent, verdict = float("inf"), float("inf"), 0.0, "u"
    posed_as = searched(model, ENGINES[engine])
    for _ in range(5):
        began = time.perf_counter()
        with uncollected():
            problems = [pose(part, posed_as) for part in partition(history, model).values()]
            posed = time.perf_counter()
            verdict = _search(problems, engine, limits)
            ended = time.perf_counter()
        best, posing = min(best, ended - posed), min(posing, posed - began)
        spent += ended - began
        if spent > _ENOUGH_S or verdict == "u":
            break
    return verdict, best * 1e3, posing * 1e3


def _search(problems: Sequence[Problem], engine: str, limits: Limits) -> str:
    budget = Budget(limits)
    try:
        found = [ENGINES[engine](problem, budget) for problem in problems]
    except LimitReached:
        return "u"
    return "i" if any(solution.order is None for solution in found) else "v"


def _resident() -> int:
    """Bytes this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
