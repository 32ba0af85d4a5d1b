"""Members, leadership and compaction of real servers on loopback, as an operator asks for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.core.errors import NodeFailure
from harness.core.operations import Call, Outcome
from harness.core.protocols import HasCompaction, HasMembership, HasTransfer, Members
from nemesis.waiting import until
from target.adapters.raft import RaftTarget
from tests.unit.target.loopback import Loopback, running


async def leader_of(cluster: Loopback, target: RaftTarget) -> str:
    statuses = await target.statuses(cluster, 1.0)
    return next(status.node for status in statuses.values() if status.role == "leader")


async def until_done(change: object, cluster: Loopback, node: str) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await change(cluster, node, 2.0)  # type: ignore[operator]
            except NodeFailure:
                await asyncio.sleep(0.05)
            else:
                return


def test_a_member_leaves_loses_its_disk_and_comes_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (cluster, target):
            assert isinstance(target, HasMembership)
            await target.await_ready(cluster, 10)
            leader = await leader_of(cluster, target)
            out = next(node for node in cluster.nodes if node != leader)
            before = (await target.status(cluster, out))["identity"]
            await until_done(target.remove_member, cluster, out)
            members = await target.members(cluster, 2.0)
            assert members is not None
            assert out not in members.voters
            await cluster.processes.kill(out)
            for path in (cluster.home(out) / "data").iterdir():
                path.unlink()
            await cluster.processes.start(out)
            client = target.client(cluster, leader, 1)
            assert (await client.invoke(Call("write", "x", 1), 5)).outcome is Outcome.OK
            await client.close()
            await until_done(target.add_learner, cluster, out)
            await until_done(target.promote, cluster, out)
            members = await target.members(cluster, 2.0)
            assert members is not None
            assert sorted(members.voters) == sorted(cluster.nodes)
            assert (await target.status(cluster, out))["identity"] != before
            await target.await_ready(cluster, 10)

    asyncio.run(scenario())


def test_what_is_refused_says_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (cluster, target):
            await target.await_ready(cluster, 10)
            with pytest.raises(NodeFailure, match="no_member"):
                await target.promote(cluster, "n9", 2.0)
            for node in cluster.nodes:
                await cluster.processes.kill(node)
            with pytest.raises(NodeFailure, match="nobody leads"):
                await target.remove_member(cluster, "n1", 2.0)
            with pytest.raises(NodeFailure, match="n1 does not say who it is"):
                await target.add_learner(cluster, "n1", 2.0)
            assert await target.members(cluster, 2.0) is None
            with pytest.raises(NodeFailure, match="n1: "):
                await target.compact(cluster, "n1", 2.0)

    asyncio.run(scenario())


def test_leadership_and_logs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (cluster, target):
            assert isinstance(target, HasTransfer)
            assert isinstance(target, HasCompaction)
            await target.await_ready(cluster, 10)
            first = await leader_of(cluster, target)
            second = next(node for node in cluster.nodes if node != first)
            await target.transfer(cluster, second, 2.0)

            async def leads() -> bool:
                statuses = await target.statuses(cluster, 1.0)
                return second in statuses and statuses[second].role == "leader"

            assert await until(leads, 10)
            await target.await_ready(cluster, 10)
            index = await target.compact(cluster, first, 2.0)
            assert index > 0
            assert (await target.status(cluster, first))["snapshot"] == index
            assert await target.members(cluster, 2.0) == Members(cluster.nodes)

    asyncio.run(scenario())
