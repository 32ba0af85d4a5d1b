"""The adapter against real servers on loopback: what a client is told, and when it is in doubt."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.operations import Call, Outcome
from harness.core.protocols import HasLeader, HasTrace, TargetOptions
from target.adapters.raft import RaftTarget
from tests.unit.target.loopback import Loopback, running


async def leader_of(cluster: Loopback, target: RaftTarget) -> str:
    statuses = await target.statuses(cluster, 1.0)
    return next(status.node for status in statuses.values() if status.role == "leader")


def test_operations_of_all_types(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (cluster, target):
            one, two = target.client(cluster, "n1", 1), target.client(cluster, "n2", 2)
            assert (await one.invoke(Call("read", "x"), 5)).value is None
            written = await one.invoke(Call("write", "x", 3), 5)
            assert (written.outcome, written.node) == (Outcome.OK, "n1")
            read = await two.invoke(Call("read", "x"), 5)
            assert (read.outcome, read.value, read.node) == (Outcome.OK, 3, "n2")
            assert read.position is not None
            assert written.position is not None
            assert read.position >= written.position
            missed = await two.invoke(Call("cas", "x", (4, 5)), 5)
            assert (missed.outcome, missed.error) == (Outcome.FAIL, "mismatch")
            assert (await two.invoke(Call("cas", "x", (3, 5)), 5)).outcome is Outcome.OK
            for element in (1, 2, 1):
                assert (await one.invoke(Call("add", "s", element), 5)).outcome is Outcome.OK
                assert (await two.invoke(Call("append", "l", element), 5)).outcome is Outcome.OK
                assert (await two.invoke(Call("increment", "c", 2), 5)).outcome is Outcome.OK
            assert (await two.invoke(Call("read", "s"), 5)).value == (1, 2)
            assert (await one.invoke(Call("read", "l"), 5)).value == (1, 2, 1)
            assert (await one.invoke(Call("read", "c"), 5)).value == 6
            wrong = await one.invoke(Call("append", "c", 1), 5)
            assert (wrong.outcome, wrong.error) == (Outcome.FAIL, "wrong_type")
            with pytest.raises(UsageError, match="no operation delete"):
                await one.invoke(Call("delete", "x"), 5)
            await one.close()
            await two.close()

    asyncio.run(scenario())


def test_queues_locks_banks_and_ids(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (cluster, target):
            one, two = target.client(cluster, "n1", 1), target.client(cluster, "n2", 2)

            async def told(*calls: Call) -> list[object]:
                done = [await client.invoke(it, 5) for it in calls for client in (one, two)]
                return [it.error if it.outcome is Outcome.FAIL else it.value for it in done]

            assert await told(Call("generate", "i"), Call("generate", "i")) == [1, 2, 3, 4]
            assert await told(Call("enqueue", "q", 7)) == [None, None]
            assert await told(Call("dequeue", "q"), Call("dequeue", "q")) == [7, 7, None, None]
            assert await told(Call("acquire", "l", 1)) == [1, "mismatch"]
            assert await told(Call("release", "l", 1)) == [None, "mismatch"]
            look = Call("snapshot", "b", ("x", "y"))
            assert (await one.invoke(Call("open", "b", ("x", "y", 5)), 5)).outcome is Outcome.OK
            assert await told(Call("transfer", "b", ("x", "y", 3)), look) == [
                *(None, "mismatch", (2, 8), (2, 8))
            ]
            await one.close()
            await two.close()

    asyncio.run(scenario())


def test_leader_dies_and_what_was_acknowledged_is_still_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (cluster, target):
            first = await leader_of(cluster, target)
            writer = target.client(cluster, first, 1)
            assert (await writer.invoke(Call("write", 1, "kept"), 5)).outcome is Outcome.OK
            await cluster.processes.kill(first)
            refused = await writer.invoke(Call("write", 1, "never"), 1)
            assert (refused.outcome, refused.error) == (Outcome.FAIL, "connection refused")
            await target.await_ready(cluster, 10)
            second = await leader_of(cluster, target)
            assert second != first
            reader = target.client(cluster, second, 2)
            assert (await reader.invoke(Call("read", 1), 5)).value == "kept"
            await cluster.processes.start(first)
            await target.await_ready(cluster, 10)
            back = target.client(cluster, first, 3)
            assert (await back.invoke(Call("read", 1), 5)).value == "kept"
            for client in (writer, reader, back):
                await client.close()

    asyncio.run(scenario())


def test_paused_majority_leaves_the_client_in_doubt(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (cluster, target):
            leader = await leader_of(cluster, target)
            others = [node for node in cluster.nodes if node != leader]
            client = target.client(cluster, leader, 1)
            for node in others:
                await cluster.processes.pause(node)
            written = await client.invoke(Call("write", "x", 1), 0.3)
            read = await client.invoke(Call("read", "x"), 3)
            for node in others:
                await cluster.processes.resume(node)
            assert (written.outcome, written.value) == (Outcome.INFO, None)
            assert (read.outcome, read.error) == (Outcome.FAIL, "no_leader")
            await client.close()
            paused = target.client(cluster, others[0], 2)
            assert (await paused.invoke(Call("write", "x", 2), 5)).outcome is Outcome.OK
            await paused.close()

    asyncio.run(scenario())


def test_trace_has_an_ack_after_a_majority_is_durable(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (cluster, target):
            client = target.client(cluster, "n1", 1)
            done = await client.invoke(Call("write", "x", 1), 5)
            await client.close()
            lines = [
                json.loads(line)
                for node in cluster.nodes
                for line in (cluster.home(node) / target.trace_file).read_text().splitlines()
            ]
            (ack,) = (line for line in lines if line["e"] == "ack")
            assert ack["index"] == done.position
            holding = {
                line["node"]
                for line in lines
                if line["e"] == "durable"
                and line["t"] < ack["t"]
                and any(first <= ack["index"] <= last for first, last, _ in line["log"])
            }
            assert len(holding) >= 2
            assert {line["node"] for line in lines if line["e"] == "boot"} == set(cluster.nodes)

    asyncio.run(scenario())


def test_capabilities_and_bad_bugs() -> None:
    target = RaftTarget(TargetOptions(bugs=("6", "early-ack")))
    assert isinstance(target, HasLeader)
    assert isinstance(target, HasTrace)
    with pytest.raises(UsageError, match="no bug 'nonsense'; there are: 1 early-ack"):
        RaftTarget(TargetOptions(bugs=("nonsense",)))
