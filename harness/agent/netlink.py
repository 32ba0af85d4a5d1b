"""Netlink messages (RFC 3549; linux/netlink.h): the codec, and a socket that asks and is told.

A message is a header of 16 bytes, a body that depends on its type, and attributes: length, kind,
payload, padded to four bytes. Numbers are in the machine's order unless a caller packs them.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

REQUEST = 1
ACK = 4
REPLACE = 0x100
EXCLUSIVE = 0x200
CREATE = 0x400
NESTED = 0x8000
"""Marks an attribute whose payload is attributes."""

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = 2
_KIND_MASK = 0x3FFF
_RECEIVE = 1 << 16


@dataclass(frozen=True, slots=True)
class Message:
    """One message: ``kind`` is its type, ``body`` all after the header."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def _padding(length: int) -> bytes:
    return bytes(-length % 4)


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + _padding(length)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NESTED, b"".join(attributes))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, payload) of each attribute; a damaged tail ends the walk.

    The marks for nesting and byte order are taken off the kind.
    """
    start = 0
    while start + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < _ATTRIBUTE.size or start + length > len(data):
            return
        yield kind & _KIND_MASK, data[start + _ATTRIBUTE.size : start + length]
        start += length + len(_padding(length))


def encode(message: Message) -> bytes:
    """The bytes of one message (sender 0: the kernel fills it in)."""
    length = _HEADER.size + len(message.body)
    header = _HEADER.pack(length, message.kind, message.flags, message.sequence, 0)
    return header + message.body + _padding(length)


def decode(data: bytes) -> Iterator[Message]:
    """The messages of one datagram; a damaged tail ends the walk."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, start)
        if length < _HEADER.size or start + length > len(data):
            return
        yield Message(kind, flags, sequence, data[start + _HEADER.size : start + length])
        start += length + len(_padding(length))


class Netlink:
    """A netlink socket in the network namespace in which it is made."""

    def __init__(self, protocol: int) -> None:
        self.socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol
        )
        self.socket.bind((0, 0))
        self._sequence = 0

    def ask(self, what: str, kind: int, flags: int, body: bytes) -> None:
        """Sends a request and waits for the kernel's word.

        Raises:
            OSError: the kernel refused; the message begins with ``what``.
        """
        self._sequence += 1
        self.socket.send(encode(Message(kind, flags | REQUEST | ACK, self._sequence, body)))
        while True:
            for message in decode(self.socket.recv(_RECEIVE)):
                if message.kind == _ERROR and message.sequence == self._sequence:
                    (number,) = struct.unpack_from("=i", message.body)
                    if number:
                        raise OSError(-number, f"{what}: {os.strerror(-number)}")
                    return

    def close(self) -> None:
        """Idempotent."""
        self.socket.close()
