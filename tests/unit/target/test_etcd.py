"""The etcd adapter against a gateway that says what it is told to: what each answer means."""

from __future__ import annotations

import asyncio
import contextlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from harness.core.cluster import Cluster, Place
from harness.core.errors import UsageError
from harness.core.operations import Call, Completion, Outcome
from harness.core.protocols import HasClockFile, HasLeader, HasTrace, NodeStatus, TargetOptions
from target.adapters.etcd import EtcdTarget

HEADER = {"member_id": "101", "revision": "7", "raft_term": "3"}
RESET = None


@dataclass
class Gateway:
    """One node's port. Implements the part of ``Cluster`` that clients use."""

    answers: list[tuple[int, object] | None]
    chunked: bool = False
    asked: list[tuple[str, Any]] = field(default_factory=list)
    nodes: tuple[str, ...] = ("n1",)
    port: int = 0
    serving: list[asyncio.Task[None]] = field(default_factory=list)

    async def dial(
        self, node: str, port: int, timeout_s: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.append(cast(asyncio.Task[None], asyncio.current_task()))
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length:")[2].split()[0])
                body = json.loads(await reader.readexactly(length))
                self.asked.append((head.split()[1], body))
                answer = self.answers.pop(0)
                if answer is RESET:
                    return
                writer.write(self.encoded(*answer))
                await writer.drain()
        except (EOFError, OSError, asyncio.CancelledError):
            return
        finally:
            writer.transport.abort()

    def encoded(self, status: int, body: object) -> bytes:
        data = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} Whatever\r\n"
        if not self.chunked:
            return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data
        parts = [data[at : at + 10] for at in range(0, len(data), 10)]
        chunks = b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in parts)
        return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"


@contextlib.asynccontextmanager
async def at_work(gateway: Gateway) -> AsyncIterator[Cluster]:
    async with await asyncio.start_server(gateway.serve, "127.0.0.1", 0) as server:
        gateway.port = server.sockets[0].getsockname()[1]
        yield cast(Cluster, gateway)
        for connection in gateway.serving:
            connection.cancel()
        await asyncio.gather(*gateway.serving)
        gateway.serving.clear()


def told(gateway: Gateway, call: Call, reads: str = "linearizable") -> Completion:
    async def scenario() -> Completion:
        target = EtcdTarget(TargetOptions(choices={"reads": reads}))
        async with at_work(gateway) as cluster:
            client = target.client(cluster, "n1", 1)
            done = await client.invoke(call, 2.0)
            await client.close()
            return done

    return asyncio.run(scenario())


def status(gateway: Gateway) -> NodeStatus | None:
    async def scenario() -> NodeStatus | None:
        async with at_work(gateway) as cluster:
            target = EtcdTarget(TargetOptions())
            return (await target.statuses(cluster, 2.0)).get("n1")

    return asyncio.run(scenario())


def code(text: str) -> str:
    return b64encode(text.encode()).decode()


def ranged(text: str) -> tuple[int, object]:
    return 200, {"header": HEADER, "kvs": [{"value": code(text), "mod_revision": "5"}]}


WRITES = [Call("write", "x", 1), Call("cas", "x", (2, 1)), Call("cas", "x", (None, 1))]


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ((200, {"header": HEADER, "succeeded": True}), Outcome.OK),
        ((400, {"error": "etcdserver: key is not provided", "code": 3}), Outcome.FAIL),
        ((404, {"error": "Not Found", "code": 5}), Outcome.FAIL),
        ((503, {"error": "etcdserver: request timed out", "code": 14}), Outcome.INFO),
        ((503, {"error": "etcdserver: leader changed", "code": 14}), Outcome.INFO),
        ((503, {"error": "etcdserver: no leader", "code": 14}), Outcome.INFO),
        ((500, {"error": "raft proposal dropped", "code": 2}), Outcome.INFO),
        ((200, {"succeeded": True}), Outcome.INFO),
        (RESET, Outcome.INFO),
    ],
)
def test_answers_to_writes(call: Call, answer: tuple[int, object] | None, outcome: Outcome) -> None:
    gateway = Gateway([answer])
    assert told(gateway, call).outcome is outcome
    assert len(gateway.asked) == 1


def test_a_mismatch_is_definite() -> None:
    done = told(Gateway([(200, {"header": HEADER})]), Call("cas", "x", (2, 1)))
    assert (done.outcome, done.error) == (Outcome.FAIL, "mismatch")


def test_what_is_asked() -> None:
    gateway = Gateway([(200, {"header": HEADER, "succeeded": True})] * 2)
    assert told(gateway, Call("write", "x", 3)).position == 7
    told(gateway, Call("cas", "x", (3, 4)))
    (put, entry), (txn, body) = gateway.asked
    assert (put, txn) == ("/v3/kv/put", "/v3/kv/txn")
    assert entry == {"key": code("x"), "value": code("3")}
    assert body["compare"] == [
        {"key": code("x"), "result": "EQUAL", "target": "VALUE", "value": code("3")}
    ]
    assert body["success"] == [{"request_put": {"key": code("x"), "value": code("4")}}]


def test_a_change_is_made_on_the_revision_that_was_read() -> None:
    lost, won = (200, {"header": HEADER}), (200, {"header": HEADER, "succeeded": True})
    gateway = Gateway([ranged("4"), lost, ranged("6"), won])
    assert told(gateway, Call("increment", "c", 2)).outcome is Outcome.OK
    compared = gateway.asked[3][1]
    assert compared["compare"][0]["mod_revision"] == "5"
    assert compared["success"][0]["request_put"]["value"] == code("8")


@pytest.mark.parametrize("chunked", [False, True])
def test_reads(chunked: bool) -> None:
    gateway = Gateway([ranged("[1,2]"), (200, {"header": HEADER})], chunked)
    held, absent = (
        told(gateway, Call("read", "x")),
        told(gateway, Call("read", "x"), "serializable"),
    )
    assert (held.outcome, held.value, held.position) == (Outcome.OK, (1, 2), 5)
    assert (absent.outcome, absent.value, absent.position) == (Outcome.OK, None, 0)
    assert [body["serializable"] for _, body in gateway.asked] == [False, True]


@pytest.mark.parametrize(
    "answer", [(200, {}), (200, {"header": HEADER, "kvs": [{}]}), (503, {"error": "x"}), RESET]
)
def test_a_read_without_an_answer_is_no_read_of_nil(answer: tuple[int, object] | None) -> None:
    assert told(Gateway([answer]), Call("read", "x")).outcome is Outcome.INFO


def test_nobody_listens() -> None:
    async def scenario() -> Completion:
        gateway = Gateway([])
        async with at_work(gateway) as cluster:
            pass
        return await EtcdTarget(TargetOptions()).client(cluster, "n1", 1).invoke(WRITES[0], 2.0)

    assert asyncio.run(scenario()).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("body", "role", "leader"),
    [
        ({"leader": "101"}, "leader", "n1"),
        ({"leader": "102"}, "follower", None),
        ({}, "candidate", None),
    ],
)
def test_statuses(body: dict[str, str], role: str, leader: str | None) -> None:
    said = {"header": HEADER, "raftTerm": "3", **body}
    assert status(Gateway([(200, said)])) == NodeStatus("n1", role, 3, leader)


@pytest.mark.parametrize("answer", [(503, {}), (200, {"header": {}}), RESET])
def test_no_status(answer: tuple[int, object] | None) -> None:
    assert status(Gateway([answer])) is None


def test_what_it_promises_and_what_not() -> None:
    target = EtcdTarget(TargetOptions())
    assert isinstance(target, HasLeader)
    assert not isinstance(target, HasTrace)
    assert not isinstance(target, HasClockFile)
    with pytest.raises(UsageError, match="no seeded bugs"):
        EtcdTarget(TargetOptions(bugs=("early-ack",)))


@pytest.mark.parametrize(
    ("given", "election", "heartbeat"), [((), "1000", "100"), ((300, 200), "200", "20")]
)
def test_the_command_line(given: tuple[int, ...], election: str, heartbeat: str) -> None:
    place = Place("n2", {"n1": "10.0.0.1", "n2": "10.0.0.2"}, "python3", "/code", str(Path("/h")))
    argv = EtcdTarget(TargetOptions(election_timeout_ms=given)).server(place).argv
    assert argv[0] == "etcd"
    flags = dict(zip(argv[1::2], argv[2::2], strict=True))
    assert flags["--initial-cluster"] == "n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380"
    assert flags["--listen-client-urls"] == "http://10.0.0.2:2379"
    assert (flags["--election-timeout"], flags["--heartbeat-interval"]) == (election, heartbeat)
