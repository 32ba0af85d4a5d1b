"""Connections between nodes: one each way, quick to notice that the other is gone.

A node dials every other and only sends on that connection; what it hears comes on connections
that others dialled. TCP by itself comes back from a healed partition after seconds, its
retransmissions having backed off. So a connection on which sent bytes stay unacknowledged for
:data:`SILENCE_MS` is given up by the kernel, and a new one is tried every :data:`DIAL_S`. What was
on its way is lost; Raft repeats what matters.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from target.events import PeerMessage
from target.wire import VERSION, Hello, Unframer, WireError, frame, parse

SILENCE_MS = 400
"""A connection whose bytes the other side does not acknowledge for so long is dropped."""
DIAL_S = 0.25
"""Time limit of one attempt to connect. A round trip must be shorter."""
PAUSE_S = 0.1
"""Between attempts that failed at once."""
BACKLOG_BYTES = 8 << 20
"""Beyond so much unsent, messages are dropped: the other side is stopped or too slow."""


class _Outgoing(asyncio.Protocol):
    """Notices the end of a connection; nothing is ever received on it."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, _exc: Exception | None) -> None:
        """From asyncio."""
        if not self.lost.done():
            self.lost.set_result(None)


class Link:
    """The sending side towards one peer. Messages are lost while there is no connection."""

    def __init__(
        self,
        me: str,
        peer: str,
        address: tuple[str, int],
        on_change: Callable[[str, bool], None],
    ) -> None:
        """``on_change(peer, connected)`` is called whenever that changes."""
        self.peer = peer
        self._me = me
        self._address = address
        self._on_change = on_change
        self._transport: asyncio.Transport | None = None
        self._frames: list[bytes] = []

    @property
    def connected(self) -> bool:
        """Whether it is worth while to encode a message."""
        return self._transport is not None

    def put(self, framed: bytes) -> None:
        """One more frame for the next :meth:`flush`."""
        self._frames.append(framed)

    def flush(self) -> None:
        """Sends what was put, in one write."""
        if self._frames:
            transport = self._transport
            if transport is not None and transport.get_write_buffer_size() < BACKLOG_BYTES:
                transport.write(b"".join(self._frames))
            self._frames.clear()

    async def run(self) -> None:
        """Keeps a connection up, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(DIAL_S):
                    transport, protocol = await loop.create_connection(_Outgoing, *self._address)
            except (OSError, TimeoutError):
                await asyncio.sleep(PAUSE_S)
                continue
            try:
                _impatient(transport)
                transport.write(frame(Hello(VERSION, self._me, self.peer)))
                self._transport = transport
                self._on_change(self.peer, True)
                await protocol.lost
            finally:
                self._transport = None
                transport.abort()
            self._on_change(self.peer, False)
            await asyncio.sleep(PAUSE_S / 10)


def _impatient(transport: asyncio.BaseTransport) -> None:
    connection: socket.socket = transport.get_extra_info("socket")
    with contextlib.suppress(AttributeError, OSError):  # where the platform has no such option
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)


class Incoming(asyncio.Protocol):
    """The receiving side of one connection. A newer one of the same peer replaces it."""

    def __init__(
        self,
        me: str,
        others: dict[str, Incoming | None],
        deliver: Callable[[str, PeerMessage], None],
        log: Callable[[str], None],
    ) -> None:
        self._me = me
        self._others = others
        self._deliver = deliver
        self._log = log
        self._peer: str | None = None
        self._unframer = Unframer()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        """From asyncio."""
        self._transport = None
        if self._peer is not None and self._others[self._peer] is self:
            self._others[self._peer] = None

    def data_received(self, data: bytes) -> None:
        """From asyncio."""
        try:
            for payload in self._unframer.feed(data):
                if self._transport is None:
                    return  # replaced meanwhile
                self._take(payload)
        except WireError as error:
            self._log(f"dropped a connection from {self._peer or 'somebody'}: {error}")
            self.close()

    def _take(self, payload: bytes) -> None:
        message = parse(payload)
        match message, self._peer:
            case Hello(version, sender, receiver), None:
                if version != VERSION or receiver != self._me or sender not in self._others:
                    raise WireError(f"{sender} (format {version}) wants to talk to {receiver}")
                self._peer = sender
                older = self._others[sender]
                self._others[sender] = self
                if older is not None:
                    older.close()
            case Hello(), _:
                raise WireError("a second greeting")
            case _, None:
                raise WireError("no greeting")
            case _, str(peer):
                self._deliver(peer, message)

    def close(self) -> None:
        """Nothing more is taken from it."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
