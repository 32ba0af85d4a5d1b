"""The nodes' data on disks of our own: an ext4 for each, mounted where its server keeps its data.

Blocks are kept by :mod:`harness.agent.blocks`, under a loop device. The kernel takes all of it back
when this process, its helper and the node have ended: nothing is on the machine's own disk. Mounts
are made in this process' mount namespace and in the node's.

A power loss is ext4's own shutdown without a last flush of its journal (FS_IOC_SHUTDOWN), and a
mount that finds what had been synced.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.agent import linux, loops
from harness.agent.damage import Damage, inflict, repair
from harness.agent.machines import Machine, emptied
from harness.agent.remains import contents, give_back, lost, tails
from harness.agent.tools import ToolFailed

BASE = Path("/sys/fs/fuse/connections")
"""An empty directory that every kernel with FUSE has; what we mount over it only we see."""

_SHUTDOWN, _WITHOUT_FLUSH = 0x8004587D, 2
_OPTIONS = "commit=300,errors=remount-ro"
_FUSE = ("/dev/fuse", (10, 229))
_ANSWER_S = 5.0
_BUSY_S = 3.0
_BLOCK = 4096
_FILLER, _CANARY, _PROBE = "filler", "canary", "probe"
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from harness.agent.blocks import main; main(sys.argv[2:])"
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a disk does wrong; the words of the request."""

    slow_ns: int = 0
    full: bool = False
    read_only: bool = False
    broken: bool = False
    bytes_per_s: int = 0


@dataclass(slots=True)
class _Disk:
    """One node's. ``inside`` is where its data is in the node's view."""

    machine: Machine
    inside: str
    kernel: int
    memory: int
    block: Path
    at: Path
    loop: int = -1
    device: str = ""
    trouble: Trouble = field(default_factory=Trouble)
    refused: int = 0
    damage: Damage | None = None

    @property
    def data(self) -> Path:
        """The node's data directory in our view."""
        return self.at / "data"


class Disks:
    """All nodes' disks."""

    def __init__(self) -> None:
        """Changes nothing yet."""
        self._disks: dict[str, _Disk] = {}
        self._helper: _Helper | None = None
        self._sys = BASE / "sys"

    def mount(self, machines: Sequence[Machine], image: Path, inside: Mapping[str, str]) -> None:
        """Mounts a copy of ``image``, an ext4, for each node at ``inside`` of its own view.

        Raises:
            OSError: the kernel refused; :meth:`remove` undoes what was done.
        """
        linux.mount("quorum", str(BASE), "tmpfs", 0)
        self._sys.mkdir()
        linux.mount("quorum", str(self._sys), "sysfs", 0)
        for machine in machines:
            self._disks[machine.node] = _blank(machine, image, inside[machine.node])
        self._helper = _Helper(list(self._disks.values()))
        # It answers when it is in a mount namespace of its own: nothing is mounted before.
        self._tell()
        for disk in self._disks.values():
            file = os.open(disk.block, os.O_RDWR | os.O_CLOEXEC)
            try:
                disk.loop, disk.device = loops.attach(file)
            finally:
                os.close(file)
            _mount(disk)

    def trouble(self, node: str, trouble: Trouble) -> bool:
        """From now on. Whether the file system has to be mounted anew to be sound: then the server
        must be gone, and :meth:`renew` be asked for."""
        disk = self._disks[node]
        before = disk.trouble
        disk.trouble = trouble
        self._tell()
        filler = disk.at / _FILLER
        if trouble.full:
            _fill(filler)
        elif before.full:
            filler.unlink(missing_ok=True)
        if trouble.read_only:
            name = Path(disk.device).name
            (self._sys / "fs/ext4" / name / "trigger_fs_error").write_text("told to\n")
        return (before.read_only and not trouble.read_only) or (
            before.broken and not trouble.broken
        )

    def renew(self, node: str) -> None:
        """Mounts a node's file system again; its server is gone."""
        disk = self._disks[node]
        _unmount(disk)
        _mount(disk)

    def counts(self, node: str) -> tuple[int, int, int]:
        """(writes and syncs refused, syncs slowed, reads and writes held back) since the disks were
        made.

        A file system that is full or read-only refuses before anything reaches the disk: one write
        of our own is tried then, and counted.
        """
        disk = self._disks[node]
        refused, slowed, limited = self._tell()[node]
        if disk.trouble.full or disk.trouble.read_only:
            disk.refused += _refuses(disk.at / _PROBE)
        return refused + disk.refused, slowed, limited

    def power_off(self, node: str) -> int:
        """What was not synced is gone, or all but a beginning, and the rest is mounted again; bytes
        that were lost. The server is gone.

        Raises:
            ToolFailed: a file that was never synced is still there, so no power was lost.
            OSError: the kernel refused.
        """
        disk = self._disks[node]
        before = contents(disk.data)
        canary = disk.at / _CANARY
        canary.write_bytes(bytes(_BLOCK))
        root = os.open(disk.at, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(root, _SHUTDOWN, struct.pack("=I", _WITHOUT_FLUSH))
        finally:
            os.close(root)
        self.renew(node)
        if canary.exists() and canary.stat().st_size:
            canary.unlink()
            raise ToolFailed(f"the disk of {node} kept a file that was never synced")
        canary.unlink(missing_ok=True)
        give_back(disk.data, tails(before, contents(disk.data), random.SystemRandom()))
        return lost(before, contents(disk.data))

    def damage(self, node: str, how: str) -> str | None:
        """Changes what is stored; where, in words, or None where nothing is. The server is gone."""
        disk = self._disks[node]
        disk.damage = inflict(disk.data, how)
        return None if disk.damage is None else disk.damage.words

    def wipe(self, node: str) -> tuple[str, int]:
        """Nothing is stored any more: the data's name in the node's home, and how many bytes went.
        The server is gone."""
        disk = self._disks[node]
        disk.damage = None
        removed = emptied(disk.data)
        os.sync()
        return Path(disk.inside).name, removed

    def repair(self, node: str) -> None:
        """What was damaged last is as it was, unless other bytes were written there."""
        disk = self._disks[node]
        if disk.damage is not None:
            repair(disk.data, disk.damage)
            disk.damage = None

    def listing(self) -> dict[str, list[tuple[str, int]]]:
        """For each node the files of its data: (path, size)."""
        return {
            node: [
                (str(path.relative_to(disk.data)), path.stat().st_size)
                for path in sorted(disk.data.rglob("*"))
                if path.is_file()
            ]
            for node, disk in self._disks.items()
        }

    def remove(self) -> None:
        """Unmounts what can be; the rest goes with the nodes and this process."""
        for disk in self._disks.values():
            with suppress(OSError):
                _unmount(disk)
        if self._helper is not None:
            self._helper.close()

    def _tell(self) -> dict[str, tuple[int, int, int]]:
        assert self._helper is not None
        disks = list(self._disks.values())
        troubles = [disk.trouble for disk in disks]
        told = [[one.slow_ns, one.broken, one.bytes_per_s] for one in troubles]
        counts = self._helper.ask(told)
        return {disk.machine.node: three for disk, three in zip(disks, counts, strict=True)}


def lacks() -> str | None:
    """Why there can be no disks here."""
    if Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]:
        return "disks of one's own need root, not a user namespace"
    try:
        _open_fuse()
        control = loops.device("/dev/loop-control", stat.S_IFCHR, 10, 237)
        os.close(os.open(control, os.O_RDWR))
    except OSError as error:
        return f"{error.strerror}: {error.filename or 'no device'}"
    if not BASE.is_dir():
        return "the kernel has no FUSE"
    kinds = Path("/proc/filesystems").read_text().split()
    return None if "ext4" in kinds else "the kernel has no ext4"


def _blank(machine: Machine, image: Path, inside: str) -> _Disk:
    block, at = BASE / f"{machine.node}.block", BASE / machine.node
    block.touch()
    at.mkdir()
    memory = os.memfd_create(f"disk-{machine.node}")
    _copy(image, memory)
    kernel = _open_fuse()
    mode = stat.S_IFREG
    linux.mount(
        "quorum", str(block), "fuse", 0, f"fd={kernel},rootmode={mode:o},user_id=0,group_id=0"
    )
    return _Disk(machine, inside, kernel, memory, block, at)


def _open_fuse() -> int:
    path, number = _FUSE
    return os.open(loops.device(path, stat.S_IFCHR, *number), os.O_RDWR | os.O_CLOEXEC)


def _copy(image: Path, memory: int) -> None:
    """With its holes."""
    with image.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        os.ftruncate(memory, size)
        at = 0
        while at < size:
            try:
                begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            os.lseek(memory, begin, os.SEEK_SET)
            os.lseek(file.fileno(), begin, os.SEEK_SET)
            left = at - begin
            while left:
                part = os.read(file.fileno(), min(left, 1 << 20))
                os.write(memory, part)
                left -= len(part)


def _mount(disk: _Disk) -> None:
    linux.mount(disk.device, str(disk.at), "ext4", 0, _OPTIONS)
    if not disk.data.exists():
        disk.data.mkdir()
        # Servers may be another user's.
        disk.data.chmod(0o777)
        root = os.open(disk.at, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(root)
        finally:
            os.close(root)
    tree = linux.clone_mount(str(disk.data))
    try:
        linux.in_mounts_of(disk.machine.init, lambda: linux.place_mount(tree, disk.inside))
    finally:
        os.close(tree)


def _unmount(disk: _Disk) -> None:
    linux.in_mounts_of(disk.machine.init, lambda: _patiently(disk.inside))
    _patiently(str(disk.at))


def _patiently(target: str) -> None:
    """A process that is on its way out may hold its files for a moment."""
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            linux.unmount(target)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        else:
            return


def _fill(filler: Path) -> None:
    """Takes every block that is left."""
    with filler.open("wb") as file:
        size, part = 0, 1 << 30
        while part >= _BLOCK:
            try:
                os.posix_fallocate(file.fileno(), size, part)
                size += part
            except OSError:
                part //= 2


def _refuses(probe: Path) -> bool:
    try:
        with probe.open("wb") as file:
            file.write(bytes(_BLOCK))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return True
    finally:
        with suppress(OSError):
            probe.unlink()
    return False


class _Helper:
    """The process that keeps the blocks."""

    def __init__(self, disks: Sequence[_Disk]) -> None:
        ours, theirs = socket.socketpair()
        self._talk = ours
        ours.settimeout(_ANSWER_S)
        pairs = [number for disk in disks for number in (disk.kernel, disk.memory)]
        inherited = [theirs.fileno(), *pairs]
        code = str(Path(__file__).resolve().parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOT, code, *map(str, inherited)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=inherited,
        )
        theirs.close()
        for number in pairs:
            # Only the helper may hold them: what waits for it must fail when it dies.
            os.close(number)

    def ask(self, told: object) -> list[tuple[int, int, int]]:
        """What each disk is to do; (refused, slowed, held back) of each.

        Raises:
            ToolFailed: it has died.
        """
        try:
            self._talk.sendall(json.dumps(told).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                part = self._talk.recv(1 << 16)
                if not part:
                    raise ConnectionResetError
                data += part
        except OSError as error:
            raise ToolFailed("the helper that keeps the nodes' disks has died") from error
        return [(refused, slowed, limited) for refused, slowed, limited in json.loads(data)]

    def close(self) -> None:
        """It ends when its line does."""
        self._talk.close()
        try:
            self._process.wait(_ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
