"""The system calls that Python 3.11 has no words for. All raise OSError."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """unshare(2): this process leaves the namespaces named by ``flags`` for new ones."""
    _call("unshare", _libc.unshare(ctypes.c_int(flags)))


def setns(fd: int, kind: int) -> None:
    """setns(2): this thread enters the namespace behind ``fd``, which must be of ``kind``."""
    _call("setns", _libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)))


def mount(source: str, target: str, kind: str, flags: int) -> None:
    """mount(2) without data."""
    _call(
        f"mount {target}",
        _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None),
    )


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
