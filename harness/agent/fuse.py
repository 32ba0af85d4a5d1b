"""The kernel's FUSE protocol (linux/fuse.h), as much of it as one file needs; see fuse(4).

A mount's root may be a regular file: then there are no names to look up, and what remains is to
open it, to read, to write, and to sync.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass

GETATTR, SETATTR, OPEN, READ, WRITE, RELEASE, FSYNC, FLUSH, INIT = 3, 4, 14, 15, 16, 18, 20, 25, 26
UNANSWERED = frozenset({2, 36, 42})
"""FORGET, INTERRUPT, BATCH_FORGET: nobody waits for an answer."""

ROOT = 1
MAX_WRITE = 1 << 17
BUFFER = MAX_WRITE + 4096
"""A read of less than the greatest request is refused by the kernel."""

_MAJOR, _MINOR = 7, 31
_KEEP_CACHE = 2
_FOREVER_S = 1 << 30
_IN = struct.Struct("=IIQQIIIHH")
_OUT = struct.Struct("=IiQ")
_READ = struct.Struct("=QQI")
_WRITE = struct.Struct("=QQIIQII")
_INIT_OUT = struct.Struct("=IIIIHHIIHHI28x")
_ATTR_OUT = struct.Struct("=QIIQQQQQQIIIIIIIIII")


@dataclass(frozen=True, slots=True)
class Request:
    """One question of the kernel; ``offset``, ``size`` and ``data`` where it has them."""

    opcode: int
    unique: int
    offset: int = 0
    size: int = 0
    data: bytes = b""


def request(message: bytes) -> Request:
    """What a read of ``/dev/fuse`` gave."""
    _, opcode, unique, *_ = _IN.unpack_from(message)
    body = message[_IN.size :]
    match opcode:
        case 15:
            _, offset, size = _READ.unpack_from(body)
            return Request(opcode, unique, offset, size)
        case 16:
            _, offset, size, *_ = _WRITE.unpack_from(body)
            return Request(opcode, unique, offset, size, body[_WRITE.size : _WRITE.size + size])
        case _:
            return Request(opcode, unique)


def reply(unique: int, body: bytes = b"", error: int = 0) -> bytes:
    """An answer; ``error`` is an errno, and then there is no body."""
    return _OUT.pack(_OUT.size + len(body), -error, unique) + body


def initialised() -> bytes:
    """The body that answers INIT: our version of the protocol, no extras."""
    return _INIT_OUT.pack(_MAJOR, _MINOR, MAX_WRITE, 0, 16, 12, MAX_WRITE, 1, 0, 0, 0)


def attributes(size: int) -> bytes:
    """The body that answers GETATTR and SETATTR: a file of so many bytes, for ever."""
    head = (_FOREVER_S, 0, 0, ROOT, size, size // 512, 0, 0, 0, 0, 0, 0)
    return _ATTR_OUT.pack(*head, stat.S_IFREG | 0o600, 1, 0, 0, 0, 4096, 0)


def opened() -> bytes:
    """The body that answers OPEN: what the kernel knows of the file stays true."""
    return struct.pack("=QII", 0, _KEEP_CACHE, 0)


def written(size: int) -> bytes:
    """The body that answers WRITE."""
    return struct.pack("=II", size, 0)
