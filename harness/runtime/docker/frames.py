"""The stream of an attached container without a terminal: frames that name their stream.

Docker Engine API, "Attach to a container", stream format: a byte for the stream, three zero
bytes, the payload's length as a big-endian 32-bit number, the payload.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

STDOUT = 1
STDERR = 2
_HEADER = struct.Struct(">BxxxI")


@dataclass(slots=True)
class Demultiplexer:
    """Cuts a byte stream into frames, however the bytes arrive."""

    _buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames (stream, payload) that are complete now; empty payloads are left out."""
        self._buffer += data
        frames: list[tuple[int, bytes]] = []
        at = 0
        while len(self._buffer) - at >= _HEADER.size:
            stream, length = _HEADER.unpack_from(self._buffer, at)
            end = at + _HEADER.size + length
            if len(self._buffer) < end:
                break
            if length:
                frames.append((stream, bytes(self._buffer[at + _HEADER.size : end])))
            at = end
        del self._buffer[:at]
        return frames
