"""Virtual seconds a second of one core, of whole runs and of the bare loop, in one table.

    python -m benchmarks.simulation [--runs 3] [--time-limit 60] [--profile]

Every row is measured in a process of its own, the rows take turns, and the best run counts: what a
shared machine does meanwhile only ever adds time. ``--profile`` prints which rooms the time of the
first row goes to. Of what is compiled it sees only that it was called; ``QUORUM_NATIVE=0`` shows
what goes on in there.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import harness.compiled  # before anything that is compiled
from harness.cli.session import run_quietly
from harness.cli.trial import prepare
from harness.core.plan import RunSpec
from harness.runtime.sim import SimLoop

ROOMS = (
    ("target/raft/", "Raft's core"),
    ("target/adapters/", "the simulated server, the client"),
    ("target/", "node, storage, codec, trace"),
    ("harness/runtime/sim/", "loop, network, machines, disks"),
    ("harness/engine/", "engine"),
    ("harness/store/", "the run's folder"),
    ("harness/check/", "checks, online and after"),
    ("nemesis/", "faults"),
    ("reports/", "report"),
    ("harness/", "the rest of the harness"),
    ("workloads/", "workload"),
    ("asyncio/", "asyncio"),
    ("json/", "json"),
)

COMPILED = (
    ("'Agenda' objects", "nodes, network, machines, disks, compiled"),
    ("'Watch' objects", "checks, compiled"),
    ("harness.core.traces.", "checks, compiled"),
)
"""Of a call into what is compiled: a part of its name."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row. ``rate`` is over all clients, in operations a second; 0 nodes is the bare loop."""

    words: str
    nodes: int = 5
    rate: float = 50.0
    nemeses: tuple[str, ...] = ()
    intensity: str = "normal"
    compiled: bool = True
    """Where it is installed (docs/compiled.md)."""


CASES = (
    Case("5 nodes, 50 operations/s, no faults"),
    Case("the same, not compiled", compiled=False),
    Case("5 nodes, 50 operations/s, partition,kill,pause", nemeses=("partition", "kill", "pause")),
    Case(
        "5 nodes, 50 operations/s, partition,kill,pause, brutal",
        nemeses=("partition", "kill", "pause"),
        intensity="brutal",
    ),
    Case("5 nodes, 500 operations/s, no faults", rate=500.0),
    Case("3 nodes, 50 operations/s, no faults", nodes=3),
)


def run(case: Case, time_limit_s: float) -> tuple[float, float]:
    """(virtual seconds, seconds of this process) of a whole run: engine, checks, files, report."""
    spec = RunSpec(
        runtime="sim",
        nodes=case.nodes,
        rate=case.rate,
        nemeses=case.nemeses,
        intensity=case.intensity,
        time_limit_s=time_limit_s,
        seed=1,
    )
    with TemporaryDirectory() as folder:
        plan, parts = prepare(spec)
        began = time.process_time()
        record = run_quietly(plan, parts, Path(folder))
        return record.duration_ns / 1e9, time.process_time() - began


def bare_events(count: int = 500_000) -> float:
    """Events of the world a second, on the loop alone."""
    loop = SimLoop()
    left = count

    def again() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.at(loop.now_ns + 1, again)
        else:
            loop.call_soon(loop.stop)

    loop.at(loop.now_ns, again)
    began = time.process_time()
    loop.run_forever()
    spent = time.process_time() - began
    loop.close()
    return count / spent


def measured(number: int, time_limit_s: float) -> tuple[float, float]:
    """A row in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.simulation", "--row", str(number)]
    command += ["--time-limit", str(time_limit_s)]
    env = dict(os.environ) if CASES[number].compiled else {**os.environ, "QUORUM_NATIVE": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    virtual, spent = json.loads(done.stdout)
    return virtual, spent


def profile(time_limit_s: float) -> None:
    """Where the time of the first row goes, by room. Profiling slows small functions down most."""
    profiler = cProfile.Profile()
    run(CASES[0], 5.0)  # what is imported late
    profiler.enable()
    run(CASES[0], time_limit_s)
    profiler.disable()
    stats = pstats.Stats(profiler)
    spent: Counter[str] = Counter()
    for (path, _, name), (_, _, own, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        room = next((words for part, words in ROOMS if part in path), "the interpreter")
        room = next((words for part, words in COMPILED if part in name), room)
        spent[room] += own
    total = sum(spent.values())
    for room, own in spent.most_common():
        print(f"{own / total:6.1%}  {room}")


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--row", type=int)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.profile:
        profile(given.time_limit)
        return
    if given.row is not None:
        run(CASES[given.row], 5.0)  # what is imported late
        print(json.dumps(run(CASES[given.row], given.time_limit)))
        return
    best: dict[int, tuple[float, float]] = {}
    for _ in range(given.runs):
        for number in range(len(CASES)):
            now = measured(number, given.time_limit)
            best[number] = min(best.get(number, now), now, key=lambda pair: pair[1] / pair[0])
    first = best[0][0] / best[0][1]
    print(f"simulation: {harness.compiled.MISSING or 'compiled'}")
    print("virtual s/s   ratio   what")
    for number, case in enumerate(CASES):
        virtual, spent = best[number]
        print(f"{virtual / spent:11.1f}   {virtual / spent / first:5.2f}   {case.words}")
    print(f"the bare loop: {max(bare_events() for _ in range(3)) / 1e6:.2f} million events/s")


if __name__ == "__main__":
    main()
