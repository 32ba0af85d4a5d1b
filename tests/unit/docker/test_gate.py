"""The way in through a published port: what a client sees is what the node's server does."""

from __future__ import annotations

import asyncio
import functools
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from harness.runtime.docker import gate

HERE = "127.0.0.1"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, HERE, 0)
    async with server:
        port: int = server.sockets[0].getsockname()[1]
        yield port


def opened() -> AbstractAsyncContextManager[int]:
    return listening(functools.partial(gate.enter, HERE))


def test_bytes_and_ends_pass_both_ways() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Answers when the client has ended its side: a half-closed connection works.
        writer.write((await reader.read()).upper())
        writer.close()

    async def go() -> None:
        async with listening(shout) as port, opened() as door:
            reader, writer = await gate.dial(HERE, door, port)
            writer.write(b"x" * 300_000)
            writer.write_eof()
            assert await reader.read() == b"X" * 300_000
            writer.close()
            await writer.wait_closed()

    asyncio.run(go())


def test_nobody_listens() -> None:
    async def go() -> None:
        with socket.socket() as unused:
            unused.bind((HERE, 0))
            async with opened() as door:
                with pytest.raises(ConnectionRefusedError):
                    await gate.dial(HERE, door, unused.getsockname()[1])

    asyncio.run(go())


def test_a_reset_is_no_end() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        made: socket.socket = writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def go() -> None:
        async with listening(reset) as port, opened() as door:
            reader, writer = await gate.dial(HERE, door, port)
            writer.write(b"?")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    asyncio.run(go())


def test_a_gate_that_closes() -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def go() -> None:
        async with listening(close) as door:
            with pytest.raises(ConnectionResetError):
                await gate.dial(HERE, door, 1)

    asyncio.run(go())
