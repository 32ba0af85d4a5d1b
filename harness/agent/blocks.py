"""The process that is the nodes' disks: it keeps their blocks, and is slow or fails as it is told.

Each disk is a file of a FUSE file system under a loop device, so that the kernel's own ext4 runs on
it and its servers notice nothing. The blocks live in memory (memfd_create(2)) and end with this
process; so does every request that waits for it, with an error.

It inherits a line to the agent and, for each disk, a connection to the kernel and the memory. A
request is a line: for each disk [slow_ns, broken, bytes_per_s], or null to only ask. The answer is
a line: for each disk [writes and syncs refused, syncs slowed, reads and writes held back].
"""

from __future__ import annotations

import errno
import heapq
import json
import os
import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

from harness.agent import fuse, linux

_AT_ONCE = 64


class Store:
    """One disk: blocks, what is wrong with it, and what that did so far."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._size = os.fstat(memory).st_size
        self.slow_ns = 0
        self.broken = False
        self.bytes_per_s = 0
        self.refused = 0
        self.slowed = 0
        self.limited = 0
        self._free_ns = 0
        """When what was asked for so far has gone through at the disk's rate."""

    def answer(self, request: fuse.Request) -> tuple[bytes, int]:
        """(the answer, nanoseconds to hold it back)."""
        unique = request.unique
        changes = request.opcode in (fuse.WRITE, fuse.FSYNC)
        if changes and self.broken:
            self.refused += 1
            return fuse.reply(unique, error=errno.EIO), 0
        hold = self.slow_ns if request.opcode == fuse.FSYNC else 0
        self.slowed += hold > 0
        return self._body(request), max(hold, self._transfer_ns(request))

    def _transfer_ns(self, request: fuse.Request) -> int:
        """How long it takes at the disk's rate; a sync, until what came before is through."""
        if not self.bytes_per_s or request.opcode not in (fuse.READ, fuse.WRITE, fuse.FSYNC):
            return 0
        now = time.monotonic_ns()
        taken_ns = request.size * 1_000_000_000 // self.bytes_per_s
        self._free_ns = max(self._free_ns, now) + taken_ns
        self.limited += taken_ns > 0
        return self._free_ns - now

    def obey(self, slow_ns: int, broken: bool, bytes_per_s: int) -> None:
        """From now on."""
        if bytes_per_s != self.bytes_per_s:
            self._free_ns = 0
        self.slow_ns, self.broken, self.bytes_per_s = slow_ns, broken, bytes_per_s

    @property
    def fast(self) -> bool:
        """Whether it holds nothing back."""
        return not (self.slow_ns or self.bytes_per_s)

    def _body(self, request: fuse.Request) -> bytes:
        unique = request.unique
        match request.opcode:
            case fuse.INIT:
                return fuse.reply(unique, fuse.initialised())
            case fuse.GETATTR | fuse.SETATTR:
                return fuse.reply(unique, fuse.attributes(self._size))
            case fuse.OPEN:
                return fuse.reply(unique, fuse.opened())
            case fuse.READ:
                return fuse.reply(unique, os.pread(self._memory, request.size, request.offset))
            case fuse.WRITE:
                wrote = os.pwrite(self._memory, request.data, request.offset)
                return fuse.reply(unique, fuse.written(wrote))
            case fuse.FSYNC | fuse.FLUSH | fuse.RELEASE:
                return fuse.reply(unique)
            case _:
                return fuse.reply(unique, error=errno.ENOSYS)


def obey(line: bytes, stores: Sequence[Store]) -> bytes:
    """Obeys a request of the agent and tells the counts."""
    told = json.loads(line)
    if told is not None:
        for store, orders in zip(stores, told, strict=True):
            store.obey(*orders)
    counts = [[store.refused, store.slowed, store.limited] for store in stores]
    return json.dumps(counts).encode() + b"\n"


def main(arguments: Sequence[str]) -> None:
    """``arguments`` are the inherited descriptors: the line, then for each disk the connection to
    the kernel and the memory."""
    linux.die_with_parent()
    # The disks will be mounted in the agent's view, which must not be ours too. Whoever leaves a
    # view last unmounts what is in it, which writes to the disks, before the kernel takes their
    # connections from it: were that us, we would wait for our own answer for ever.
    linux.unshare(linux.CLONE_NEWNS)
    line = socket.socket(fileno=int(arguments[0]))
    numbers = [int(argument) for argument in arguments[1:]]
    stores = {
        kernel: Store(memory) for kernel, memory in zip(numbers[::2], numbers[1::2], strict=True)
    }
    for kernel in stores:
        os.set_blocking(kernel, False)
    waiting: list[tuple[int, int, int, bytes]] = []
    arrivals = 0
    asked = b""
    while True:
        pause = max(0, waiting[0][0] - time.monotonic_ns()) / 1e9 if waiting else None
        ready, _, _ = select.select([line.fileno(), *stores], [], [], pause)
        while waiting and waiting[0][0] <= time.monotonic_ns():
            _, _, kernel, held = heapq.heappop(waiting)
            _tell(kernel, held)
        for kernel in stores.keys() & set(ready):
            with suppress(OSError):
                for _ in range(_AT_ONCE):
                    request = fuse.request(os.read(kernel, fuse.BUFFER))
                    if request.opcode in fuse.UNANSWERED:
                        continue
                    answer, hold = stores[kernel].answer(request)
                    if hold:
                        arrivals += 1
                        due = time.monotonic_ns() + hold
                        heapq.heappush(waiting, (due, arrivals, kernel, answer))
                    else:
                        _tell(kernel, answer)
        if line.fileno() in ready:
            part = line.recv(1 << 16)
            if not part:
                return
            asked += part
            while b"\n" in asked:
                told, _, asked = asked.partition(b"\n")
                line.sendall(obey(told, list(stores.values())))
                # Whoever is fast again answers at once what it held back.
                waiting = [
                    (0 if stores[kernel].fast else due, number, kernel, held)
                    for due, number, kernel, held in waiting
                ]
                heapq.heapify(waiting)


def _tell(kernel: int, answer: bytes) -> None:
    # Who asked may be gone, and the mount with it.
    with suppress(OSError):
        os.write(kernel, answer)
