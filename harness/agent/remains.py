"""What a power loss leaves of files: compared before and after, and sometimes a part of the rest.

A file system that delays its writes loses all that was not synced; a disk that had some of it on
its way keeps a beginning, which may end within a record or in sectors of zeros.
"""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.agent.damage import SECTOR

_BLOCK = 4096
_KEPT = 1 << 20
"""So much of a file's end is remembered: more is never unsynced of a server that syncs."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file: its size, a checksum of each block, its last bytes."""

    size: int
    sums: tuple[int, ...]
    end: bytes


def contents(folder: Path) -> dict[str, Content]:
    """Of every file below a folder, by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                sums = tuple(zlib.crc32(block) for block in iter(lambda: file.read(_BLOCK), b""))
                size = file.tell()
                file.seek(max(0, size - _KEPT))
                end = file.read()
            found[str(path.relative_to(folder))] = Content(size, sums, end)
    return found


def lost(before: Mapping[str, Content], after: Mapping[str, Content]) -> int:
    """Bytes that are not there any more: what files are shorter by, else blocks that differ."""
    total = 0
    for name, was in before.items():
        now = after.get(name, Content(0, (), b""))
        differ = sum(a != b for a, b in zip(was.sums, now.sums, strict=False))
        shorter = was.size - now.size
        total += shorter if shorter > 0 else min(was.size, differ * _BLOCK)
    return total


def tails(
    before: Mapping[str, Content], after: Mapping[str, Content], rng: random.Random
) -> dict[str, bytes]:
    """What chance gives back to files that became shorter: nothing, all, or a beginning, now and
    then with zeros for its last sectors."""
    given = {}
    for name, now in sorted(after.items()):
        was = before.get(name)
        if was is None or not 0 < was.size - now.size <= len(was.end):
            continue
        tail = was.end[now.size - was.size :]
        kept = rng.choice((0, 0, len(tail), rng.randrange(len(tail))))
        part = bytearray(tail[:kept])
        if kept and rng.random() < 0.25:
            # The file had grown before its data came; what is there came in whole sectors.
            at = (now.size + rng.randrange(kept)) // SECTOR * SECTOR
            at = max(at - now.size, 0)
            part[at:] = bytes(kept - at)
        if part:
            given[name] = bytes(part)
    return given


def give_back(folder: Path, given: Mapping[str, bytes]) -> None:
    """Appends these, durably.

    Raises:
        OSError: the file system refused.
    """
    for name, part in given.items():
        with (folder / name).open("ab") as file:
            file.write(part)
            file.flush()
            os.fsync(file.fileno())
