"""Times of a cluster of five: until its first acknowledged write, of a partition, of its end.

    python -m benchmarks.cluster [--runtimes netns,docker] [--runs 5] [--nodes 5]

``up``: from nothing (on docker the image is there) until a client's first write is acknowledged.
``cut``: from the wish until the kernel drops what it should, halves against each other, five times
a run; that it does is probed afterwards, outside of the time. ``heal``: the same back. ``gone``:
from the end of use until containers, networks, rules and processes are gone. Wall milliseconds;
the table has the best (what a quiet machine takes), the median and the worst.
``cpu`` is the harness's own CPU time (user and system, of its process) for 1,000 operations of the
register workload by ten clients, at ``--rate`` operations a second (0: as fast as they can),
recorded as a run records them.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from harness.cli import planning
from harness.core.cluster import Cluster, Provision, Runtime
from harness.core.operations import Call, Outcome
from harness.core.plan import RunSpec, node_names
from harness.core.protocols import Target
from harness.engine.clients import Pace, Worker
from harness.engine.journal import Journal
from harness.store.run import RunFolder

CUTS = 5
RETRY_S = 0.005


class Times:
    """Milliseconds by what took them."""

    def __init__(self) -> None:
        self.found: defaultdict[str, list[float]] = defaultdict(list)

    def since(self, began: float, what: str) -> None:
        """Notes what passed since then."""
        self.found[what].append((time.perf_counter() - began) * 1e3)


async def once(runtime: Runtime, spec: RunSpec, load_s: float, times: Times) -> None:
    """One cluster's life."""
    target, nodes = planning.make_target(spec), node_names(spec.nodes)
    with TemporaryDirectory() as folder:
        request = Provision(secrets.token_hex(4), nodes, Path(folder), "auto", target, 0)
        began = time.perf_counter()
        async with runtime.provision(request) as cluster:
            times.since(began, "built")
            await asyncio.gather(
                *(
                    cluster.processes.launch(node, target.server(cluster.place(node)))
                    for node in nodes
                )
            )
            await first_write(cluster, target, nodes)
            times.since(began, "up")
            await cuts(cluster, nodes, times)
            times.found["cpu"].append(await load(cluster, target, spec, load_s, Path(folder)))
            began = time.perf_counter()
        times.since(began, "gone")


async def first_write(cluster: Cluster, target: Target, nodes: tuple[str, ...]) -> None:
    """Until any node has acknowledged one."""
    clients = [target.client(cluster, node, place) for place, node in enumerate(nodes)]
    while True:
        for client in clients:
            done = await client.invoke(Call("write", "first", 1), 2.0)
            if done.outcome is Outcome.OK:
                for other in clients:
                    await other.close()
                return
        await asyncio.sleep(RETRY_S)


async def load(cluster: Cluster, target: Target, spec: RunSpec, load_s: float, out: Path) -> float:
    """CPU milliseconds of this process for 1,000 operations."""
    folder = RunFolder.create(out / "runs", spec)
    journal = Journal(folder, ())
    journal.begin_load()
    workload = planning.make_workload(spec)
    workers = [
        Worker(
            thread=thread,
            node=cluster.nodes[thread % len(cluster.nodes)],
            cluster=cluster,
            target=target,
            workload=workload,
            journal=journal,
            pace=Pace(spec.rate, spec.concurrency),
            timeout_s=5.0,
            stride=spec.concurrency,
        )
        for thread in range(spec.concurrency)
    ]
    before = time.process_time()
    await asyncio.gather(*(worker.run(load_s) for worker in workers))
    took = time.process_time() - before
    folder.close()
    return took * 1e6 / len(journal.operations)


async def cuts(cluster: Cluster, nodes: tuple[str, ...], times: Times) -> None:
    """Halves against each other, and back."""
    half = len(nodes) // 2
    sides = nodes[:half], nodes[half:]
    drops = {node: frozenset(other) for mine, other in (sides, sides[::-1]) for node in mine}
    links = [(a, b) for a in sides[0] for b in sides[1]]
    for _ in range(CUTS):
        began = time.perf_counter()
        await cluster.network.cut("benchmark", drops)
        times.since(began, "cut")
        passed = await cluster.network.probe(links)
        assert not any(passed.values()), passed
        began = time.perf_counter()
        await cluster.network.cut("benchmark", {})
        times.since(began, "heal")
        passed = await cluster.network.probe(links)
        assert all(passed.values()), passed


def table(name: str, times: Times, show: Callable[[str], None] = print) -> None:
    """A line for each figure."""
    for what in ("built", "up", "cut", "heal", "gone", "cpu"):
        found = times.found[what]
        show(
            f"{name:7} {what:6} best {min(found):7.1f} ms  median {median(found):7.1f} ms  "
            f"worst {max(found):7.1f} ms  ({len(found)} times)"
        )


def main() -> None:
    """A table for each runtime."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtimes", default="netns,docker")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--load", type=float, default=5.0, help="seconds of it, for the CPU time")
    options = parser.parse_args()
    for name in options.runtimes.split(","):
        spec = RunSpec(runtime=name, nodes=options.nodes, rate=options.rate)
        runtime = planning.pick_runtime(name).runtime
        times = Times()
        for _ in range(options.runs):
            asyncio.run(once(runtime, spec, options.load, times))
        table(name, times)


if __name__ == "__main__":
    main()
