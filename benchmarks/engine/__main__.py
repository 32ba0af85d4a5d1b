"""Operations a second of one core, against a client that does nothing, and what recording costs.

    python -m benchmarks.engine [--runs 5] [--seconds 2] [--workload register]

The clients, the workload and the run's folder are those of ``harness run``: every event gets its
index and time, is encoded, and is in the kernel's hands before the call that it announces is made,
so that a killed harness loses nothing. CPU time is counted (user and system), of this process
alone: on a shared machine the wall clock says how busy the others are. Of the runs the best counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import cast

from harness.cli import planning
from harness.core.cluster import Cluster
from harness.core.faults import FaultRecord
from harness.core.operations import Call, Completion, Event, Outcome
from harness.core.plan import RunSpec
from harness.core.protocols import Client, NodeStatus, Target
from harness.engine.clients import Pace, Worker
from harness.engine.journal import Journal, Recorder
from harness.store.run import RunFolder

DONE = Completion(Outcome.OK)
CALLS = 200
"""Calls between two looks at the clock, in the raw measurement of a write."""


class Idle:
    """A client, and the target that hands it out."""

    async def invoke(self, call: Call, timeout_s: float) -> Completion:
        """Does nothing, and it is done."""
        return DONE

    async def close(self) -> None:
        """Nothing to close."""

    def client(self, cluster: Cluster, node: str, process: int) -> Client:
        """Itself."""
        return self


class Nowhere:
    """A recorder that forgets."""

    def begin(self, origin_ns: int) -> None: ...

    def event(self, event: Event) -> None: ...

    def fault(self, record: FaultRecord) -> None: ...

    def sample(self, at_ns: int, statuses: Mapping[str, NodeStatus]) -> None: ...


@dataclass(frozen=True, slots=True)
class Measured:
    operations: int
    cpu_s: float

    @property
    def rate(self) -> float:
        """Operations a second of one core."""
        return self.operations / self.cpu_s


def measure(spec: RunSpec, seconds: float, recorder: Recorder) -> Measured:
    """One run of the load, without a cluster."""
    workload = planning.make_workload(spec)

    async def load() -> Measured:
        journal = Journal(recorder, ())
        journal.begin_load()
        pace = Pace(0, spec.concurrency)
        workers = [
            Worker(
                thread=thread,
                node=f"n{thread % spec.nodes + 1}",
                cluster=cast(Cluster, None),
                target=cast(Target, Idle()),
                workload=workload,
                journal=journal,
                pace=pace,
                timeout_s=5.0,
                stride=spec.concurrency,
            )
            for thread in range(spec.concurrency)
        ]
        before = time.process_time()
        await asyncio.gather(*(worker.run(seconds) for worker in workers))
        return Measured(len(journal.operations), time.process_time() - before)

    return asyncio.run(load())


def recorded(spec: RunSpec, seconds: float, out: Path) -> Measured:
    """The same into a run's folder, as ``harness run`` makes it."""
    folder = RunFolder.create(out, spec)
    try:
        return measure(spec, seconds, folder)
    finally:
        folder.close()


def write_us(out: Path) -> float:
    """CPU microseconds of one ``write`` of a line's length to a file there."""
    line = b"x" * 100
    with (out / "raw").open("wb", buffering=0) as file:
        before = time.process_time()
        for _ in range(CALLS * 100):
            os.write(file.fileno(), line)
        return (time.process_time() - before) / (CALLS * 100) * 1e6


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--workload", action="append", default=None)
    options = parser.parse_args()
    for name in options.workload or ["register", "set", "counter"]:
        spec = RunSpec(workload=name, rate=0)
        rows: dict[str, list[float]] = {"recorded": [], "not recorded": []}
        writes = []
        for _ in range(options.runs):
            with TemporaryDirectory() as folder:
                rows["recorded"].append(recorded(spec, options.seconds, Path(folder)).rate)
                rows["not recorded"].append(measure(spec, options.seconds, Nowhere()).rate)
                writes.append(write_us(Path(folder)))
        best = {words: max(rates) for words, rates in rows.items()}
        cost = 1e6 / best["recorded"] - 1e6 / best["not recorded"]
        print(
            f"{name:12} {best['recorded']:8,.0f} operations/s of one core "
            f"(median {median(rows['recorded']):,.0f}); not recorded {best['not recorded']:,.0f}; "
            f"recording {cost:.1f} µs an operation, {2 * min(writes):.1f} of them its two writes"
        )


if __name__ == "__main__":
    main()
