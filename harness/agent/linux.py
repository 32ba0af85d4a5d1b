"""The system calls that Python 3.11 has no words for. All raise OSError."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8

_PR_SET_PDEATHSIG = 1

_OPEN_TREE, _MOVE_MOUNT = 428, 429
_AT_FDCWD = -100
_TREE_CLONE, _FROM_EMPTY_PATH = 1, 4

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """unshare(2): this process leaves the namespaces named by ``flags`` for new ones."""
    _call("unshare", _libc.unshare(ctypes.c_int(flags)))


def setns(fd: int, kind: int) -> None:
    """setns(2): this thread enters the namespace behind ``fd``, which must be of ``kind``."""
    _call("setns", _libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)))


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2)."""
    _call(
        f"mount {target}",
        _libc.mount(
            source.encode(),
            target.encode(),
            kind.encode(),
            ctypes.c_ulong(flags),
            data.encode() if data else None,
        ),
    )


def unmount(target: str) -> None:
    """umount2(2), of what is not in use."""
    _call(f"umount {target}", _libc.umount2(target.encode(), 0))


def clone_mount(path: str) -> int:
    """A descriptor of a mount of the tree at ``path`` that is nowhere yet (open_tree(2))."""
    tree: int = _libc.syscall(_OPEN_TREE, _AT_FDCWD, path.encode(), _TREE_CLONE | os.O_CLOEXEC)
    if tree < 0:
        _call(f"open_tree {path}", -1)
    return tree


def place_mount(tree: int, target: str) -> None:
    """Puts a mount from :func:`clone_mount` at ``target`` (move_mount(2))."""
    _call(
        f"move_mount {target}",
        _libc.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, target.encode(), _FROM_EMPTY_PATH),
    )


def in_mounts_of(pid: int | None, act: Callable[[], None]) -> None:
    """Acts in the mount namespace of a process (None: in this one).

    In a child, as a namespace of mounts is entered by a whole process (setns(2)).

    Raises:
        OSError: as the act did, or it cannot be entered.
    """
    if pid is None:
        act()
        return
    child = os.fork()
    if child == 0:
        status = 1
        try:
            setns(os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY), CLONE_NEWNS)
            act()
            status = 0
        except OSError as error:
            status = error.errno or 1
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    number = os.waitstatus_to_exitcode(ended)
    if number:
        raise OSError(number, os.strerror(number) if number > 0 else "killed")


def die_with_parent() -> None:
    """The kernel sends SIGKILL to this process when the thread that started it ends.

    Changing credentials (entering a user namespace does) clears the wish, so it is to be made last.
    """
    _call(
        "prctl",
        _libc.prctl(ctypes.c_int(_PR_SET_PDEATHSIG), ctypes.c_ulong(int(signal.SIGKILL)), 0, 0, 0),
    )


def open_netns(pid: int | str = "self") -> int:
    """A descriptor of a process' network namespace; it keeps the namespace alive."""
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def new_netns() -> int:
    """A new network namespace that lives as long as the descriptor (and what is inside)."""
    home = open_netns()
    try:
        unshare(CLONE_NEWNET)
        try:
            # /proc/self is the process, whose first thread this is: it sees the change.
            return open_netns()
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


@contextmanager
def inside(fd: int | None) -> Iterator[None]:
    """The block runs in the network namespace behind ``fd`` (None: where it is anyway).

    Sockets made in it, and processes started in it, stay there. Nothing in the block may wait
    on the event loop: the whole thread is elsewhere.
    """
    if fd is None:
        yield
        return
    home = open_netns()
    try:
        setns(fd, CLONE_NEWNET)
        try:
            yield
        finally:
            setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


@contextmanager
def throwaway_netns() -> Iterator[None]:
    """The block runs in a new network namespace that is gone afterwards."""
    fd = new_netns()
    try:
        with inside(fd):
            yield
    finally:
        os.close(fd)


def _call(name: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
