"""A client's HTTP/1.1 connection, over the streams that a cluster hands out.

It tells apart what matters for a history: whether the request can have reached the server.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Protocol

from harness.core.cluster import Cluster


class NotSent(Exception):
    """No connection could be made: the server never saw the request."""


class Broken(Exception):
    """The connection ended after the request was (perhaps) sent: nobody knows."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer's status code and JSON body."""

    status: int
    body: dict[str, object]


class Requests(Protocol):
    """A way to ask one node."""

    async def request(
        self, method: str, path: str, body: object | None, timeout_s: float
    ) -> Response:
        """One request and its answer.

        Raises:
            NotSent: no connection within the time, or refused.
            Broken: the connection ended, or said what is no answer.
            TimeoutError: no answer within the time.
        """

    async def close(self) -> None:
        """Idempotent."""


async def answer_of(
    http: Requests, method: str, path: str, body: object | None, timeout_s: float
) -> Response | None:
    """The answer to a question that changes nothing, None without one; closes the connection."""
    try:
        return await http.request(method, path, body, timeout_s)
    except (NotSent, Broken, TimeoutError):
        return None
    finally:
        await http.close()


class HttpClient:
    """One connection, kept alive, made when it is needed and again when it broke."""

    def __init__(self, cluster: Cluster, node: str, port: int) -> None:
        self._cluster = cluster
        self._node = node
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(
        self, method: str, path: str, body: object | None, timeout_s: float
    ) -> Response:
        """One request and its answer.

        Raises:
            NotSent: no connection within the time, or refused.
            Broken: the connection ended, or said what is no answer.
            TimeoutError: no answer within the time.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        reader, writer = await self._connected(timeout_s)
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._node}\r\nContent-Length: {len(data)}\r\n"
        answered = False
        try:
            async with asyncio.timeout_at(until):
                writer.write(head.encode() + b"\r\n" + data)
                response = await _response(reader)
            answered = True
            return response
        except TimeoutError:
            raise
        except (OSError, EOFError, ValueError) as error:
            raise Broken(str(error) or type(error).__name__) from error
        finally:
            if not answered:  # an answer that comes later belongs to nobody
                await self.close()

    async def _connected(
        self, timeout_s: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            await self.close()
        if self._streams is None:
            try:
                async with asyncio.timeout(timeout_s):
                    self._streams = await self._cluster.dial(self._node, self._port, timeout_s)
            except (OSError, TimeoutError) as error:
                raise NotSent(_words(error)) from error
        return self._streams

    async def close(self) -> None:
        """Idempotent."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.transport.abort()


async def _response(reader: asyncio.StreamReader) -> Response:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    fields = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if fields.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(fields["content-length"]))
    data = json.loads(body)
    if not isinstance(data, dict):
        raise ValueError("an answer that is no JSON object")
    return Response(int(first.split(" ")[1]), data)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """A body in chunks, each after its length in hexadecimal; one of length 0 ends it."""
    body = bytearray()
    while True:
        length = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        body += await reader.readexactly(length)
        # After the last chunk there may be trailers; the empty line ends both.
        while (await reader.readuntil(b"\r\n")) != b"\r\n":
            if length:
                raise ValueError("a chunk that is longer than it says")
        if not length:
            return bytes(body)


def _words(error: OSError | TimeoutError) -> str:
    match error:
        case TimeoutError():
            return "no connection in time"
        case ConnectionRefusedError():
            return "connection refused"
        case OSError(strerror=str(text)):
            return text
        case _:
            return type(error).__name__
