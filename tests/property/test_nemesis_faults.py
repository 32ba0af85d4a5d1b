"""Whatever faults meet and whenever the run is cut short: in the end the cluster is whole."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.core.cluster import Cluster
from harness.core.faults import FaultRecord, FaultStep
from harness.core.protocols import Nemesis
from harness.core.rng import derive
from harness.core.units import MILLISECOND, SECOND
from harness.engine.injection import Injector
from harness.engine.journal import Journal
from nemesis.churn import Churn
from nemesis.clock import Clock
from nemesis.disk import Disk
from nemesis.packet import Corrupt, Duplicate, Loss, Rate, Reorder, Slow
from nemesis.partition import Partition
from nemesis.process import Kill, Pause
from nemesis.resources import Resources
from nemesis.restart import Restart
from tests.fakes import FakeCluster, FakeTarget, run

NODES = st.integers(3, 6)
SEEDS = st.integers(0, 2**32)


def families() -> dict[str, Nemesis]:
    made: tuple[Nemesis, ...] = (Partition(), Kill(), Pause(), Clock(), Slow(), Loss())
    made += (Duplicate(), Reorder(), Corrupt(), Rate(), Disk(), Churn(), Restart(), Resources())
    return {nemesis.name: nemesis for nemesis in made}


@dataclass
class VirtualJournal:
    """The injector's journal with the loop's time."""

    told: list[FaultRecord] = field(default_factory=list)

    def now(self) -> int:
        return round(asyncio.get_running_loop().time() * SECOND)

    def fault(self, record: FaultRecord) -> None:
        self.told.append(record)

    def phase(self, name: str) -> None:
        """Nothing here reads the phases."""


def inject(
    cluster: FakeCluster, schedule: tuple[FaultStep, ...], stop_s: float | None = None
) -> dict[str, FaultRecord]:
    """Runs a schedule in virtual time, cancelled after ``stop_s``."""

    async def story() -> dict[str, FaultRecord]:
        injector = Injector(
            cast(Cluster, cluster),
            FakeTarget(cluster),
            families(),
            cast(Journal, VirtualJournal()),
        )
        task = asyncio.create_task(injector.run(schedule))
        if stop_s is not None:
            await asyncio.sleep(stop_s)
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return injector.records

    return run(story())


def merged(chosen: list[str], count: int, seed: int, load_s: int) -> tuple[FaultStep, ...]:
    nodes = tuple(f"n{number}" for number in range(1, count + 1))
    made = families()
    steps = [
        step
        for name in chosen
        for step in made[name].plan(derive(seed, name), nodes, load_s * SECOND, None)
    ]
    return tuple(sorted(steps, key=lambda step: (step.at_ns, step.id)))


CHOSEN = st.lists(st.sampled_from(sorted(families())), min_size=1, max_size=6, unique=True)


@settings(max_examples=25)
@given(CHOSEN, NODES, SEEDS)
def test_every_planned_fault_bites_and_heals(chosen: list[str], count: int, seed: int) -> None:
    # A server that others keep down while its disk is bad writes nothing: that is not proven.
    assume(not {"churn", "disk"} <= set(chosen))
    cluster = FakeCluster(tuple(f"n{number}" for number in range(1, count + 1)))
    schedule = merged(chosen, count, seed, 30)
    records = inject(cluster, schedule)
    assert records.keys() == {step.id for step in schedule}
    for record in records.values():
        assert record.error is None, record
        assert record.bit.holds, record
        assert record.healed.holds, record
    assert cluster.is_whole()


@settings(max_examples=40)
@given(CHOSEN, NODES, SEEDS, st.integers(0, 30_000))
def test_a_run_that_is_cut_short_leaves_nothing(
    chosen: list[str], count: int, seed: int, stop_ms: int
) -> None:
    cluster = FakeCluster(tuple(f"n{number}" for number in range(1, count + 1)))
    records = inject(cluster, merged(chosen, count, seed, 30), stop_ms / 1000)
    assert cluster.is_whole()
    for record in records.values():
        if record.ended_ns is not None:
            assert record.healed.holds, record


@st.composite
def tangles(draw: st.DrawFn) -> tuple[FaultStep, ...]:
    """Faults of few families that begin and end in any order, on top of each other."""
    made, nodes, steps = families(), ("n1", "n2", "n3", "n4"), []
    names = draw(
        st.sampled_from(
            [
                ("kill", "pause"),
                ("partition",),
                ("slow", "loss"),
                ("slow", "duplicate", "reorder", "corrupt", "rate"),
                ("clock",),
                ("disk", "kill", "pause"),
                ("churn", "kill"),
                ("churn", "partition"),
            ]
        )
    )
    for number in range(draw(st.integers(2, 6))):
        family = draw(st.sampled_from(names))
        rng = derive(draw(SEEDS), family)
        step = made[family].plan(rng, nodes, 8 * SECOND, None)[0]
        at, duration = draw(st.integers(0, 3000)), draw(st.integers(1, 3000))
        steps.append(FaultStep(f"X{number}", at * MILLISECOND, duration * MILLISECOND, step.fault))
    return tuple(steps)


@settings(max_examples=60)
@given(tangles(), st.none() | st.integers(0, 6_000))
def test_tangled_faults_heal(schedule: tuple[FaultStep, ...], stop_ms: int | None) -> None:
    cluster = FakeCluster(("n1", "n2", "n3", "n4"))
    records = inject(cluster, schedule, None if stop_ms is None else stop_ms / 1000)
    assert cluster.is_whole()
    for record in records.values():
        if record.ended_ns is not None:
            assert record.healed.holds, record
