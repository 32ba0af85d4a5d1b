"""What servers may take: processor time and memory by cgroups of our own, files by prlimit(2).

A group is made below the one in which the node's processes are (cgroup v1), or at the top of the
hierarchy, where alone processes may be beside groups (v2), with the first limit, and goes with the
last one. What a killed agent leaves are empty groups, whose names tell whose they were.
"""

from __future__ import annotations

import errno
import os
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.agent import linux, machines
from harness.agent.machines import Machine

PREFIX = "quorum-"
_PERIOD_US = 100_000
_LEAST_US = 1_000
_CONTROLLERS = ("cpu", "memory")
_PATIENCE_S = 5.0
_POLL_S = 0.01
_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Limit:
    """``cpu`` in processors (0.1 is a tenth of one); ``memory`` in bytes that may be taken besides
    what is in use, which stays charged where it was; ``files``: no more descriptors than are open.
    None, False: no limit."""

    cpu: float | None = None
    memory: int | None = None
    files: bool = False


@dataclass(frozen=True, slots=True)
class Hits:
    """How often a limit was met since it was set: periods without processor time, requests for
    memory beyond the limit; and processes that can open nothing at this moment."""

    throttled: int = 0
    refused: int = 0
    exhausted: int = 0


@dataclass(slots=True)
class _Limited:
    machine: Machine
    groups: dict[str, Path] = field(default_factory=dict)
    parents: dict[str, Path] = field(default_factory=dict)
    files: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Process → its limits as they were."""


class Limits:
    """Of all nodes; ``name`` says whose they are."""

    def __init__(self, name: str) -> None:
        """Changes nothing yet."""
        self._name = name
        self._limited: dict[str, _Limited] = {}

    def limit(self, machine: Machine, limit: Limit) -> None:
        """These limits and no others, for the processes that the server has now.

        Raises:
            OSError: the kernel refused.
        """
        self.lift(machine.node)
        limited = self._limited[machine.node] = _Limited(machine)
        pids = [process.pid for process in machines.server(machine)]
        if limit.cpu is not None:
            group = self._group(limited, "cpu", pids)
            quota = max(_LEAST_US, int(limit.cpu * _PERIOD_US))
            if (group / "cpu.max").exists():
                (group / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
            else:
                (group / "cpu.cfs_quota_us").write_text(str(quota))
        if limit.memory is not None:
            group = self._group(limited, "memory", pids)
            v2 = (group / "memory.max").exists()
            file = "memory.max" if v2 else "memory.limit_in_bytes"
            (group / file).write_text(str(limit.memory))
        if limit.files:
            for pid in pids:
                _shut(limited, pid)

    def hits(self, node: str) -> Hits:
        """Since the limits were set; nothing where none are."""
        limited = self._limited.get(node)
        if limited is None:
            return Hits()
        exhausted = sum(_is_exhausted(pid) for pid in limited.files)
        throttled = _number(limited.groups.get("cpu"), "cpu.stat", "nr_throttled")
        memory = limited.groups.get("memory")
        refused = _number(memory, "memory.failcnt", "") + _number(memory, "memory.events", "max")
        return Hits(throttled, refused, exhausted)

    def lift(self, node: str) -> None:
        """No limits.

        Raises:
            OSError: the kernel refused.
        """
        limited = self._limited.pop(node, None)
        if limited is None:
            return
        for pid, before in limited.files.items():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        for kind, group in limited.groups.items():
            _dissolve(group, limited.parents[kind])

    def remove(self) -> None:
        """All of them."""
        for node in list(self._limited):
            self.lift(node)

    def _group(self, limited: _Limited, kind: str, pids: Sequence[int]) -> Path:
        init = limited.machine.init
        parent = _home(kind, "self" if init is None else init)
        group = parent / f"{PREFIX}{self._name}-{limited.machine.node}"
        limited.parents[kind] = parent
        group.mkdir()
        limited.groups[kind] = group
        for number in pids:
            with suppress(ProcessLookupError):
                (group / "cgroup.procs").write_text(str(number))
        return group


def _dissolve(group: Path, parent: Path) -> None:
    """Removes a group whose processes go on in its parent.

    A process that is just being ended cannot be moved, and holds its group until it is gone.

    Raises:
        OSError: the kernel refused, or somebody stayed.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        for member in (group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                (parent / "cgroup.procs").write_text(member)
        try:
            group.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(_POLL_S)


def lacks() -> str | None:
    """Why there can be no groups here: one of each kind is made for a moment."""
    for kind in _CONTROLLERS:
        try:
            group = _home(kind, "self") / f"{PREFIX}probe-{os.getpid()}"
            group.mkdir()
            try:
                file = "cpu.max" if (group / "cpu.max").exists() else "cpu.cfs_quota_us"
                if kind == "cpu":
                    (group / file).write_text("50000")
            finally:
                group.rmdir()
        except OSError as error:
            return f"no cgroup for {kind}: {error.strerror or error} ({error.filename})"
    return None


def prlimit_lacks() -> str | None:
    """Why descriptors of another user's processes cannot be limited, tried on a child that is one.

    Where nobody can become another user, as in a user namespace, servers are all our own.
    """
    ready, tell = os.pipe()
    stay, leave = os.pipe()
    child = os.fork()
    if not child:
        with suppress(OSError):
            os.close(ready)
            os.close(leave)
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
            os.write(tell, b"x")
            os.read(stay, 1)
        os._exit(0)
    try:
        os.close(tell)
        if os.read(ready, 1):
            soft, hard = resource.prlimit(child, resource.RLIMIT_NOFILE)
            resource.prlimit(child, resource.RLIMIT_NOFILE, (min(soft, 64), hard))
    except OSError as error:
        why = error.strerror or str(error)
        return f"to limit the descriptors of another user's server needs CAP_SYS_RESOURCE ({why})"
    else:
        return None
    finally:
        for end in (ready, stay, leave):
            os.close(end)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def _home(kind: str, pid: int | str) -> Path:
    """Where a group of a process' own can be made.

    Raises:
        OSError: there is no such controller, or it may not be written.
    """
    paths = _paths(Path(f"/proc/{pid}/cgroup").read_text())
    if kind in paths:
        return _mounted("cgroup", kind) / paths[kind].lstrip("/")
    top = _mounted("cgroup2", "")
    if kind not in (top / "cgroup.controllers").read_text().split():
        raise FileNotFoundError(2, f"the kernel's groups know no {kind}", str(top))
    (top / "cgroup.subtree_control").write_text(f"+{kind}")
    return top


def _paths(text: str) -> dict[str, str]:
    """From /proc/PID/cgroup: controller of a v1 hierarchy → path in it."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(filter(None, controllers.split(",")), path)
    return found


def _mounted(kind: str, controller: str) -> Path:
    """Where a hierarchy is mounted and can be written; mounted anew where it is not (containers
    see theirs read-only)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        options, (fstype, _, superblock) = before.split()[5], after.split()[:3]
        writable = "rw" in options.split(",") and "rw" in superblock.split(",")
        if fstype == kind and writable and controller in ("", *superblock.split(",")):
            return Path(before.split()[4])
    folder = tempfile.mkdtemp(prefix="quorum-cgroup-")
    try:
        linux.mount("quorum", folder, kind, 0, controller)
    except OSError:
        Path(folder).rmdir()
        raise
    return Path(folder)


def _descriptors(pid: int) -> set[int]:
    return {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}


def _shut(limited: _Limited, pid: int) -> None:
    """A new descriptor gets the lowest free number: that one is forbidden, and all above."""
    try:
        taken = _descriptors(pid)
        free = next(number for number in range(len(taken) + 1) if number not in taken)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, before[1]))
    except (ProcessLookupError, FileNotFoundError):
        return
    limited.files[pid] = before


def _is_exhausted(pid: int) -> bool:
    try:
        taken = _descriptors(pid)
        most = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
    except OSError:
        return False
    return taken.issuperset(range(most))


def _number(group: Path | None, file: str, name: str) -> int:
    """A number of a group's file: after a name, or all there is."""
    if group is None:
        return 0
    try:
        text = (group / file).read_text()
    except OSError:
        return 0
    if not name:
        return int(text)
    values: Mapping[str, str] = dict(line.split()[:2] for line in text.splitlines())
    return int(values.get(name, 0))
