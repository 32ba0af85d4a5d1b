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
from harness.core.protocols import FaultContext, Nemesis, Target, TargetOptions
from harness.core.values import Value
from harness.runtime.netns import NetnsRuntime
from nemesis.clock import Clock
from nemesis.packet import Loss, Slow
from nemesis.partition import Partition
from nemesis.process import Kill, Pause
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
    missing = runtime.missing()
    if missing:
        unavailable(f"netns: {missing}")
    target = RaftTarget(TargetOptions())
    folder: Path = tmp_path_factory.mktemp("nemesis")
    with asyncio.Runner() as runner:
        context = runtime.provision(Provision(secrets.token_hex(4), NODES, folder))
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
    (Kill(), wanted(who="leader", gap_ms=0)),
    (Kill(), wanted(who="all", gap_ms=100)),
    (Pause(), wanted(who="leader", gap_ms=0)),
    (Pause(), wanted(who="majority", gap_ms=100)),
    (Clock(), wanted(who="one", offset_ms=-2500)),
    (Clock(), wanted(who="all", rate=2.0)),
    (Clock(), wanted(who="one", strobe_ms=900, period_ms=90)),
    (Slow(), wanted(where="leader", delay_ms=60, jitter_ms=20)),
    (Slow(), wanted(where="one-way", delay_ms=60, jitter_ms=20)),
    (Loss(), wanted(where="all", percent=20)),
)


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
            # Long enough for heartbeats to meet it.
            await asyncio.sleep(1)
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
