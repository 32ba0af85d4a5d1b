"""Killing, stopping, pausing a server; the node it runs on stays."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from harness.core.cluster import ServerSpec
from harness.core.errors import EnvironmentFailure
from tests.conformance.conftest import SERVER, World, until
from tests.conformance.echo_server import PORT


def test_a_kill_takes_the_server_and_leaves_the_node(world: World) -> None:
    async def body() -> None:
        processes = world.cluster.processes
        before = await processes.state("n1")
        assert before.state == "running"
        counted = int(await world.ask("n1", "count"))
        await processes.kill("n1")
        gone = await processes.state("n1")
        assert (gone.state, gone.pid) == ("gone", None)
        with pytest.raises(OSError):
            await world.ask("n1", "echo", 1.0)
        assert not (world.cluster.home("n1") / "farewell").exists()
        # The machine is still there.
        assert await world.open(("n2", "n1"), ("n1", "n2"))

        await processes.start("n1")
        await world.serving("n1")
        after = await processes.state("n1")
        assert (after.state, after.starts) == ("running", before.starts + 1)
        assert int(await world.ask("n1", "count")) == counted + 1

    world.run(body())


def test_start_and_kill_are_idempotent(world: World) -> None:
    async def body() -> None:
        processes = world.cluster.processes
        before = await processes.state("n1")
        await processes.start("n1")
        assert await processes.state("n1") == before
        await processes.kill("n1")
        await processes.kill("n1")
        await processes.pause("n1")
        await processes.resume("n1")
        assert (await processes.state("n1")).state == "gone"
        await asyncio.gather(processes.start("n1"), processes.start("n1"))
        assert (await processes.state("n1")).starts == before.starts + 1

    world.run(body())


@pytest.mark.kernel
def test_a_stop_asks_first(world: World) -> None:
    async def body() -> None:
        farewell = world.cluster.home("n2") / "farewell"
        farewell.unlink(missing_ok=True)
        # The server ends in peace; its child does not, and is killed when the time is over.
        began = time.monotonic()
        await world.cluster.processes.stop("n2", 0.3)
        assert time.monotonic() - began >= 0.3
        assert (await world.cluster.processes.state("n2")).state == "gone"
        assert farewell.read_text() == "asked to end"
        farewell.unlink()

    world.run(body())


@pytest.mark.kernel
def test_a_paused_server_is_silent_but_there(world: World) -> None:
    async def body() -> None:
        processes = world.cluster.processes
        reader, writer = await world.cluster.dial("n3", PORT, 2.0)
        await processes.pause("n3")
        assert (await processes.state("n3")).state == "stopped"
        # The kernel still accepts, and nobody answers.
        second, other = await world.cluster.dial("n3", PORT, 2.0)
        for writing in (writer, other):
            writing.write(b"echo late\n")
        for reading in (reader, second):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await reading.read(1)
        await processes.resume("n3")
        assert (await processes.state("n3")).state == "running"
        assert [await it.readline() for it in (reader, second)] == [b"late\n", b"late\n"]
        for writing in (writer, other):
            writing.close()
            with suppress(OSError):
                await writing.wait_closed()

    world.run(body())


def test_the_log_holds_every_start(world: World) -> None:
    async def body() -> None:
        log = world.cluster.home("n1") / "log.txt"
        before = log.read_text().count("listening")
        assert before >= 1
        await world.cluster.processes.kill("n1")
        await world.cluster.processes.start("n1")
        await world.serving("n1")
        assert log.read_text().count("listening") == before + 1

    world.run(body())


@pytest.mark.kernel
def test_a_server_that_ends_at_once_is_gone(world: World) -> None:
    async def gone() -> bool:
        return (await world.cluster.processes.state("n1")).state == "gone"

    async def body() -> None:
        processes = world.cluster.processes
        python = world.cluster.place("n1").python
        await processes.kill("n1")
        try:
            broken = "print('no disk'); raise SystemExit(3)"
            await processes.launch("n1", ServerSpec((python, "-c", broken)))
            await until(gone)
            assert "no disk" in (world.cluster.home("n1") / "log.txt").read_text()
        finally:
            await processes.launch("n1", ServerSpec((python, "-c", SERVER)))

    world.run(body())


@pytest.mark.kernel
def test_the_environment_reaches_the_server(world: World) -> None:
    async def body() -> None:
        processes = world.cluster.processes
        python = world.cluster.place("n2").python
        log = world.cluster.home("n2") / "log.txt"
        await processes.kill("n2")
        try:
            show = "import os; print('found', os.environ['QUORUM_WORD'], flush=True)"
            await processes.launch("n2", ServerSpec((python, "-c", show), {"QUORUM_WORD": "a b"}))

            async def written() -> bool:
                return "found a b" in log.read_text()

            await until(written)
        finally:
            await processes.kill("n2")
            await processes.launch("n2", ServerSpec((python, "-c", SERVER)))

    world.run(body())


def test_a_node_that_was_never_launched_cannot_start(world: World) -> None:
    async def body() -> None:
        with pytest.raises((EnvironmentFailure, KeyError)):
            await world.cluster.processes.start("n9")

    world.run(body())
