"""The phases of a run, in order, each undone in reverse however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.core.cluster import Cluster, Provision, Runtime
from harness.core.errors import EnvironmentFailure, NodeFailure
from harness.core.events import Subscriber
from harness.core.plan import FIRST_FINAL, Plan
from harness.core.protocols import HasLeader, Nemesis, Target, Workload, capability_of
from harness.core.verdict import Anomaly, CheckResult, Verdict
from harness.engine.clients import GRACE_S, Pace, Pacing, Worker, perform
from harness.engine.finish import to_the_end
from harness.engine.injection import Injector
from harness.engine.journal import Journal, Recorder
from harness.engine.patience import Patience
from harness.engine.scripts import Scripted

ON_DISKS = frozenset({"disk", "power", "io"})
"""Capabilities for which nodes need disks of the harness's own."""
READY_LIMIT_S = 30.0
SAMPLE_PERIOD_S = 0.5
WATCH_PERIOD_S = 0.1


@dataclass(frozen=True, slots=True)
class Parts:
    """The pieces a plan names, made: the engine is handed objects, never names."""

    runtime: Runtime
    target: Target
    workload: Workload
    nemeses: Mapping[str, Nemesis]


class Watch(Protocol):
    """Looks at the history while the load goes on."""

    async def until_stop(self, journal: Journal) -> None:
        """Tells the journal what it sees; returns only when the load has to stop.

        It is cancelled when the load is over.
        """


@dataclass(slots=True)
class Outcome:
    """What the recorder was not told: when it all was over, and whether the cluster came back.

    ``origin_ns`` is None when the load never began.
    """

    origin_ns: int | None = None
    duration_ns: int = 0
    liveness: CheckResult | None = None


async def conduct(
    plan: Plan,
    parts: Parts,
    recorder: Recorder,
    folder: Path,
    run_id: str,
    subscribers: tuple[Subscriber, ...] = (),
    outcome: Outcome | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Runs ``plan`` from nothing to nothing; nodes' homes stay in ``folder/<node>``.

    When ``watch`` says so the load ends early: calls that are under way come to their end, faults
    are healed, and recovery and final reads follow as ever, so that the record is whole.

    ``outcome`` is filled in as the run goes on, so that a caller who cancels has what there is.

    Raises:
        EnvironmentFailure: the cluster could not be built or did not start to serve.
        asyncio.CancelledError: after everything was healed and torn down.
    """
    outcome = outcome if outcome is not None else Outcome()
    journal = Journal(recorder, subscribers)
    journal.phase("set-up")
    request = Provision(
        run_id,
        plan.nodes,
        folder,
        plan.spec.firewall,
        parts.target,
        plan.spec.seed,
        disks=not ON_DISKS.isdisjoint(_capabilities(plan, parts)),
    )
    async with parts.runtime.provision(request) as cluster:
        for words in cluster.notes:
            journal.note(words)
        await _start(cluster, parts.target)
        injector = Injector(cluster, parts.target, parts.nemeses, journal)
        journal.begin_load()
        outcome.origin_ns = journal.origin_ns
        journal.phase("warm-up" if plan.schedule else "load")
        sampler = asyncio.create_task(_sample(cluster, parts.target, journal), name="sampler")
        try:
            try:
                await _load(plan, parts, cluster, injector, journal, watch)
            finally:
                journal.abandon("the run ended before the answer")
            outcome.liveness = await _recover(plan, parts, cluster, journal, injector)
            await _final_reads(plan, parts, cluster, journal)
        finally:
            sampler.cancel()
            with suppress(asyncio.CancelledError):
                await sampler
            outcome.duration_ns = journal.now()
            journal.phase("tear-down")
            await to_the_end(_stop(cluster))
    return outcome


def _capabilities(plan: Plan, parts: Parts) -> Iterator[str]:
    for name in plan.spec.nemeses:
        family, _, narrowing = name.partition(":")
        yield capability_of(parts.nemeses[family], narrowing)


async def _start(cluster: Cluster, target: Target) -> None:
    async def launch(node: str) -> None:
        await cluster.processes.launch(node, target.server(cluster.place(node)))

    with _first_cause():
        async with asyncio.TaskGroup() as group:
            for node in cluster.nodes:
                group.create_task(launch(node))
    with _first_cause():
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_watch(cluster))
            await target.await_ready(cluster, READY_LIMIT_S)
            watch.cancel()


async def _watch(cluster: Cluster) -> None:
    """Nobody hurts the nodes before the load: a server that ends now never will serve.

    Raises:
        NodeFailure: as soon as one is gone, with the end of its log.
    """
    while True:
        for node in cluster.nodes:
            if (await cluster.processes.state(node)).state == "gone":
                raise NodeFailure(f"{node} does not start{_last_words(cluster, node)}")
        await asyncio.sleep(WATCH_PERIOD_S)


def _last_words(cluster: Cluster, node: str) -> str:
    """The last line of a node's log, to end a sentence with."""
    try:
        lines = (cluster.home(node) / "log.txt").read_text(errors="replace").split("\n")
    except OSError:
        return ""
    said = [line for line in lines if line.strip()]
    return f": its log ends with: {said[-1].strip()}" if said else ": its log is empty"


async def _load(
    plan: Plan,
    parts: Parts,
    cluster: Cluster,
    injector: Injector,
    journal: Journal,
    watch: Watch | None,
) -> None:
    spec = plan.spec
    workload = parts.workload
    pace: Pacing = Pace(spec.rate, spec.concurrency)
    nodes = plan.nodes
    if isinstance(workload, Scripted):
        pace, nodes = workload, workload.script.clients
    workers = [
        Worker(
            thread=thread,
            node=nodes[thread % len(nodes)],
            cluster=cluster,
            target=parts.target,
            workload=parts.workload,
            journal=journal,
            pace=pace,
            timeout_s=spec.operation_timeout_s,
            stride=spec.concurrency,
        )
        for thread in range(spec.concurrency)
    ]
    stop = asyncio.Event()
    with _first_cause():
        async with asyncio.TaskGroup() as group:
            nemesis = group.create_task(injector.run(plan.schedule), name="nemesis")
            clients = [
                group.create_task(
                    worker.run(spec.time_limit_s, lambda: not injector.done, stop.is_set),
                    name=f"client {worker.thread}",
                )
                for worker in workers
            ]
            if watch is not None:
                watching = group.create_task(_watched(watch, journal, stop, injector), name="watch")
                await asyncio.wait([nemesis, *clients])
                watching.cancel()


async def _watched(watch: Watch, journal: Journal, stop: asyncio.Event, injector: Injector) -> None:
    """Stops clients and faults when the watch says so."""
    await watch.until_stop(journal)
    stop.set()
    injector.stop()


@contextmanager
def _first_cause() -> Iterator[None]:
    """Side-by-side tasks fail as a group; what a person needs is the first that failed."""
    try:
        yield
    except BaseExceptionGroup as group:
        cause: BaseException = group
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        raise cause from group


async def _sample(cluster: Cluster, target: Target, journal: Journal) -> None:
    if not isinstance(target, HasLeader):
        return
    while True:
        journal.sample(await target.statuses(cluster, SAMPLE_PERIOD_S))
        await asyncio.sleep(SAMPLE_PERIOD_S)


async def _recover(
    plan: Plan, parts: Parts, cluster: Cluster, journal: Journal, injector: Injector
) -> CheckResult:
    """Waits until the healed cluster serves again: a verdict of its own.

    What a cluster owes is owed when it was healed: while a fault is still in force, that it does
    not serve says nothing.
    """
    journal.phase("recovery")
    limit_s = plan.spec.recovery_timeout_s
    healed_ns = journal.now()
    try:
        await parts.target.await_ready(cluster, limit_s)
        await _all_alive(cluster)
    except NodeFailure as failure:
        words = str(failure).splitlines()[0]
        sick = [record.id for record in injector.records.values() if not record.healed.holds]
        if sick:
            return CheckResult(
                checker="liveness",
                verdict=Verdict.UNKNOWN,
                reason=f"not serving, but {' '.join(sick)} could not be healed: {words}",
            )
        anomaly = Anomaly(
            kind="no progress after the heal",
            sentence=f"Every fault was healed, but the cluster does not serve: {words}",
            at_ns=journal.now(),
        )
        return CheckResult(
            checker="liveness",
            verdict=Verdict.INVALID,
            reason=f"not serving {limit_s:.0f} s after the last heal: {words}",
            anomalies=(anomaly,),
        )
    waited_ms = round((journal.now() - healed_ns) / 1e6)
    return CheckResult(
        checker="liveness",
        verdict=Verdict.VALID,
        reason=f"every node served {waited_ms} ms after the load ended",
        figures={"recovery_ms": waited_ms},
    )


async def _all_alive(cluster: Cluster) -> None:
    for node in cluster.nodes:
        state = await cluster.processes.state(node)
        if state.state == "gone":
            raise NodeFailure(f"{node} died by itself{_last_words(cluster, node)}")


async def _final_reads(plan: Plan, parts: Parts, cluster: Cluster, journal: Journal) -> None:
    journal.phase("final reads")
    timeout_s = plan.spec.operation_timeout_s
    # Numbers no load process ever had: threads count in strides of the concurrency from 0.
    process = FIRST_FINAL
    patience = Patience(timeout_s + GRACE_S)
    for node, call in parts.workload.final():
        at = node or plan.nodes[process % len(plan.nodes)]
        client = parts.target.client(cluster, at, process)
        try:
            completion = await perform(journal, client, process, at, call, timeout_s, patience)
        finally:
            await client.close()
        parts.workload.ended(call, completion)
        process += 1
    patience.close()


async def _stop(cluster: Cluster) -> None:
    """Stops servers in an orderly way, so that logs and traces are whole."""

    async def stop(node: str) -> None:
        with suppress(EnvironmentFailure, OSError, TimeoutError):
            await cluster.processes.resume(node)
            await cluster.processes.stop(node, 2.0)

    await asyncio.gather(*(stop(node) for node in cluster.nodes))
