"""A simulated cluster as clients and faults meet it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from harness.core.cluster import PowerControl, Provision
from harness.core.errors import EnvironmentFailure
from harness.core.protocols import Target
from harness.runtime.sim import CAPABILITIES, SimCluster, SimRuntime
from harness.runtime.sim.machine import BOOT_NS
from harness.runtime.sim.network import LATENCY_NS
from tests.conformance.sim_echo import SimEcho

NODES = ("n1", "n2", "n3")


Body = Callable[[SimCluster], Coroutine[Any, Any, None]]


def in_a_cluster(folder: Path, body: Body, target: object | None = None) -> None:
    """Runs ``body(cluster)`` with all servers up."""

    async def run() -> None:
        request = Provision("test", NODES, folder, target=cast(Target, target or SimEcho()))
        async with SimRuntime().provision(request) as cluster:
            for node in NODES:
                await cluster.processes.start(node)
            await asyncio.sleep(2 * BOOT_NS / 1e9)
            await body(cast(SimCluster, cluster))

    with asyncio.Runner(loop_factory=SimRuntime().new_loop) as runner:
        runner.run(run())


def now() -> float:
    return asyncio.get_running_loop().time()


async def ask(cluster: SimCluster, words: str, timeout_s: float = 1.0) -> str:
    _, data = await cluster.exchange("n1", "ASK", "", words.encode(), timeout_s)
    return str(data["answer"])


def test_an_exchange_takes_the_way_there_and_back(tmp_path: Path) -> None:
    async def body(cluster: SimCluster) -> None:
        began = now()
        assert await ask(cluster, "echo a b") == "a b"
        assert 2 * LATENCY_NS / 1e9 <= now() - began < 0.002

    in_a_cluster(tmp_path, body)


def test_a_server_that_is_gone_refuses(tmp_path: Path) -> None:
    async def body(cluster: SimCluster) -> None:
        await cluster.processes.kill("n1")
        with pytest.raises(ConnectionRefusedError):
            await ask(cluster, "echo a")
        await cluster.processes.start("n1")
        with pytest.raises(ConnectionRefusedError):
            await ask(cluster, "echo still starting")
        await asyncio.sleep(2 * BOOT_NS / 1e9)
        assert await ask(cluster, "echo a") == "a"

    in_a_cluster(tmp_path, body)


def test_a_server_that_is_killed_resets_what_it_was_asked(tmp_path: Path) -> None:
    async def body(cluster: SimCluster) -> None:
        # A dial to nobody takes half a second: the question is open when the kill comes.
        await cluster.processes.kill("n2")
        asked = asyncio.create_task(ask(cluster, "dial n2"))
        await asyncio.sleep(0.1)
        assert not asked.done()
        await cluster.processes.kill("n1")
        with pytest.raises(ConnectionResetError):
            await asked

    in_a_cluster(tmp_path, body)


def test_a_server_that_stands_still_answers_too_late_or_in_time(tmp_path: Path) -> None:
    async def body(cluster: SimCluster) -> None:
        processes = cluster.processes
        await processes.pause("n1")
        began = now()
        with pytest.raises(TimeoutError):
            await ask(cluster, "echo late", 0.3)
        assert now() - began == pytest.approx(0.3)
        patient = asyncio.create_task(ask(cluster, "echo in time", 5.0))
        await asyncio.sleep(1)
        assert not patient.done()
        await processes.resume("n1")
        assert await patient == "in time"

    in_a_cluster(tmp_path, body)


def test_a_client_may_go_away(tmp_path: Path) -> None:
    async def body(cluster: SimCluster) -> None:
        # A dial to nobody takes half a second.
        await cluster.processes.kill("n2")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await ask(cluster, "dial n2", 5.0)
        await asyncio.sleep(10)
        assert await ask(cluster, "echo still here") == "still here"

    in_a_cluster(tmp_path, body)


def test_signals_take_a_moment_and_do_what_they_say(tmp_path: Path) -> None:
    async def body(cluster: SimCluster) -> None:
        processes = cluster.processes
        for act, state in (
            (processes.pause, "stopped"),
            (processes.resume, "running"),
            (processes.kill, "gone"),
            (processes.start, "running"),
            (processes.stop, "gone"),
        ):
            began = now()
            await act("n2")
            assert now() > began
            assert (await processes.state("n2")).state == state
        assert (await processes.state("n2")).starts == 2
        assert (await processes.state("n1")).starts == 1
        assert isinstance(processes, PowerControl)
        assert await processes.power_off("n3") == 0
        assert (await processes.state("n3")).state == "gone"

    in_a_cluster(tmp_path, body)


def test_there_are_no_sockets(tmp_path: Path) -> None:
    async def body(cluster: SimCluster) -> None:
        with pytest.raises(OSError, match="no sockets"):
            await cluster.dial("n1", 80, 1.0)

    in_a_cluster(tmp_path, body)


def test_a_target_without_a_simulated_server_is_told_what_to_use(tmp_path: Path) -> None:
    async def body(cluster: SimCluster) -> None:
        raise AssertionError("there is no cluster")

    with pytest.raises(EnvironmentFailure, match="use --runtime docker or --runtime netns"):
        in_a_cluster(tmp_path, body, object())


def test_what_it_cannot_do_it_says() -> None:
    runtime = SimRuntime()
    assert runtime.missing() is None
    assert [runtime.lacks(name) for name in CAPABILITIES] == [None] * len(CAPABILITIES)
    assert "earthquake" in (runtime.lacks("earthquake") or "")
