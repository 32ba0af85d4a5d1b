"""The clients' side: as much of HTTP/1.1 as a key-value store needs, and not a line more.

Requests of one connection are answered one after the other; keep-alive is the default. What a
request means is in :func:`route`; docs/raft-protocol.md has the list for people.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from urllib.parse import unquote

from target.machine import TYPES, command

MAX_HEAD = 16 << 10
MAX_BODY = 4 << 20

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_OPERATIONS = frozenset(TYPES) - {"write", "at_least"}


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A command for the log."""

    command: bytes


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """The value of a key, linearizable; of several keys, all of them at one instant."""

    key: str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """What the node has to say of itself."""


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """Let another node lead."""

    to: str


@dataclass(frozen=True, slots=True)
class MembersRequest:
    """Other members: see :class:`target.events.Change`."""

    action: str
    node: str
    identity: int
    after: int


@dataclass(frozen=True, slots=True)
class CompactRequest:
    """Compact the log now."""


Request: TypeAlias = (
    WriteRequest | ReadRequest | StatusRequest | TransferRequest | MembersRequest | CompactRequest
)


class RequestError(Exception):
    """A request that means nothing here; nothing was done. Carries the status code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def route(method: str, path: str, body: bytes) -> Request:
    """What a request asks for.

    Raises:
        RequestError: nothing that we know.
    """
    match [unquote(part) for part in path.partition("?")[0].split("/")], method:
        case ["", "v1", "kv", key], "GET":
            return ReadRequest(key)
        case ["", "v1", "kv", key], "PUT":
            data = _object(body)
            return WriteRequest(_command("write", key, _field(data, "value"), data))
        case ["", "v1", "kv", key, op], "POST" if op in _OPERATIONS:
            data = _object(body)
            match op:
                case "cas":
                    argument: object = [_field(data, "expect"), _field(data, "value")]
                case "increment":
                    argument = data.get("delta", 1)
                case "release":
                    argument = _field(data, "token")
                case "next" | "dequeue" | "acquire":
                    argument = None
                case _:
                    argument = _field(data, "value")
            return WriteRequest(_command(op, key, argument, data))
        case ["", "v1", "txn"], "POST":
            data = _object(body)
            return WriteRequest(_command("txn", "", _field(data, "steps"), data))
        case ["", "v1", "snapshot"], "POST":
            return ReadRequest(_keys(_field(_object(body), "keys")))
        case ["", "v1", "status"], "GET":
            return StatusRequest()
        case ["", "v1", "transfer"], "POST":
            to = _field(_object(body), "to")
            if not isinstance(to, str):
                raise RequestError(400, '"to" must be the name of a node')
            return TransferRequest(to)
        case ["", "v1", "members"], "POST":
            return _members(_object(body))
        case ["", "v1", "compact"], "POST":
            return CompactRequest()
        case [
            "",
            "v1",
            "kv" | "txn" | "snapshot" | "status" | "transfer" | "members" | "compact",
            *_,
        ], _:
            raise RequestError(405, f"{method} does nothing at {path}")
        case _:
            raise RequestError(404, f"nothing at {path}; try /v1/status or /v1/kv/KEY")


def _object(body: bytes) -> dict[str, object]:
    try:
        data = json.loads(body or b"{}")
    except ValueError as error:
        raise RequestError(400, f"the body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise RequestError(400, "the body must be a JSON object")
    return data


def _keys(names: object) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(400, '"keys" must be a list of texts')
    return tuple(names)


def _members(data: dict[str, object]) -> MembersRequest:
    after = data.get("after", -1)
    match data:
        case _ if type(after) is not int:
            raise RequestError(400, '"after" must be the index of a configuration')
        case {"learner": str(node), "identity": int(identity)} if identity > 0:
            return MembersRequest("learner", node, identity, after)
        case {"promote": str(node)}:
            return MembersRequest("promote", node, 0, after)
        case {"remove": str(node)}:
            return MembersRequest("remove", node, 0, after)
    raise RequestError(
        400, 'the body must be {"learner": NODE, "identity": N}, {"promote": NODE} or {"remove": …}'
    )


def _field(data: dict[str, object], name: str) -> object:
    if name not in data:
        raise RequestError(400, f'the body lacks "{name}"')
    return data[name]


def _command(op: str, key: str, argument: object, data: dict[str, object]) -> bytes:
    session, seq = data.get("session"), data.get("seq")
    match session, seq:
        case None, None:
            return command(op, key, argument)
        case str(), int():
            return command(op, key, argument, session, seq)
        case _:
            raise RequestError(400, '"session" (a string) and "seq" (a number) go together')


def response(status: int, data: object) -> bytes:
    """A whole answer."""
    body = _encode(data).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Handler(Protocol):
    """Who carries requests out; answers come by :meth:`Connection.answer`."""

    def request(self, connection: Connection, request: Request) -> None:
        """A request arrived."""


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._busy = False
        self._last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        """From asyncio."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """From asyncio."""
        self._buffer = self._buffer + data if self._buffer else data
        if not self._busy:
            self._next()

    def _next(self) -> None:
        """Takes the next request out of the buffer, if all of it is there."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                self._refuse(RequestError(400, "the head of the request is too long"))
            return
        try:
            method, path, length = self._head(self._buffer[:end])
            start = end + 4
            if len(self._buffer) < start + length:
                return
            body = self._buffer[start : start + length]
            self._buffer = self._buffer[start + length :]
        except RequestError as error:
            self._refuse(error)
            return
        self._busy = True
        try:
            request = route(method, path, body)
        except RequestError as error:
            self.answer(error.status, _error(error))
            return
        self._handler.request(self, request)

    def _head(self, head: bytes) -> tuple[str, str, int]:
        """(method, path, length of the body)."""
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise RequestError(400, "not an HTTP/1.1 request")
        length = 0
        self._last = words[2] == "HTTP/1.0"
        for line in lines:
            name, _, value = line.partition(":")
            match name.lower():
                case "content-length":
                    if not value.strip().isdecimal():
                        raise RequestError(400, "Content-Length is not a number")
                    length = int(value)
                case "transfer-encoding":
                    raise RequestError(411, "say Content-Length; chunks are not understood")
                case "connection":
                    self._last = value.strip().lower() == "close"
                case "expect" if self._transport is not None:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                case _:
                    pass
        if length > MAX_BODY:
            raise RequestError(413, f"the body is longer than {MAX_BODY} bytes")
        return words[0], words[1], length

    def _refuse(self, error: RequestError) -> None:
        """The stream makes no sense any more."""
        self._last = True
        self.answer(error.status, _error(error))

    def answer(self, status: int, data: object) -> None:
        """Ends the request under way."""
        if self._transport is None:
            return
        self._transport.write(response(status, data))
        self._busy = False
        if self._last:
            self._transport.close()
            self._transport = None
        elif self._buffer:
            self._next()


def _error(error: RequestError) -> dict[str, object]:
    return {"error": "bad_request", "definite": True, "message": str(error)}
