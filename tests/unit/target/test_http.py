"""What requests mean, and what is refused as making no sense."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest

from target.http import (
    MAX_BODY,
    CompactRequest,
    Connection,
    MembersRequest,
    ReadRequest,
    Request,
    RequestError,
    StatusRequest,
    TransferRequest,
    WriteRequest,
    route,
)


@pytest.mark.parametrize(
    ("method", "path", "body", "meant"),
    [
        ("GET", "/v1/kv/x", "", ReadRequest("x")),
        ("GET", "/v1/kv/a%2Fb%20%C3%BC?verbose=1", "", ReadRequest("a/b ü")),
        ("PUT", "/v1/kv/x", {"value": [1]}, ["write", "x", [1], None, None]),
        ("PUT", "/v1/kv/x", {"value": None}, ["write", "x", None, None, None]),
        (
            "POST",
            "/v1/kv/x/cas",
            {"expect": 1, "value": 2, "session": "s", "seq": 3},
            ["cas", "x", [1, 2], "s", 3],
        ),
        ("POST", "/v1/kv/x/append", {"value": 1}, ["append", "x", 1, None, None]),
        ("POST", "/v1/kv/x/add", {"value": 1}, ["add", "x", 1, None, None]),
        ("POST", "/v1/kv/x/increment", {"delta": -2}, ["increment", "x", -2, None, None]),
        ("POST", "/v1/kv/x/increment", "", ["increment", "x", 1, None, None]),
        ("POST", "/v1/kv/x/enqueue", {"value": 1}, ["enqueue", "x", 1, None, None]),
        ("POST", "/v1/kv/x/dequeue", "", ["dequeue", "x", None, None, None]),
        ("POST", "/v1/kv/x/acquire", "", ["acquire", "x", None, None, None]),
        ("POST", "/v1/kv/x/release", {"token": 3}, ["release", "x", 3, None, None]),
        ("POST", "/v1/txn", {"steps": []}, ["txn", "", [], None, None]),
        ("POST", "/v1/snapshot", {"keys": ["x", "y"]}, ReadRequest(("x", "y"))),
        ("GET", "/v1/status", "", StatusRequest()),
        ("POST", "/v1/transfer", {"to": "n2"}, TransferRequest("n2")),
        (
            "POST",
            "/v1/members",
            {"learner": "n4", "identity": 7},
            MembersRequest("learner", "n4", 7, -1),
        ),
        (
            "POST",
            "/v1/members",
            {"promote": "n4", "after": 9},
            MembersRequest("promote", "n4", 0, 9),
        ),
        ("POST", "/v1/members", {"remove": "n4"}, MembersRequest("remove", "n4", 0, -1)),
        ("POST", "/v1/compact", "", CompactRequest()),
    ],
)
def test_what_requests_mean(method: str, path: str, body: object, meant: object) -> None:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request = route(method, path, data)
    if isinstance(request, WriteRequest):
        assert json.loads(request.command) == meant
    else:
        assert request == meant


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/", "", 404, "try /v1/status"),
        ("GET", "/v1/kv", "", 405, "GET does nothing"),
        ("POST", "/v1/members", '{"learner":"n4"}', 400, "the body must be"),
        ("POST", "/v1/members", '{"remove":"n4","after":"x"}', 400, '"after" must be'),
        ("GET", "/v1/members", "", 405, "GET does nothing"),
        ("DELETE", "/v1/kv/x", "", 405, "DELETE does nothing"),
        ("POST", "/v1/kv/x/drop", "", 405, "POST does nothing"),
        ("PUT", "/v1/kv/x", "{", 400, "not JSON"),
        ("PUT", "/v1/kv/x", "[1]", 400, "must be a JSON object"),
        ("PUT", "/v1/kv/x", "{}", 400, 'lacks "value"'),
        ("POST", "/v1/kv/x/cas", '{"value":1}', 400, 'lacks "expect"'),
        ("PUT", "/v1/kv/x", '{"value":1,"seq":1}', 400, "go together"),
        ("PUT", "/v1/kv/x", '{"value":1,"session":1,"seq":1}', 400, "go together"),
        ("POST", "/v1/kv/x/at_least", '{"value":1}', 405, "POST does nothing"),
        ("POST", "/v1/kv/x/release", "{}", 400, 'lacks "token"'),
        ("POST", "/v1/snapshot", '{"keys":"x"}', 400, "list of texts"),
        ("POST", "/v1/transfer", '{"to":1}', 400, "name of a node"),
    ],
)
def test_what_makes_no_sense(method: str, path: str, body: str, status: int, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        route(method, path, body.encode())
    assert caught.value.status == status


@dataclass
class Echo:
    """Answers reads with the key, when told to."""

    waiting: list[tuple[Connection, Request]] = field(default_factory=list)

    def request(self, connection: Connection, request: Request) -> None:
        self.waiting.append((connection, request))

    def go_on(self) -> None:
        connection, request = self.waiting.pop(0)
        assert isinstance(request, ReadRequest)
        connection.answer(200, {"value": request.key})


class Wire(asyncio.Transport):
    """Keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.closed = True


def connected() -> tuple[Echo, Connection, Wire]:
    echo, wire = Echo(), Wire()
    connection = Connection(echo)
    connection.connection_made(wire)
    return echo, connection, wire


def test_requests_in_pieces_and_in_a_row_are_answered_in_order() -> None:
    echo, connection, wire = connected()
    two = b"GET /v1/kv/one HTTP/1.1\r\n\r\nGET /v1/kv/two HTTP/1.1\r\nHost: x\r\n\r\n"
    for place in range(len(two)):
        connection.data_received(two[place : place + 1])
    assert len(echo.waiting) == 1, "the second waits for the answer to the first"
    echo.go_on()
    assert b'"one"' in wire.sent
    echo.go_on()
    assert wire.sent.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert wire.sent.endswith(b'{"value":"two"}')
    assert not wire.closed


@pytest.mark.parametrize(
    "head",
    [b"GET /v1/kv/x HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET /v1/kv/x HTTP/1.0\r\n\r\n"],
)
def test_the_last_request_of_a_connection(head: bytes) -> None:
    echo, connection, wire = connected()
    connection.data_received(head)
    echo.go_on()
    assert wire.closed


def test_a_client_that_went_away_is_not_answered() -> None:
    echo, connection, wire = connected()
    connection.data_received(b"GET /v1/kv/x HTTP/1.1\r\n\r\n")
    connection.connection_lost(None)
    echo.go_on()
    assert wire.sent == b""


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"PUT /v1/kv/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"PUT /v1/kv/x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"PUT /v1/kv/x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1), 413),
        (b"x" * 20_000, 400),
    ],
)
def test_streams_that_make_no_sense_are_closed(head: bytes, status: int) -> None:
    _, connection, wire = connected()
    connection.data_received(head)
    assert wire.sent.startswith(b"HTTP/1.1 %d " % status)
    assert b'"definite":true' in wire.sent
    assert wire.closed


def test_a_bad_request_does_not_end_the_connection() -> None:
    echo, connection, wire = connected()
    connection.data_received(b"PUT /v1/kv/x HTTP/1.1\r\nContent-Length: 1\r\n\r\n{")
    assert wire.sent.startswith(b"HTTP/1.1 400 ")
    connection.data_received(b"GET /v1/kv/x HTTP/1.1\r\nExpect: 100-continue\r\n\r\n")
    echo.go_on()
    assert wire.sent.endswith(b'{"value":"x"}')
    assert not wire.closed
