"""The bytes between nodes: frames, and a codec for the messages in them.

A frame is ``length (4) | CRC-32 of the payload (4) | payload``, big-endian. A payload is a type
byte and the message's fields in their order: numbers as 8 bytes, flags as one, texts and bytes
with their length in front, entries as a count and so many entries. The first frame of a
connection is a :class:`Hello`: it says who speaks; connections carry messages one way.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from target.events import Forward, Forwarded, PeerMessage
from target.raft.messages import (
    Append,
    AppendReply,
    Entry,
    InstallSnapshot,
    ReadAsk,
    ReadReply,
    RequestVote,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
)

MAX_FRAME = 64 << 20
"""Bytes; a longer one is not ours."""

_HEAD = struct.Struct(">II")
_NUMBER = struct.Struct(">Q")
_LENGTH = struct.Struct(">I")
_ENTRY = struct.Struct(">QQBI")


class WireError(ValueError):
    """Not a frame or message of ours; the connection cannot be used any more."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first words on a connection: who speaks, to whom, and in which version of this format."""

    version: int
    sender: str
    receiver: str


Wired: TypeAlias = Hello | PeerMessage

_TYPES: tuple[type[Wired], ...] = (
    Hello,
    RequestVote,
    VoteReply,
    Append,
    AppendReply,
    InstallSnapshot,
    SnapshotReply,
    TimeoutNow,
    ReadAsk,
    ReadReply,
    Forward,
    Forwarded,
)
_CODES = {kind: code for code, kind in enumerate(_TYPES)}
_LAYOUTS = {kind: tuple((field.name, str(field.type)) for field in fields(kind)) for kind in _TYPES}
VERSION = 2


def frame(message: Wired) -> bytes:
    """The message, framed."""
    kind = type(message)
    parts = [bytes([_CODES[kind]])]
    for name, layout in _LAYOUTS[kind]:
        value = getattr(message, name)
        match layout:
            case "int":
                parts.append(_NUMBER.pack(value))
            case "bool":
                parts.append(b"\x01" if value else b"\x00")
            case "bytes":
                parts += (_LENGTH.pack(len(value)), value)
            case "str":
                data = value.encode()
                parts += (_LENGTH.pack(len(data)), data)
            case _:
                parts.append(_LENGTH.pack(len(value)))
                for entry in value:
                    size = len(entry.data)
                    parts.append(_ENTRY.pack(entry.index, entry.term, entry.kind, size))
                    parts.append(entry.data)
    payload = b"".join(parts)
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def parse(payload: bytes) -> Wired:
    """The message in a payload.

    Raises:
        WireError: it is none.
    """
    try:
        kind = _TYPES[payload[0]]
        values: list[Any] = []
        at = 1
        for _, layout in _LAYOUTS[kind]:
            match layout:
                case "int":
                    values.append(_NUMBER.unpack_from(payload, at)[0])
                    at += 8
                case "bool":
                    values.append(payload[at] != 0)
                    at += 1
                case "bytes" | "str":
                    (size,) = _LENGTH.unpack_from(payload, at)
                    data = payload[at + 4 : at + 4 + size]
                    at += 4 + size
                    values.append(data if layout == "bytes" else data.decode())
                case _:
                    (count,) = _LENGTH.unpack_from(payload, at)
                    at += 4
                    entries = []
                    for _ in range(count):
                        index, term, flavour, size = _ENTRY.unpack_from(payload, at)
                        at += _ENTRY.size
                        entries.append(Entry(index, term, flavour, payload[at : at + size]))
                        at += size
                    values.append(tuple(entries))
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise WireError(f"no message: {error}") from error
    if at != len(payload):
        raise WireError(f"{kind.__name__}: {len(payload)} bytes, {at} expected")
    message: Wired = kind(*values)
    return message


class Unframer:
    """Bytes in as they arrive, payloads out."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that are complete now.

        Raises:
            WireError: a frame is damaged.
        """
        buffer = self._buffer + data if self._buffer else data
        payloads = []
        at = 0
        while len(buffer) - at >= _HEAD.size:
            length, crc = _HEAD.unpack_from(buffer, at)
            if length > MAX_FRAME:
                raise WireError(f"a frame of {length} bytes")
            start = at + _HEAD.size
            if len(buffer) - start < length:
                break
            payload = buffer[start : start + length]
            if zlib.crc32(payload) != crc:
                raise WireError("a frame's checksum is wrong")
            payloads.append(payload)
            at = start + length
        self._buffer = buffer[at:]
        return payloads
