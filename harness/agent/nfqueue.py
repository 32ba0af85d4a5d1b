"""Packets that wait for a verdict: the kernel's NFQUEUE over netlink (linux/nfnetlink_queue.h)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from harness.agent.netlink import (
    REQUEST,
    Message,
    Netlink,
    attribute,
    attributes,
    decode,
    encode,
)

QUEUE = 7411
"""The number of our queue, the same in every node's namespace."""

NETFILTER = 12
_SUBSYSTEM = 3 << 8
_PACKET, _VERDICT, _CONFIG = 0, 1, 2
_CFG_COMMAND, _CFG_PARAMS, _CFG_LENGTH, _CFG_MASK, _CFG_FLAGS = 1, 2, 3, 4, 5
_BIND, _COPY_PACKET = 1, 2
_FAIL_OPEN, _GSO = 1, 4
_PACKET_HEADER, _VERDICT_HEADER, _PAYLOAD, _INFO = 1, 2, 10, 14
_CHECKSUM_NOT_READY = 1
_SHORTEST = 20
"""An IPv4 header."""
_DROP, _ACCEPT = 0, 1
_WHOLE = 0xFFFF
"""How much of a packet is copied to us: all, as copies and flipped bits need it."""
_LONGEST = 65536
_BUFFER = 8 << 20
_SO_RCVBUFFORCE = 33
_SOL_NETLINK, _NETLINK_NO_ENOBUFS = 270, 5

_GENERAL = struct.Struct(">BBH")


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that waits: its number in the queue, its protocol family, its sender's address.

    ``payload`` is all of it, from the IP header on. ``unsummed``: the checksum of what is in it is
    still to be computed (a veth leaves that to nobody, RFC 1071's sum is only begun).
    """

    number: int
    family: int
    source: str
    payload: bytes = b""
    unsummed: bool = False


def general(family: int, queue: int) -> bytes:
    """The header of nfnetlink messages."""
    return _GENERAL.pack(family, 0, queue)


def packets(datagram: bytes) -> Iterator[Packet]:
    """The packets that a datagram from the kernel tells of."""
    for message in decode(datagram):
        if message.kind != _SUBSYSTEM | _PACKET or len(message.body) < _GENERAL.size:
            continue
        found = dict(attributes(message.body[_GENERAL.size :]))
        header, payload = found.get(_PACKET_HEADER, b""), found.get(_PAYLOAD, b"")
        if len(header) < 4:
            continue
        (number,) = struct.unpack_from(">I", header)
        source = socket.inet_ntoa(payload[12:16]) if len(payload) >= _SHORTEST else ""
        (info,) = struct.unpack(">I", found.get(_INFO, bytes(4))[:4].rjust(4, b"\0"))
        unsummed = bool(info & _CHECKSUM_NOT_READY)
        yield Packet(number, message.body[0], source, payload, unsummed)


def verdict(queue: int, packet: Packet, accept: bool, payload: bytes | None = None) -> bytes:
    """The message that lets a packet go on, or drops it; with a ``payload``, goes on as that.

    The kernel takes a checksum of a packet that was changed for one to be verified.
    """
    word = struct.pack(">II", _ACCEPT if accept else _DROP, packet.number)
    body = general(packet.family, queue) + attribute(_VERDICT_HEADER, word)
    if payload is not None:
        body += attribute(_PAYLOAD, payload)
    return encode(Message(_SUBSYSTEM | _VERDICT, REQUEST, 0, body))


class Queue:
    """A queue in the network namespace in which it is made.

    When it overflows packets pass; when its last descriptor closes it is gone, and a rule that
    says bypass lets packets pass.
    """

    def __init__(self, number: int) -> None:
        """Raises OSError: the kernel has no such queues, or somebody listens already."""
        self._netlink = Netlink(NETFILTER)
        flags = struct.pack(">I", _FAIL_OPEN | _GSO)
        try:
            self._configure(number, attribute(_CFG_COMMAND, struct.pack(">BBH", _BIND, 0, 0)))
            copy = struct.pack(">IB", _WHOLE, _COPY_PACKET)
            self._configure(number, attribute(_CFG_PARAMS, copy))
            self._configure(number, attribute(_CFG_LENGTH, struct.pack(">I", _LONGEST)))
            self._configure(number, attribute(_CFG_MASK, flags) + attribute(_CFG_FLAGS, flags))
        except OSError:
            self.close()
            raise
        made = self._netlink.socket
        # A burst must not overrun the socket; an ordinary user gets what the system allows.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        with suppress(PermissionError):
            made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        made.setsockopt(_SOL_NETLINK, _NETLINK_NO_ENOBUFS, 1)

    def _configure(self, number: int, attribute_bytes: bytes) -> None:
        body = general(socket.AF_UNSPEC, number) + attribute_bytes
        self._netlink.ask("binding a packet queue", _SUBSYSTEM | _CONFIG, 0, body)

    def fileno(self) -> int:
        """Of the socket: packets are received from it, verdicts sent to it."""
        return self._netlink.socket.fileno()

    def close(self) -> None:
        """Idempotent."""
        self._netlink.close()
