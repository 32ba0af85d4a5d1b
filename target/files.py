"""The directory that a node's storage lives in: few operations, so that a disk can be simulated."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Files(Protocol):
    """Few files, written at their ends. What was written is durable after ``sync`` alone.

    Every method may raise OSError as a disk would.
    """

    def names(self) -> Sequence[str]:
        """Sorted."""

    def read(self, name: str) -> bytes:
        """All of it."""

    def append(self, name: str, data: bytes) -> None:
        """Adds to the end of a file that is there."""

    def sync(self, name: str) -> None:
        """What the file holds is durable afterwards."""

    def create(self, name: str, data: bytes) -> None:
        """A new file, complete and durable; until then it is not there at all."""

    def truncate(self, name: str, size: int) -> None:
        """Cuts a file, durably."""

    def remove(self, name: str) -> None:
        """Not durable until something else in the directory is."""

    def path(self, name: str) -> str:
        """Where a file is, for people."""

    def close(self) -> None:
        """Lets go of the directory."""


class InUse(OSError):
    """Another server has the directory."""


PART = ".part"
LOCK = "lock"


class Directory:
    """A real one, held by one server at a time."""

    def __init__(self, folder: Path) -> None:
        """Makes it if it is not there, and removes what a crash left half made.

        Raises:
            InUse: another server uses it.
            OSError: the disk refused.
        """
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._open: tuple[str, int] | None = None
        self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise InUse(f"{folder}: another server uses this directory") from None
        for stray in folder.glob(f"*{PART}"):
            stray.unlink()

    def names(self) -> Sequence[str]:
        """See :class:`Files`."""
        return sorted(path.name for path in self._folder.iterdir() if path.name != LOCK)

    def read(self, name: str) -> bytes:
        """See :class:`Files`."""
        return (self._folder / name).read_bytes()

    def append(self, name: str, data: bytes) -> None:
        """See :class:`Files`."""
        descriptor = self._descriptor(name)
        while data:
            data = data[os.write(descriptor, data) :]

    def sync(self, name: str) -> None:
        """See :class:`Files`."""
        os.fdatasync(self._descriptor(name))

    def _descriptor(self, name: str) -> int:
        """Of the file that is written to: the last one stays open."""
        if self._open is None or self._open[0] != name:
            descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_APPEND)
            self._shut()
            self._open = (name, descriptor)
        return self._open[1]

    def _shut(self) -> None:
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def create(self, name: str, data: bytes) -> None:
        """See :class:`Files`."""
        part = self._folder / f"{name}{PART}"
        part.write_bytes(data)
        _sync_path(part)
        part.rename(self._folder / name)
        _sync_path(self._folder)

    def truncate(self, name: str, size: int) -> None:
        """See :class:`Files`."""
        os.truncate(self._folder / name, size)
        _sync_path(self._folder / name)

    def remove(self, name: str) -> None:
        """See :class:`Files`."""
        (self._folder / name).unlink()

    def path(self, name: str) -> str:
        """See :class:`Files`."""
        return str(self._folder / name)

    def close(self) -> None:
        """See :class:`Files`."""
        self._shut()
        os.close(self._lock)


def _sync_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
