"""The line to an agent (docs/agent-protocol.md): how it is started, asked and ended.

Runtimes differ in how the agent is reached (:class:`Wire`); what is said is the same.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from harness.agent import PROTOCOL
from harness.core.errors import EnvironmentFailure

ANSWER_S = 15.0
"""How long a request may take by default."""

_LEAVE_S = 5.0
_LAST_LINES = 5

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from harness.agent.__main__ import main; sys.exit(main(sys.argv[1:]))"
)


def agent_command(python: str, code: str, *arguments: str) -> list[str]:
    """The command line of an agent: isolated, and without site-packages, so that it starts fast.

    ``code`` is the directory that holds the package ``harness``, where the agent runs.
    """
    return [python, "-I", "-S", "-c", _BOOT, code, *arguments]


class Wire(Protocol):
    """A way to an agent: lines to its standard input, lines from its standard output."""

    async def send(self, line: bytes) -> None:
        """One line, its end included. Raises OSError when the agent is gone."""

    async def receive(self) -> bytes:
        """The next line; empty when there will be no more."""

    async def close(self) -> None:
        """Ends the agent's standard input and waits until it has left. Idempotent."""

    def last_words(self) -> str:
        """The end of what it wrote to its standard error."""


class Agent:
    """Asks, and hands each answer to who asked.

    Begin with :meth:`start`, and always end with :meth:`close`. ``channel`` is this side of the
    socket over which the agent passes descriptors, where there is one.
    """

    def __init__(self, wire: Wire, channel: socket.socket | None = None) -> None:
        self._wire = wire
        self._channel = channel
        if channel is not None:
            channel.setblocking(False)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._passed: dict[int, socket.socket] = {}
        self._reading: asyncio.Task[None] | None = None
        self._dead = False

    async def start(self) -> None:
        """Begins to listen, and checks that the other side speaks the same language.

        Raises:
            EnvironmentFailure: it does not, or it died; its last words are in the message.
        """
        self._reading = asyncio.create_task(self._read())
        hello = await self.request("hello")
        if hello["protocol"] != PROTOCOL:
            raise EnvironmentFailure(
                f"the agent speaks protocol {hello['protocol']}, this harness {PROTOCOL}: "
                "its image is of another version"
            )

    async def request(self, op: str, limit_s: float = ANSWER_S, **fields: object) -> Any:
        """The ``ok`` of the answer (docs/agent-protocol.md).

        Raises:
            EnvironmentFailure: the agent refused, did not answer in time, or is dead.
        """
        return await self._ask(next(self._numbers), op, limit_s, fields)

    async def pass_socket(self, limit_s: float = ANSWER_S) -> socket.socket:
        """A TCP socket that was made inside the cluster's network, not connected yet.

        Raises:
            EnvironmentFailure: as for any request.
        """
        if self._channel is None:
            raise EnvironmentFailure("this agent passes no sockets")
        number = next(self._numbers)
        try:
            await self._ask(number, "socket", limit_s, {})
        except BaseException:
            # It may have been passed all the same.
            passed = self._passed.pop(number, None)
            if passed is not None:
                passed.close()
            raise
        return self._passed.pop(number)

    async def close(self) -> None:
        """The agent undoes what it did and ends. Idempotent."""
        await self._wire.close()
        if self._reading is not None:
            await self._reading
        if self._channel is not None:
            self._channel.close()

    async def _ask(self, number: int, op: str, limit_s: float, fields: Mapping[str, object]) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        line = json.dumps({"id": number, "op": op, **fields}).encode() + b"\n"
        try:
            async with asyncio.timeout(limit_s):
                if self._dead:
                    raise self._death()
                await self._wire.send(line)
                reply = await answer
        except TimeoutError:
            raise EnvironmentFailure(f"no answer to {op!r} within {limit_s:g} s") from None
        except OSError as error:
            raise self._death() from error
        finally:
            self._waiting.pop(number, None)
        if "error" in reply:
            raise EnvironmentFailure(f"{op}: {reply['error']}")
        return reply["ok"]

    async def _read(self) -> None:
        try:
            with suppress(OSError):
                while line := await self._wire.receive():
                    reply = json.loads(line)
                    if self._channel is not None:
                        self._pick_up(self._channel)
                    answer = self._waiting.get(reply["id"])
                    if answer is not None and not answer.done():
                        answer.set_result(reply)
        finally:
            self._dead = True
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(self._death())

    def _pick_up(self, channel: socket.socket) -> None:
        # The agent passes a descriptor before it answers, so here it has arrived.
        with suppress(BlockingIOError):
            while True:
                data, descriptors, _, _ = socket.recv_fds(channel, 32, 1)
                if not data:
                    return
                passed = socket.socket(fileno=descriptors[0])
                if int(data) in self._waiting:
                    self._passed[int(data)] = passed
                else:
                    passed.close()

    def _death(self) -> EnvironmentFailure:
        words = self._wire.last_words()
        return EnvironmentFailure(f"the agent has ended: {words or 'without a word'}")


class SubprocessWire:
    """An agent that is a child of this process; made by :meth:`start`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, argv: Sequence[str], pass_fds: Sequence[int] = ()) -> SubprocessWire:
        """Starts it, in a session of its own: Ctrl-C is the harness' business.

        Raises:
            EnvironmentFailure: there is no such program.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=pass_fds,
                start_new_session=True,
                limit=1 << 24,
            )
        except OSError as error:
            raise EnvironmentFailure(f"cannot start the agent: {error}") from error
        return cls(process)

    async def send(self, line: bytes) -> None:
        """See :class:`Wire`."""
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        await self._process.stdin.drain()

    async def receive(self) -> bytes:
        """See :class:`Wire`."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            # Its last words come by another pipe: they are complete when that one has ended.
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._listening), _LEAVE_S)
        return line

    async def close(self) -> None:
        """See :class:`Wire`; an agent that does not leave is killed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _LEAVE_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._listening

    def last_words(self) -> str:
        """See :class:`Wire`."""
        return "; ".join(self._said)

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._said.append(line.decode(errors="replace").strip())
