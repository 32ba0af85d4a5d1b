"""The line to an agent in a container, against a plain socket in the engine's place."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from harness.runtime.docker import attached
from harness.runtime.docker.attached import AttachedWire
from harness.runtime.docker.frames import STDERR, STDOUT


@dataclass
class Far:
    """The other end: what the engine does for the container."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def says(self, stream: int, data: bytes) -> None:
        self.writer.write(struct.pack(">BxxxI", stream, len(data)) + data)


@asynccontextmanager
async def wired() -> AsyncIterator[tuple[AttachedWire, Far]]:
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=far, limit=1 << 20)
    wire = AttachedWire(near)
    try:
        yield wire, Far(reader, writer)
    finally:
        writer.close()
        await wire.close()


def test_lines_both_ways() -> None:
    async def go() -> None:
        async with wired() as (wire, far):
            await asyncio.gather(*(wire.send(b"%d" % n * 100_000 + b"\n") for n in range(3)))
            for n in range(3):
                assert await asyncio.wait_for(read_line(far), 10) == b"%d" % n * 100_000 + b"\n"
            far.says(STDOUT, b"one\ntw")
            far.says(STDERR, b"a word")
            far.says(STDOUT, b"o\n")
            assert await wire.receive() == b"one\n"
            assert await wire.receive() == b"two\n"
            far.writer.close()
            assert await wire.receive() == b""

    asyncio.run(go())


async def read_line(far: Far) -> bytes:
    return await far.reader.readuntil(b"\n")


def test_last_words() -> None:
    async def go() -> None:
        async with wired() as (wire, far):
            far.says(STDERR, b"nobody ")
            far.says(STDERR, b"may\ndo that\nhalf a li")
            far.writer.close()
            assert await wire.receive() == b""
            assert wire.last_words() == "nobody may; do that"

    asyncio.run(go())


def test_closing_waits_until_the_agent_has_left() -> None:
    async def go() -> None:
        async with wired() as (wire, far):
            left: list[str] = []

            async def agent() -> None:
                assert await far.reader.read() == b""
                far.says(STDOUT, b"a late answer\n")
                await asyncio.sleep(0)
                left.append("undone")
                far.writer.close()

            listening = asyncio.create_task(drain(wire))
            leaving = asyncio.create_task(agent())
            await asyncio.sleep(0)
            await wire.close()
            assert left == ["undone"]
            await leaving
            assert await listening == [b"a late answer\n"]
            await wire.close()

    asyncio.run(go())


async def drain(wire: AttachedWire) -> list[bytes]:
    lines = []
    while line := await wire.receive():
        lines.append(line)
    return lines


def test_an_agent_that_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "LEAVE_S", 0.05)

    async def go() -> None:
        async with wired() as (wire, _):
            listening = asyncio.create_task(drain(wire))
            await asyncio.sleep(0)
            await wire.close()
            assert await listening == []

    asyncio.run(go())


def test_a_line_that_nobody_listened_to_yet() -> None:
    async def go() -> None:
        async with wired() as (wire, _):
            await asyncio.wait_for(wire.close(), 1)

    asyncio.run(go())


def test_sending_to_an_agent_that_is_gone() -> None:
    async def go() -> None:
        async with wired() as (wire, far):
            far.writer.close()
            await far.writer.wait_closed()
            with pytest.raises(OSError, match="pipe"):
                await wire.send(b"hello\n")
            assert await wire.receive() == b""

    asyncio.run(go())
