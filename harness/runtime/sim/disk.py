"""A simulated disk: what was written, what of it is durable, and everything that can go wrong.

A file is its bytes and how many of them are known to be durable. A crash of the machine (a power
loss, not the end of a process) keeps the durable part of each file; of what was written behind
it nothing, all, or a beginning that may end within a write or in sectors of zeros: what a
journalling file system does to appended data. Creations and removals are durable at once.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.agent.damage import SECTOR, Damage, applied, drawn, undone
from harness.core.cluster import DiskCounts, DiskTrouble

BLOCK = 4096
"""What is written is written in whole ones."""


@dataclass(slots=True)
class _File:
    data: bytearray
    durable: int
    syncing: int = 0
    """Up to here a sync is under way."""


class SimDisk:
    """One node's data directory. Implements :class:`harness.core.simulation.Files`."""

    def __init__(self, node: str, rng: random.Random) -> None:
        self.node = node
        self.trouble = DiskTrouble()
        self.counts = DiskCounts()
        self._rng = rng
        self._files: dict[str, _File] = {}
        self._damage: Damage | None = None
        """The last one that was not repaired."""

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
        self._file(name).data += data

    def sync(self, name: str) -> None:
        """See the protocol. It is under way until :meth:`settle`."""
        self._writable(name)
        file = self._file(name)
        file.syncing = len(file.data)

    def create(self, name: str, data: bytes) -> None:
        """See the protocol."""
        self._writable(name)
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
        trouble = self.trouble
        if trouble.full or trouble.read_only or trouble.broken:
            self.counts = replace(self.counts, refused=self.counts.refused + 1)
            code = errno.EIO
            if not trouble.broken:
                code = errno.EROFS if trouble.read_only else errno.ENOSPC
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
                # The file had grown before its data came; what is there came in whole sectors.
                start = (file.durable + self._rng.randrange(kept)) // SECTOR * SECTOR
                start = max(start, file.durable)
                file.data[start:] = bytes(len(file.data) - start)
            file.durable = file.syncing = len(file.data)
        return lost

    def wipe(self) -> int:
        """Another disk, with nothing on it; the bytes that were lost."""
        lost = sum(len(file.data) for file in self._files.values())
        self._files.clear()
        self._damage = None
        return lost

    def extra_ns(self) -> int:
        """How much longer a sync takes that begins now; at a limited rate, what its blocks do."""
        slow_ns, rate = self.trouble.slow_ns, self.trouble.bytes_per_s
        if slow_ns:
            self.counts = replace(self.counts, slowed=self.counts.slowed + 1)
        if rate:
            self.counts = replace(self.counts, limited=self.counts.limited + 1)
            slow_ns += -(-self.unsynced // BLOCK) * BLOCK * 1_000_000_000 // rate
        return slow_ns

    def damage(self, how: str) -> str | None:
        """Changes bytes of a file as :mod:`harness.agent.damage` draws it; says where. None where
        there is nothing. What was there before is kept for :meth:`repair`."""
        sizes = {name: len(self._file(name).data) for name in self.names()}
        damage = self._damage = drawn(sizes, self.read, how, self._rng)
        if damage is None:
            return None
        self._rewrite(damage.name, applied(self.read(damage.name), damage))
        return damage.words

    def repair(self) -> None:
        """The bytes that were damaged last are as they were, unless others were written there."""
        damage, self._damage = self._damage, None
        if damage is not None and damage.name in self._files:
            sound = undone(self.read(damage.name), damage)
            if sound is not None:
                self._rewrite(damage.name, sound)

    def _rewrite(self, name: str, data: bytes) -> None:
        file = self._file(name)
        file.data[:] = data
        file.durable = file.syncing = len(data)
