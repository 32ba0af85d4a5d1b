"""Every family on real nodes of the reference cluster, in namespaces: it bites, and it heals."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.core.cluster import Cluster, Provision
from harness.core.faults import FaultSpec
from harness.core.operations import Call
from harness.core.protocols import FaultContext, Nemesis, Target, TargetOptions
from harness.core.values import Value
from harness.runtime.netns import NetnsRuntime
from nemesis.churn import Churn
from nemesis.clock import Clock
from nemesis.disk import Disk
from nemesis.membership import Membership
from nemesis.orders import Compaction, Transfer
from nemesis.packet import Corrupt, Duplicate, Loss, Rate, Reorder, Slow
from nemesis.partition import Partition
from nemesis.process import Kill, Pause, Power
from nemesis.resources import Resources
from nemesis.restart import Restart
from target.adapters.raft import RaftTarget
from tests.conftest import unavailable

pytestmark = pytest.mark.netns

NODES = ("n1", "n2", "n3")


@dataclass(frozen=True)
class Real:
    """Three servers that run, and the loop that they are driven from."""

    cluster: Cluster
    target: Target
    runner: asyncio.Runner


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    runtime = NetnsRuntime()
    missing = runtime.missing() or runtime.lacks("disk") or runtime.lacks("resources")
    if missing:
        unavailable(f"netns: {missing}")
    target = RaftTarget(TargetOptions())
    folder: Path = tmp_path_factory.mktemp("nemesis")
    with asyncio.Runner() as runner:
        context = runtime.provision(Provision(secrets.token_hex(4), NODES, folder, disks=True))
        cluster = runner.run(context.__aenter__())
        try:
            for node in NODES:
                runner.run(cluster.processes.launch(node, target.server(cluster.place(node))))
            yield Real(cluster, target, runner)
        finally:
            runner.run(context.__aexit__(None, None, None))


def wanted(**params: Value) -> dict[str, Value]:
    return {"order": NODES, **params}


CASES: tuple[tuple[Nemesis, dict[str, Value]], ...] = (
    (Partition(), wanted(shape="leader", way="both")),
    (Partition(), wanted(shape="one-way-one", way="out")),
    (Partition(), wanted(shape="one-way-one", way="in")),
    (Partition(), wanted(shape="one-way-majority-ring", way="in")),
    (Partition(), wanted(shape="random", links=(("n1", "n2"), ("n3", "n1")))),
    (Partition(), wanted(shape="one", way="both", reject=True)),
    (Partition(), wanted(shape="leader", way="both", cut_ms=(300,), whole_ms=(200,))),
    (Partition(), {"shape": "swizzle", "order": ("n1", "n2"), "back": ("n1", "n2"), "gap_ms": 50}),
    (Partition(), wanted(shape="clients", who="leader")),
    (Kill(), wanted(who="leader", gap_ms=0)),
    (Kill(), wanted(who="all", gap_ms=100)),
    (Pause(), wanted(who="leader", gap_ms=0)),
    (Pause(), wanted(who="majority", gap_ms=100)),
    (Pause(), wanted(who="all", gap_ms=100, pause_ms=200)),
    (Clock(), wanted(who="one", offset_ms=-2500)),
    (Clock(), wanted(who="all", rate=2.0)),
    (Clock(), wanted(who="one", strobe_ms=900, period_ms=90)),
    (Clock(), wanted(who="one", offset_ms=-2500, hold_ms=300)),
    (Clock(), wanted(who="all", monotonic_rate=0.5)),
    (Slow(), wanted(where="leader", delay_ms=60, jitter_ms=20)),
    (Slow(), wanted(where="one-way", delay_ms=60, jitter_ms=20)),
    (Loss(), wanted(where="all", percent=20)),
    (Duplicate(), wanted(where="all", percent=40, late_ms=50)),
    (Reorder(), wanted(where="one", percent=40, late_ms=50)),
    (Corrupt(), wanted(where="all", percent=20)),
    (Rate(), wanted(where="one-way", kbit_per_s=256)),
    (Power(), wanted(who="leader", gap_ms=0)),
    (Power(), wanted(who="all", gap_ms=100)),
    (Disk(), wanted(who="one", gap_ms=0, how="flip")),
    (Disk(), wanted(who="leader", gap_ms=0, how="full")),
    (Disk(), wanted(who="one", gap_ms=0, how="io-error")),
    (Disk(), wanted(who="leader", gap_ms=0, how="read-only")),
    (Disk(), wanted(who="all", gap_ms=0, how="slow", slow_ms=50)),
    (Membership(), wanted(how="wipe", who="leader", gap_ms=0)),
    (Membership(), wanted(how="remove", who="one", gap_ms=0)),
    (Transfer(), wanted(moves=2)),
    (Compaction(), wanted(who="all", gap_ms=0)),
    (Restart(), wanted(who="one", gap_ms=0, how="orderly")),
    (Restart(), wanted(who="all", gap_ms=0, how="rolling")),
    (Restart(), wanted(who="leader", gap_ms=0, how="crash-loop", lives_ms=(300, 20))),
    (Restart(), wanted(who="all", gap_ms=0, how="late")),
    (Resources(), wanted(who="leader", gap_ms=0, how="cpu", percent=1)),
    (Resources(), wanted(who="one", gap_ms=0, how="files")),
    (Resources(), wanted(who="all", gap_ms=0, how="io", kbytes_per_s=200)),
    (Churn(), {"how": "cut", "down": 2, "delays_ms": (0, 20), "back": (1, 0), "gap_ms": 50}),
    (Churn(), {"how": "kill", "down": 2, "delays_ms": (9, 0, 0), "back": (0, 2, 1), "gap_ms": 0}),
)


async def write(real: Real, node: str) -> None:
    """Some writes at a node, whatever becomes of them."""
    client = real.target.client(real.cluster, node, 0)
    for value in range(20):
        await client.invoke(Call("write", "k", value), 0.05)
    await client.close()


@pytest.mark.parametrize(
    ("nemesis", "params"),
    CASES,
    ids=[f"{nemesis.name}-{number}" for number, (nemesis, _) in enumerate(CASES)],
)
def test_it_bites_and_heals(real: Real, nemesis: Nemesis, params: dict[str, Value]) -> None:
    async def story() -> None:
        await real.target.await_ready(real.cluster, 30)
        fault = nemesis.fault(FaultSpec(nemesis.name, params))
        context = FaultContext(real.cluster, real.target, "F1")
        try:
            resolved = await fault.begin(context)
            # Long enough for heartbeats to meet it, and for writes.
            await asyncio.gather(asyncio.sleep(1), *(write(real, node) for node in NODES))
            bit = await fault.prove(context)
        finally:
            healed = await fault.end(context)
        assert bit.holds, bit.words
        assert healed.holds, healed.words
        assert resolved.data.get("leader", "somebody") is not None

    real.runner.run(story())


def test_the_cluster_is_whole_in_the_end(real: Real) -> None:
    async def story() -> None:
        await real.target.await_ready(real.cluster, 30)
        passed = await real.cluster.network.probe(
            [(one, two) for one in NODES for two in NODES if one != two], 1.0
        )
        assert all(passed.values())
        for node in NODES:
            assert (await real.cluster.processes.state(node)).state == "running"

    real.runner.run(story())
