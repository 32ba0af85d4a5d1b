"""A way into a node where only published ports lead there (engines in a virtual machine).

Runs as the node's first process; standard library only. A client connects to the one published
port, says which port of the node it wants (two bytes, big-endian) and is told how that went (a
byte; not an errno, whose numbers differ between systems). From then on bytes pass both ways, and
so do ends and resets: a dead server looks to the client as it would without the gate.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import signal
import socket
import struct
import sys

PORT = 61_001
"""Above the ports that Linux gives to outgoing connections."""
MADE, REFUSED, FAILED = b"\0", b"\1", b"\2"
_NUMBER = struct.Struct(">H")
_NOBODYS_PORT = 1
_CHUNK = 1 << 16
_PATIENCE_S = 60.0


async def dial(
    host: str, gate: int, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The client's side: a connection to a node's ``port`` through its gate at ``host:gate``.

    Raises:
        OSError: the node's answer to connecting, or the gate cannot be reached.
    """
    reader, writer = await asyncio.open_connection(host, gate)
    try:
        writer.write(_NUMBER.pack(port))
        answer = await reader.readexactly(1)
        if answer == REFUSED:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"port {port} of the node refuses")
        if answer != MADE:
            raise OSError(errno.EHOSTUNREACH, f"port {port} of the node cannot be reached")
    except asyncio.IncompleteReadError:
        writer.close()
        raise ConnectionResetError(errno.ECONNRESET, "the node's gate closed") from None
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def await_open(host: str, gate: int, limit_s: float) -> None:
    """Returns when the gate answers: who publishes a port accepts before anybody listens behind it.

    Raises:
        TimeoutError: not in time.
    """
    async with asyncio.timeout(limit_s):
        while True:
            try:
                _, writer = await dial(host, gate, _NOBODYS_PORT)
            except ConnectionRefusedError:
                return
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return


async def enter(address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The node's side of one connection; ``address`` is where its servers listen."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            (port,) = _NUMBER.unpack(await reader.readexactly(_NUMBER.size))
            try:
                inner_reader, inner_writer = await asyncio.open_connection(address, port)
            except OSError as error:
                refused = isinstance(error, ConnectionRefusedError)
                writer.write(REFUSED if refused else FAILED)
                return
        writer.write(MADE)
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        inner_writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        # Who asked is gone, or never said what it wanted.
        pass
    finally:
        writer.close()


async def main(address: str) -> None:
    """The node's side; until standard input ends."""
    # Orphans of the node's server become children of its first process: they need no burial.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    await asyncio.start_server(functools.partial(enter, address), "0.0.0.0", PORT)
    ended = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    while await ended.read(_CHUNK):
        pass


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        # A reset on one side is a reset on the other: an end would claim that all had arrived.
        made: socket.socket = writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
