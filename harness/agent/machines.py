"""The nodes: where each one's network is, and which processes are its server."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from harness.agent import linux

Link = tuple[str, str]
"""(from node, to node)."""

CLIENTS = "clients"
"""The source of links on which clients' packets come."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What happens to packets of a directed link; all at nothing is a link as it was made.

    ``delay ± jitter``; ``loss``, ``duplicate``, ``reorder`` and ``corrupt`` are chances in 0..1.
    A copy comes ``late_ns`` behind its packet on average, a packet that is reordered so much later
    than in its turn. ``bytes_per_s`` 0 is no limit.
    """

    delay_ns: int = 0
    jitter_ns: int = 0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    late_ns: int = 0
    bytes_per_s: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Packets of a directed link, by what was done to them."""

    delayed: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    limited: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.delayed + other.delayed,
            self.lost + other.lost,
            self.duplicated + other.duplicated,
            self.reordered + other.reordered,
            self.corrupted + other.corrupted,
            self.limited + other.limited,
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """One node.

    ``netns`` is an open descriptor of its network namespace, ``device`` its interface in there.
    ``init`` is the process that keeps a container alive, which is not the server; None where a
    node is nothing but a namespace. ``home`` is the node's home as this process can reach it.
    """

    node: str
    address: str
    netns: int
    home: Path
    init: int | None = None
    device: str = "eth0"


def of_container(node: str, init: int, address: str, home: Path, device: str) -> Machine:
    """A container as a machine; ``init`` is its first process, by the host's number.

    Raises:
        OSError: no such process, or it may not be looked at.
    """
    return Machine(node, address, linux.open_netns(init), home, init, device)


@dataclass(frozen=True, slots=True)
class Process:
    """A living process: its state is a letter of proc(5), ``started`` in ticks since boot."""

    pid: int
    state: str
    started: int

    @property
    def stopped(self) -> bool:
        """Is it held by SIGSTOP?"""
        return self.state in "Tt"


def server(machine: Machine) -> list[Process]:
    """All processes of the node's server, the oldest first; zombies are dead.

    Who is in the node's network namespace belongs to the node, whoever its parent is and
    whichever session it went into: only root could leave. The container's init is no server.
    """
    here = os.fstat(machine.netns)
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == machine.init:
            continue
        try:
            there = Path(entry.path, "ns/net").stat()
            if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
                continue
            process = _read(int(entry.name))
        except OSError:
            # It ended while we looked, or it is the kernel's.
            continue
        if process.state not in "ZX":
            found.append(process)
    return sorted(found, key=lambda process: (process.started, process.pid))


def emptied(folder: Path, keep: Collection[str] = ()) -> int:
    """Removes all that is in a folder but what is named; how many bytes that were.

    Raises:
        OSError: something could not be removed.
    """
    removed = 0
    for entry in list(os.scandir(folder)):
        if entry.name in keep:
            continue
        if entry.is_dir(follow_symlinks=False):
            removed += emptied(Path(entry.path))
            Path(entry.path).rmdir()
        else:
            removed += entry.stat(follow_symlinks=False).st_size
            Path(entry.path).unlink()
    return removed


def _read(pid: int) -> Process:
    # The command's name is in brackets and may hold anything, brackets too.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Process(pid, fields[0], int(fields[19]))
