"""Does a packet get through right now? Datagrams between sockets of our own inside the nodes."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from harness.agent.linux import inside
from harness.agent.machines import Link, Machine

_TRIES = 3
"""Within the time; one copy could meet a queue that is full for a moment."""


@dataclass(frozen=True, slots=True)
class _Post:
    machine: Machine
    socket: socket.socket
    port: int


class Probes:
    """A UDP socket in each node, opened once, on a port that the kernel picks."""

    def __init__(self) -> None:
        self._posts: dict[str, _Post] = {}
        self._waiting: dict[tuple[str, int], asyncio.Future[int]] = {}
        self._numbers = itertools.count(1)

    def open(self, machine: Machine) -> None:
        """Opens the node's socket and begins to listen."""
        with inside(machine.netns):
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        made.bind((machine.address, 0))
        post = _Post(machine, made, made.getsockname()[1])
        self._posts[machine.node] = post
        asyncio.get_running_loop().add_reader(made, self._read, post)

    async def one_way(self, links: Sequence[Link], timeout_s: float) -> list[Link]:
        """Those of the links over which a datagram arrived in time; nothing is sent back."""
        arrivals = {link: self._expect(link[1]) for link in links}
        try:
            for _ in range(_TRIES):
                missing = [link for link in links if not arrivals[link][1].done()]
                if not missing:
                    break
                for link in missing:
                    self._send(link, b"there", arrivals[link][0])
                await asyncio.wait(
                    [arrivals[link][1] for link in missing], timeout=timeout_s / _TRIES
                )
            return [link for link in links if arrivals[link][1].done()]
        finally:
            for (_, to), (number, _) in arrivals.items():
                self._waiting.pop((to, number), None)

    async def round_trip(self, link: Link, timeout_s: float) -> int | None:
        """Nanoseconds for one datagram there and back; None when it did not come back in time."""
        number, back = self._expect(link[0])
        try:
            sent = time.monotonic_ns()
            self._send(link, b"echo", number)
            with suppress(TimeoutError):
                return await asyncio.wait_for(back, timeout_s) - sent
            return None
        finally:
            self._waiting.pop((link[0], number), None)

    def _expect(self, node: str) -> tuple[int, asyncio.Future[int]]:
        number = next(self._numbers)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[node, number] = future
        return number, future

    def _send(self, link: Link, word: bytes, number: int) -> None:
        source, to = self._posts[link[0]], self._posts[link[1]]
        # A local refusal (a filter that answers, a full buffer) is a packet that did not arrive.
        with suppress(OSError):
            source.socket.sendto(b"%s %d" % (word, number), (to.machine.address, to.port))

    def _read(self, post: _Post) -> None:
        with suppress(OSError):
            while True:
                data, sender = post.socket.recvfrom(64)
                now = time.monotonic_ns()
                word, _, number = data.partition(b" ")
                if word == b"echo":
                    post.socket.sendto(b"there " + number, sender)
                    continue
                waiting = self._waiting.get((post.machine.node, int(number)))
                if waiting is not None and not waiting.done():
                    waiting.set_result(now)
