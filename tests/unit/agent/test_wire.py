"""The asking side: answers in any order, silence, death, and sockets that nobody wants."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import EnvironmentFailure
from harness.runtime.wire import Agent, SubprocessWire

Answerer = Callable[[dict[str, Any]], object]


class FakeWire:
    """Answers by a function of the request; None keeps silent."""

    def __init__(self, answerer: Answerer = lambda _: {}) -> None:
        self.answerer = answerer
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()
        self.asked: list[dict[str, Any]] = []
        self.all_asked = asyncio.Event()
        """After hello and three more."""

    async def send(self, line: bytes) -> None:
        request = json.loads(line)
        self.asked.append(request)
        if len(self.asked) == 4:
            self.all_asked.set()
        answer = {"protocol": 1} if request["op"] == "hello" else self.answerer(request)
        if answer is not None:
            self.say({"id": request["id"], "ok": answer})

    def say(self, reply: object) -> None:
        self.lines.put_nowait(json.dumps(reply).encode() + b"\n")

    async def receive(self) -> bytes:
        return await self.lines.get()

    def die(self) -> None:
        self.lines.put_nowait(b"")

    async def close(self) -> None:
        self.die()

    def last_words(self) -> str:
        return "out of memory"


@asynccontextmanager
async def speaking(wire: FakeWire, channel: socket.socket | None = None) -> AsyncIterator[Agent]:
    agent = Agent(wire, channel)
    await agent.start()
    try:
        yield agent
    finally:
        await agent.close()


def test_answers_find_who_asked_in_any_order() -> None:
    async def body() -> None:
        wire = FakeWire(lambda _: None)
        async with speaking(wire) as agent:
            asking = [asyncio.create_task(agent.request("state", node=n)) for n in ("a", "b", "c")]
            await asyncio.wait_for(wire.all_asked.wait(), 5)
            for request in reversed(wire.asked[1:]):
                wire.say({"id": request["id"], "ok": {"for": request["node"]}})
            wire.say({"id": 99, "ok": {}})
            assert [(await it)["for"] for it in asking] == ["a", "b", "c"]

    asyncio.run(body())


def test_a_refusal_names_the_request() -> None:
    async def body() -> None:
        wire = FakeWire(lambda _: None)
        async with speaking(wire) as agent:
            asking = asyncio.create_task(agent.request("cut", links=[]))
            await asyncio.sleep(0)
            wire.say({"id": 2, "error": "nft: no"})
            with pytest.raises(EnvironmentFailure, match="cut: nft: no"):
                await asking

    asyncio.run(body())


def test_silence_has_a_limit_and_a_late_answer_harms_nobody() -> None:
    async def body() -> None:
        wire = FakeWire(lambda request: None if request["op"] == "kill" else {"n": request["id"]})
        async with speaking(wire) as agent:
            with pytest.raises(EnvironmentFailure, match=r"no answer to 'kill' within 0\.01 s"):
                await agent.request("kill", 0.01)
            wire.say({"id": 2, "ok": {"n": "late"}})
            assert (await agent.request("state"))["n"] == 3

    asyncio.run(body())


def test_death_is_told_to_all_who_wait_and_all_who_come() -> None:
    async def body() -> None:
        wire = FakeWire(lambda _: None)
        async with speaking(wire) as agent:
            asking = [asyncio.create_task(agent.request("kill")) for _ in range(2)]
            await asyncio.sleep(0)
            wire.die()
            for it in (*asking, asyncio.create_task(agent.request("state"))):
                with pytest.raises(EnvironmentFailure, match="the agent has ended: out of memory"):
                    await it

    asyncio.run(body())


def test_another_protocol_is_refused() -> None:
    class Older(FakeWire):
        async def send(self, line: bytes) -> None:
            self.say({"id": json.loads(line)["id"], "ok": {"protocol": 0}})

    async def body() -> None:
        agent = Agent(Older())
        with pytest.raises(EnvironmentFailure, match="speaks protocol 0, this harness 1"):
            await agent.start()
        await agent.close()

    asyncio.run(body())


def passing(theirs: socket.socket) -> Answerer:
    """An agent that passes a socket with every answer."""

    def answer(request: dict[str, Any]) -> object:
        with socket.socket() as made:
            made.bind(("127.0.0.1", 0))
            socket.send_fds(theirs, [b"%d" % request["id"]], [made.fileno()])
        return {}

    return answer


def test_sockets_arrive_with_their_answers() -> None:
    async def body() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            async with speaking(FakeWire(passing(theirs)), ours) as agent:
                made = await asyncio.gather(*(agent.pass_socket() for _ in range(3)))
                assert len({it.getsockname() for it in made}) == 3
                for it in made:
                    it.close()

    asyncio.run(body())


def test_a_socket_that_nobody_waits_for_is_closed() -> None:
    async def body() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        wire = FakeWire(lambda _: None)
        with theirs:
            async with speaking(wire, ours) as agent:
                with pytest.raises(EnvironmentFailure, match="no answer"):
                    await agent.pass_socket(0.01)
                # Its other end tells when the last copy of it is closed.
                made, other = socket.socketpair()
                with other:
                    socket.send_fds(theirs, [b"2"], [made.fileno()])
                    made.close()
                    wire.say({"id": 2, "ok": {}})
                    other.setblocking(False)
                    received = await asyncio.wait_for(
                        asyncio.get_running_loop().sock_recv(other, 1), 5
                    )
                    assert received == b""

    asyncio.run(body())


def test_an_agent_without_a_channel_passes_nothing() -> None:
    async def body() -> None:
        async with speaking(FakeWire()) as agent:
            with pytest.raises(EnvironmentFailure, match="passes no sockets"):
                await agent.pass_socket()

    asyncio.run(body())


def test_the_last_words_of_a_child_are_in_the_message() -> None:
    async def body() -> None:
        words = "import sys; sys.stderr.write('first\\nno bridge here\\n')"
        agent = Agent(await SubprocessWire.start([sys.executable, "-c", words]))
        with pytest.raises(EnvironmentFailure, match="has ended: first; no bridge here"):
            await agent.start()
        await agent.close()

    asyncio.run(body())


def test_no_such_program(tmp_path: Path) -> None:
    async def body() -> None:
        await SubprocessWire.start([str(tmp_path / "python")])

    with pytest.raises(EnvironmentFailure, match="cannot start the agent: "):
        asyncio.run(body())
