"""One engine on one family, in a process of its own: what it takes there is its alone."""

from __future__ import annotations

import gc
import os
import pickle
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.checker.families import Family
from harness.check.catalogue import parse_model
from harness.check.engines import ENGINES, by_native, searched, with_core
from harness.check.limits import Budget, LimitReached
from harness.check.linearizability import Judged, judge_all
from harness.check.models import Model
from harness.check.native import Native, available, columned
from harness.check.problem import partition, pose
from harness.core.operations import History
from harness.core.protocols import Limits

_ENOUGH_S = 0.5
"""Repeated until this much time has been spent, at most so often; the least counts."""
_RUNS, _RUNS_OF_SHORT = 5, 15
_SHORT = 500
"""Operations: the least of few runs of a short history is that of a busy machine."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What an engine made of a family.

    Attributes:
        verdicts: one letter for each history: ``v`` valid, ``i`` invalid, ``u`` unknown.
        search_ms: the searches alone, the sum over the histories; milliseconds of computing, as
            others may be at work on the machine.
        all_ms: from the loaded histories to the verdicts: keys, posing, search, witness.
        bytes: what the process grew by beyond the loaded histories.
    """

    verdicts: str
    search_ms: float
    all_ms: float
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
    histories = [columned(history) for history in family.make()]
    gc.collect()
    gc.freeze()
    before = _resident()
    verdicts, search_ms, all_ms = "", 0.0, 0.0
    for history in histories:
        verdict, search, whole = _least(history, model, engine, limits)
        verdicts += verdict
        search_ms += search
        all_ms += whole
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Measured(verdicts, search_ms, all_ms, max(0, most - before))


def _least(history: History, model: Model, engine: str, limits: Limits) -> tuple[str, float, float]:
    """The verdict, and the least milliseconds of some runs: search alone, and all."""
    least, whole, spent, verdict = float("inf"), float("inf"), 0.0, "u"
    short = len(history) < _SHORT
    for _ in range(_RUNS_OF_SHORT if short else _RUNS):
        began = time.process_time()
        judged = judge_all(history, model, Budget(limits), engine)
        took = time.process_time() - began
        verdict = _verdict(judged)
        whole = min(whole, took)
        least = min(least, sum(item.search_ns for item in judged) / 1e9 if verdict != "u" else took)
        spent += took
        if spent > _ENOUGH_S or verdict == "u":
            break
    compiled = engine == "wgl" or (ENGINES[engine] is by_native and model.register is None)
    if compiled and verdict != "u" and available() is None and spent < 2 * _ENOUGH_S:
        with suppress(LimitReached):
            least = min(least, _asked_before(history, model, engine, limits))
    return verdict, least * 1e3, whole * 1e3


def _asked_before(history: History, model: Model, engine: str, limits: Limits) -> float:
    """Seconds of a second run on the same problems: the first has asked the model, in Python, for
    every transition, which is no part of the algorithms."""
    took = 0.0
    for part in partition(history, model).values():
        problem = pose(part, searched(model, ENGINES[engine]))
        core, budget = Native(problem), Budget(limits)
        for _ in range(2):
            began = time.process_time()
            if engine == "wgl":
                core.plain(budget)
            else:
                with_core(core, problem, budget)
            last = time.process_time() - began
        took += last
    return took


def _verdict(judged: Sequence[Judged]) -> str:
    if any(item.culprit is not None for item in judged):
        return "i"
    return "u" if any(item.limit is not None for item in judged) else "v"


def _resident() -> int:
    """Bytes this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
