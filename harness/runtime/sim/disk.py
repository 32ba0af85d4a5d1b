"""A simulated disk: what was written, what of it is durable, and everything that can go wrong.

A file is its bytes and how many of them are known to be durable. A crash of the machine (a power
loss, not the end of a process) keeps the durable part of each file; of what was written behind
it nothing, all, or a beginning that may end within a write or leave a sector of zeros: what a
journalling file system does to appended data. Creations and removals are durable at once.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass

SECTOR = 512


@dataclass(slots=True)
class _File:
    data: bytearray
    durable: int
    syncing: int = 0
    """Up to here a sync is under way."""


@dataclass(slots=True)
class Troubles:
    """What the disk does wrong from now on; everything off is a good disk.

    ``slow_ns`` on top of each sync; ``full``, ``read_only`` and ``broken`` (input/output error)
    refuse writes; ``lying`` syncs return at once and make nothing durable.
    """

    slow_ns: int = 0
    full: bool = False
    read_only: bool = False
    broken: bool = False
    lying: bool = False
    misdirected: float = 0.0
    """The share of writes that land on another place of the same file."""


class SimDisk:
    """One node's data directory. Implements :class:`harness.core.simulation.Files`."""

    def __init__(self, node: str, rng: random.Random) -> None:
        self.node = node
        self.troubles = Troubles()
        self.syncs = 0
        self.refused = 0
        """Writes and syncs that failed because of a trouble."""
        self.misplaced = 0
        self._rng = rng
        self._files: dict[str, _File] = {}

    # -- Files ----------------------------------------------------------------------------------

    def names(self) -> Sequence[str]:
        """See the protocol."""
        return sorted(self._files)

    def read(self, name: str) -> bytes:
        """See the protocol."""
        return bytes(self._file(name).data)

    def append(self, name: str, data: bytes) -> None:
        """See the protocol."""
        self._writable(name)
        file = self._file(name)
        troubles = self.troubles
        strays = troubles.misdirected and len(file.data) > len(data)
        if strays and self._rng.random() < troubles.misdirected:
            at = self._rng.randrange(len(file.data) - len(data))
            file.data[at : at + len(data)] = data
            file.data += bytes(len(data))
            self.misplaced += 1
            return
        file.data += data

    def sync(self, name: str) -> None:
        """See the protocol. It is under way until :meth:`settle`."""
        self._writable(name)
        self.syncs += 1
        if not self.troubles.lying:
            file = self._file(name)
            file.syncing = len(file.data)

    def create(self, name: str, data: bytes) -> None:
        """See the protocol."""
        self._writable(name)
        self.syncs += 1
        self._files[name] = _File(bytearray(data), len(data))

    def truncate(self, name: str, size: int) -> None:
        """See the protocol."""
        self._writable(name)
        file = self._file(name)
        del file.data[size:]
        file.durable = min(file.durable, size)
        file.syncing = min(file.syncing, size)

    def remove(self, name: str) -> None:
        """See the protocol."""
        self._writable(name)
        self._file(name)
        del self._files[name]

    def path(self, name: str) -> str:
        """See the protocol."""
        return f"{self.node}/{name}"

    def close(self) -> None:
        """See the protocol."""

    def _file(self, name: str) -> _File:
        file = self._files.get(name)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path(name))
        return file

    def _writable(self, name: str) -> None:
        troubles = self.troubles
        if troubles.full or troubles.read_only or troubles.broken:
            self.refused += 1
            code = errno.EIO
            if not troubles.broken:
                code = errno.EROFS if troubles.read_only else errno.ENOSPC
            raise OSError(code, os.strerror(code), self.path(name))

    # -- what happens to it ---------------------------------------------------------------------

    def settle(self) -> None:
        """Every sync that is under way comes to its end."""
        for file in self._files.values():
            file.durable = max(file.durable, file.syncing)

    @property
    def unsynced(self) -> int:
        """Bytes that a power loss may take."""
        return sum(len(file.data) - file.durable for file in self._files.values())

    def lose_power(self) -> int:
        """Keeps what is durable, and of the rest what chance leaves; the bytes that were lost."""
        lost = 0
        for name in sorted(self._files):
            file = self._files[name]
            tail = len(file.data) - file.durable
            if not tail:
                continue
            kept = self._rng.choice((0, 0, tail, self._rng.randrange(tail)))
            lost += tail - kept
            del file.data[file.durable + kept :]
            if kept and self._rng.random() < 0.25:
                # The file had grown before its data came.
                start = file.durable + self._rng.randrange(kept)
                end = min(len(file.data), (start // SECTOR + 1) * SECTOR)
                file.data[start:end] = bytes(end - start)
            file.durable = file.syncing = len(file.data)
        return lost

    def flip(self, prefix: str, bits: int = 1) -> str | None:
        """Flips bits somewhere in the files that begin so; says where, None if there is nothing."""
        names = [name for name in self.names() if name.startswith(prefix) and self._file(name).data]
        if not names:
            return None
        name = self._rng.choice(names)
        data = self._file(name).data
        at = self._rng.randrange(len(data))
        for _ in range(bits):
            data[min(len(data) - 1, at + self._rng.randrange(4))] ^= 1 << self._rng.randrange(8)
        return f"{name} at byte {at}"

    def cut_tail(self, prefix: str, most: int) -> str | None:
        """Cuts up to ``most`` bytes off the last file that begins so: a torn tail."""
        names = [name for name in self.names() if name.startswith(prefix)]
        if not names:
            return None
        file = self._file(names[-1])
        if len(file.data) < 2:
            return None
        gone = self._rng.randint(1, min(most, len(file.data) - 1))
        del file.data[len(file.data) - gone :]
        file.durable = min(file.durable, len(file.data))
        file.syncing = min(file.syncing, len(file.data))
        return f"{gone} bytes off {names[-1]}"

    def wipe(self) -> None:
        """Everything is gone."""
        self._files.clear()
