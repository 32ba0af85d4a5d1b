"""How long the searches take, side by side.

    python -m benchmarks.checker [--quick] [--limit 20] [--engine python --engine wgl]

One line for each family of histories: processor milliseconds of each engine (the check alone, the
explanation of a violation left out) and the ratios to the first engine. Ratios carry over from
machine to machine, milliseconds do not.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Sequence

from benchmarks.checker.families import Family, history
from harness.check.catalogue import parse_model
from harness.check.engines import ENGINES, present
from harness.check.limits import Budget
from harness.check.linearizability import judge
from harness.core.operations import History
from harness.core.protocols import Limits

QUICK = (
    Family(100, 5),
    Family(100, 5, cas=True),
    Family(1_000, 5),
    Family(1_000, 5, lost=10, stale=True),
    Family(1_000, 5, lost=50, stale=True),
    Family(1_000, 5, lost=50, unique=True, cas=True, stale=True),
    Family(1_000, 5, lost=50, cas=True),
    Family(10_000, 10),
)
FULL = (
    *QUICK,
    Family(1_000, 10, lost=50, cas=True),
    Family(1_000, 5, lost=20, cas=True, stale=True),
    Family(10_000, 10, stale=True),
    Family(10_000, 30),
    Family(10_000, 30, unique=True),
    Family(100_000, 10),
    Family(100_000, 10, unique=True),
    Family(100_000, 10, cas=True),
)
_ENOUGH_S = 1.0
"""Repeated until this much time has been spent, at most five times; the least counts."""


def measure(subject: History, engine: str, limits: Limits) -> tuple[float, str]:
    """Processor milliseconds (the least of some runs) and the verdict."""
    model = parse_model("cas-register")
    best, spent, verdict = float("inf"), 0.0, ""
    for _ in range(5):
        gc.collect()
        began = time.process_time()
        judged = judge(None, subject.operations, model, Budget(limits), ENGINES[engine])
        took = time.process_time() - began
        best, spent = min(best, took), spent + took
        verdict = "valid" if judged.witness is not None else "invalid"
        if judged.limit is not None:
            return took * 1e3, "unknown"
        if spent > _ENOUGH_S:
            break
    return best * 1e3, verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; exit code 1 if two engines disagree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the long ones")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for one check")
    parser.add_argument("--engine", action="append", choices=[*ENGINES], default=None)
    options = parser.parse_args(arguments)
    engines = options.engine or [name for name in present() if name != "auto"]
    limits = Limits(time_s=options.limit)
    print("| history | verdict | " + " | ".join(f"{name} ms" for name in engines), end=" | ")
    print(" | ".join(f"{name} / {engines[0]}" for name in engines[1:]) + " |")
    print("|---" * (2 * len(engines) + 1) + "|")
    agreed = True
    for family in QUICK if options.quick else FULL:
        subject = history(family)
        results = [measure(subject, engine, limits) for engine in engines]
        known = {verdict for _, verdict in results if verdict != "unknown"}
        agreed &= len(known) <= 1
        cells = [
            f"{took:.1f}" if verdict != "unknown" else f"unknown at {options.limit:g} s"
            for took, verdict in results
        ]
        ratios = [
            f"{took / results[0][0]:.1f}" if verdict != "unknown" else "–"
            for took, verdict in results[1:]
        ]
        words = "≠".join(sorted(known)) or "unknown"
        print(f"| {family.name} | {words} | " + " | ".join([*cells, *ratios]) + " |", flush=True)
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
