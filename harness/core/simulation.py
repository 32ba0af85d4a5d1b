"""What a simulated world and a server that lives in it ask of each other.

The world owns time, network, disks and clocks; the server is a state machine that the world calls.
Everything happens on one thread, and nothing may depend on anything but these calls: that is what
makes a run repeat to the byte. See docs/simulation.md.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable


class Files(Protocol):
    """A node's data directory: few files, written at their ends.

    What was written can be read at once; it survives a crash of the machine only after ``sync``.
    Every method may raise OSError as a disk would.
    """

    def names(self) -> Sequence[str]:
        """Sorted."""

    def read(self, name: str) -> bytes:
        """All of it."""

    def append(self, name: str, data: bytes) -> None:
        """Adds to a file's end; the file must be there."""

    def sync(self, name: str) -> None:
        """What the file holds is durable afterwards."""

    def create(self, name: str, data: bytes) -> None:
        """A new file, complete and durable; until then it is not there at all."""

    def truncate(self, name: str, size: int) -> None:
        """Cuts a file, durably."""

    def remove(self, name: str) -> None:
        """Not durable until something else in the directory is."""

    def path(self, name: str) -> str:
        """Where a file is, for people."""

    def close(self) -> None:
        """Lets go of the directory."""


class Host(Protocol):
    """The machine as a server sees it."""

    node: str
    nodes: Sequence[str]
    home: Path
    """Where log.txt and the trace go; on this side's real disk."""
    files: Files

    def monotonic_ms(self) -> int:
        """The node's own monotonic clock, which may run fast or slow."""

    def wall_ns(self) -> int:
        """The node's own time of day, which may lie."""

    def true_ns(self) -> int:
        """The world's clock: for traces and logs alone."""

    def connected(self, peer: str) -> bool:
        """Is there a connection to send on?"""

    def send(self, peer: str, message: object, encode: Callable[[object], bytes]) -> None:
        """Sends one message on the connection, if there is one; it may never arrive.

        ``encode`` gives its bytes: asked for only when the world wants to see them.
        """

    def wake_at(self, due_ms: int) -> None:
        """Calls the server's ``wake`` when its clock shows this; replaces the call before."""

    def sync_then(self, done: Callable[[], None]) -> None:
        """Calls ``done`` when the disk has had the time that a sync takes."""

    def log(self, words: str) -> None:
        """A line in the node's log."""

    def fail(self, words: str) -> None:
        """The server ends by itself."""


class SimulatedServer(Protocol):
    """A server of one node, driven by the world. A new one is made for each start."""

    def start(self) -> None:
        """Reads the disk and begins to serve.

        Raises:
            OSError, ValueError: it cannot start; the words go to its log.
        """

    def receive(self, peer: str, message: object) -> None:
        """A message of another node, as it was sent."""

    def decode(self, data: bytes) -> object:
        """A message from its bytes.

        Raises:
            ValueError: they are damaged.
        """

    def lost(self, peer: str) -> None:
        """The connection to a peer broke: what was sent on it may be lost."""

    def leads(self) -> bool:
        """Does it take itself for the leader now? Never, where nobody leads."""

    def request(
        self,
        method: str,
        path: str,
        body: bytes,
        answer: Callable[[int, Mapping[str, object]], None],
    ) -> None:
        """A client's request; ``answer(status, body)`` is called at most once."""

    def wake(self) -> None:
        """The time that was asked for has come."""

    def stop(self) -> None:
        """An orderly end."""

    def abandon(self) -> None:
        """The process was killed: nothing may be written any more but what the disk already had."""


@runtime_checkable
class Simulable(Protocol):
    """A target whose server can live in a simulated world."""

    def simulated(self, host: Host, rng: random.Random) -> SimulatedServer:
        """A server for one start of a node."""


@runtime_checkable
class BringsLoop(Protocol):
    """A runtime whose runs go on an event loop, and in a time, of its own."""

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """A loop for one run; it keeps time (:class:`harness.core.clock.Timekeeper`)."""


@runtime_checkable
class Exchanges(Protocol):
    """A cluster that carries clients' requests without sockets."""

    async def exchange(
        self, node: str, method: str, path: str, body: bytes, timeout_s: float
    ) -> tuple[int, Mapping[str, object]]:
        """One request and its answer: status and body.

        Raises:
            ConnectionRefusedError: nobody listens; nothing was sent.
            ConnectionResetError: the server went away after the request was sent.
            TimeoutError: no answer in time.
        """
