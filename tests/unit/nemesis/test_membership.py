"""Members that leave, learn and lose their disks; leaders that hand over; logs that are compacted:
planned, and done to the reference cluster in a simulation."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from harness.cli import planning
from harness.cli.planning import Picked
from harness.core.cluster import Provision
from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.faults import FaultSpec
from harness.core.plan import RunSpec
from harness.core.protocols import FaultContext, Members, Nemesis, TargetOptions
from harness.core.units import SECOND
from harness.core.values import Value
from harness.runtime.sim import SimCluster, SimRuntime
from nemesis.membership import ALONE, HOWS, Membership
from nemesis.orders import Compaction, Transfer
from target.adapters.raft import RaftTarget
from tests.fakes import FakeCluster, FakeTarget, context, run

NODES = ("n1", "n2", "n3", "n4")
Body = Callable[[FaultContext], Coroutine[Any, Any, None]]


def in_a_cluster(folder: Path, body: Body) -> None:
    """Runs ``body(context)`` when the reference cluster serves."""
    target = RaftTarget(TargetOptions())

    async def serve() -> None:
        request = Provision("test", NODES, folder, target=target, seed=3)
        async with SimRuntime().provision(request) as cluster:
            for node in NODES:
                await cluster.processes.start(node)
            await target.await_ready(cluster, 10)
            await body(FaultContext(cluster, target, "M1"))
            await target.await_ready(cluster, 10)

    with asyncio.Runner(loop_factory=SimRuntime().new_loop) as runner:
        runner.run(serve())


def target_of(where: FaultContext) -> RaftTarget:
    return cast(RaftTarget, where.target)


async def identities(where: FaultContext) -> dict[str, object]:
    return {
        node: (await target_of(where).status(where.cluster, node))["identity"] for node in NODES
    }


@pytest.mark.parametrize("nodes", [3, 4, 5, 7])
@pytest.mark.parametrize("intensity", ["calm", "normal", "brutal"])
@pytest.mark.parametrize("nemesis", [Membership(), Transfer(), Compaction()])
def test_plans_are_data_that_faults_are_made_of(
    nemesis: Nemesis, intensity: str, nodes: int
) -> None:
    names = tuple(f"n{number}" for number in range(1, nodes + 1))
    for narrowing in (None, *nemesis.narrowings):
        rng = random.Random(f"{narrowing}{nodes}")
        steps = nemesis.plan(rng, names, 60 * SECOND, narrowing, intensity)
        assert steps
        for step in steps:
            nemesis.fault(step.fault)
            assert step.fault.kind == nemesis.name
            assert sorted(cast(tuple[str, ...], step.fault.params["order"])) == list(names)
            if step.fault.params.get("how") in ALONE:
                assert step.fault.params["who"] in ("one", "leader")
        again = nemesis.plan(
            random.Random(f"{narrowing}{nodes}"), names, 60 * SECOND, narrowing, intensity
        )
        assert again == steps


def test_what_cannot_be_planned() -> None:
    rng = random.Random(1)
    with pytest.raises(UsageError, match="at least 3 nodes, not 2"):
        Membership().plan(rng, ("n1", "n2"), 60 * SECOND, None)
    with pytest.raises(UsageError, match="unknown membership: 'join'"):
        Membership().plan(rng, NODES, 60 * SECOND, "join")
    with pytest.raises(UsageError, match="unknown transfer"):
        Transfer().plan(rng, NODES, 60 * SECOND, "join")
    with pytest.raises(UsageError, match="transfer needs at least 2 nodes"):
        Transfer().plan(rng, ("n1",), 60 * SECOND, None)
    params: dict[str, Value] = {"how": "wipe", "who": "majority", "order": NODES, "gap_ms": 0}
    with pytest.raises(UsageError, match="wipe is for one node, not for majority"):
        Membership().fault(FaultSpec("membership", params))
    with pytest.raises(UsageError, match="unknown way 'join'"):
        Membership().fault(FaultSpec("membership", {**params, "how": "join"}))


EXPECTED = {
    "remove": (Members(("n1", "n2", "n4")), "voters: n1 n2 n4"),
    "learner": (Members(("n1", "n2", "n4"), ("n3",)), "voters: n1 n2 n4"),
    "replace": (Members(("n1", "n2", "n4")), "n3 lost "),
    "wipe": (Members(("n1", "n2", "n3", "n4")), "n3 lost "),
}


@pytest.mark.parametrize("how", EXPECTED)
def test_it_bites_and_heals(how: str, tmp_path: Path) -> None:
    members, proof = EXPECTED[how]

    async def body(where: FaultContext) -> None:
        params: dict[str, Value] = {"how": how, "who": "one", "order": ("n3", *NODES), "gap_ms": 0}
        fault = Membership().fault(FaultSpec("membership", params))
        before = await identities(where)
        resolved = await fault.begin(where)
        assert resolved.words.startswith("n3 "), resolved.words
        await asyncio.sleep(0.5)
        assert await target_of(where).members(where.cluster, 1.0) == members
        bit = await fault.prove(where)
        assert bit.holds, bit.words
        assert proof in bit.words
        healed = await fault.end(where)
        assert (healed.holds, healed.words) == (True, "voters: n1 n2 n3 n4")
        assert (await fault.end(where)).holds
        changed = {node for node, it in (await identities(where)).items() if it != before[node]}
        assert changed == ({"n3"} if how in ALONE else set())

    in_a_cluster(tmp_path, body)


def test_the_leader_may_be_meant(tmp_path: Path) -> None:
    async def body(where: FaultContext) -> None:
        params: dict[str, Value] = {"how": "remove", "who": "leader", "order": NODES, "gap_ms": 0}
        fault = Membership().fault(FaultSpec("membership", params))
        leader = await where.leader()
        resolved = await fault.begin(where)
        assert resolved.data["leader"] == leader
        await asyncio.sleep(1)
        assert await where.leader() not in (leader, None)
        assert (await fault.prove(where)).holds
        assert (await fault.end(where)).holds

    in_a_cluster(tmp_path, body)


def test_operators_in_each_others_way(tmp_path: Path) -> None:
    async def body(where: FaultContext) -> None:
        params: dict[str, Value] = {"how": "race", "who": "minority", "order": NODES, "gap_ms": 0}
        fault = Membership().fault(FaultSpec("membership", params))
        await fault.begin(where)
        await asyncio.sleep(2)
        bit = await fault.prove(where)
        assert bit.holds
        assert len(cast(tuple[str, ...], bit.figures["made"])) > 5
        assert (await fault.end(where)).words == "voters: n1 n2 n3 n4"

    in_a_cluster(tmp_path, body)


def test_without_a_majority_it_waits_for_one(tmp_path: Path) -> None:
    async def body(where: FaultContext) -> None:
        cluster = cast(SimCluster, where.cluster)
        params: dict[str, Value] = {"how": "wipe", "who": "one", "order": NODES, "gap_ms": 0}
        fault = Membership().fault(FaultSpec("membership", params))
        await fault.begin(where)
        await cluster.network.cut("P1", {"n2": frozenset({"n3", "n4"})})
        await cluster.network.cut("P2", {"n3": frozenset({"n2", "n4"})})
        ending = asyncio.create_task(fault.end(where))
        await asyncio.sleep(3)
        assert not ending.done()
        await cluster.network.cut("P1", {})
        await cluster.network.cut("P2", {})
        assert (await ending).holds

    in_a_cluster(tmp_path, body)


def test_what_is_not_there_is_not_healed(tmp_path: Path) -> None:
    async def body(where: FaultContext) -> None:
        cluster = cast(SimCluster, where.cluster)
        params: dict[str, Value] = {"how": "remove", "who": "one", "order": NODES, "gap_ms": 0}
        fault = Membership().fault(FaultSpec("membership", params))
        await fault.begin(where)
        await cluster.processes.kill("n1")
        healed = await fault.end(where)
        assert not healed.holds
        assert healed.words.startswith("not all vote: ")
        await cluster.processes.start("n1")
        assert (await fault.end(where)).holds

    in_a_cluster(tmp_path, body)


@pytest.mark.parametrize("moves", [1, 3])
def test_leadership_goes_from_one_to_the_next(moves: int, tmp_path: Path) -> None:
    async def body(where: FaultContext) -> None:
        fault = Transfer().fault(FaultSpec("transfer", {"moves": moves, "order": NODES}))
        first = await where.leader()
        resolved = await fault.begin(where)
        assert resolved.data["leader"] == first
        bit = await fault.prove(where)
        terms = cast(tuple[int, ...], bit.figures["terms"])
        assert bit.holds
        assert len(terms) == moves + 1
        assert list(terms) == sorted(set(terms))
        assert (await fault.end(where)).holds

    in_a_cluster(tmp_path, body)


def test_logs_are_compacted(tmp_path: Path) -> None:
    async def body(where: FaultContext) -> None:
        params: dict[str, Value] = {"who": "all", "order": NODES, "gap_ms": 0}
        fault = Compaction().fault(FaultSpec("snapshot", params))
        assert (await fault.begin(where)).words == "n1 n2 n3 n4 log compacted (all)"
        bit = await fault.prove(where)
        assert bit.holds
        assert bit.words.startswith("compacted: n1 up to ")
        assert (await fault.end(where)).holds

    in_a_cluster(tmp_path, body)


@pytest.mark.parametrize(
    ("nemesis", "params", "words"),
    [
        (Membership(), {"how": "wipe", "who": "one", "gap_ms": 0}, "members of this system"),
        (Transfer(), {"moves": 1}, "leadership of this system"),
        (Compaction(), {"who": "one", "gap_ms": 0}, "logs of this system"),
    ],
)
def test_a_target_that_cannot(nemesis: Nemesis, params: dict[str, Value], words: str) -> None:
    async def body() -> None:
        cluster = FakeCluster()
        where = context(cluster, FakeTarget(cluster))
        fault = nemesis.fault(FaultSpec(nemesis.name, {**params, "order": cluster.nodes}))
        with pytest.raises(EnvironmentFailure, match=words):
            await fault.begin(where)

    run(body())


@pytest.mark.parametrize("name", ["membership", "transfer", "snapshot"])
def test_it_is_refused_before_anything_starts(name: str) -> None:
    class Everywhere(SimRuntime):
        def lacks_program(self, program: object) -> None:
            return None

    nemeses = planning.make_nemeses((name,))
    etcd = planning.make_target(RunSpec(target="etcd", nemeses=()))
    assert "target etcd: its" in str(planning._lacking(Everywhere(), nemeses[name], etcd))
    raft = planning.make_target(RunSpec(nemeses=()))
    planning.can_do(Picked(SimRuntime(), ""), nemeses, raft)


def test_all_ways_are_told() -> None:
    assert set(HOWS) == {*EXPECTED, "race"}


@pytest.mark.parametrize(("how", "kept"), [("replace", {"n3"}), ("remove", set())])
def test_whose_disk_is_to_be_lost_is_nobody_elses_until_then(
    how: str, kept: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(where: FaultContext) -> None:
        held: list[frozenset[str]] = []
        remove = RaftTarget.remove_member

        async def looked(target: RaftTarget, *given: Any) -> None:
            held.append(where.claims.of("down").of_others("K1"))
            await remove(target, *given)

        monkeypatch.setattr(RaftTarget, "remove_member", looked)
        params: dict[str, Value] = {"who": "one", "order": ("n3", "n1", "n2", "n4"), "gap_ms": 0}
        fault = Membership().fault(FaultSpec("membership", {"how": how, **params}))
        await fault.begin(where)
        assert held[0] == kept
        assert not where.claims.of("down").of_others("K1")
        assert (await fault.end(where)).holds

    in_a_cluster(tmp_path, body)
