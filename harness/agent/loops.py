"""Loop devices (loop(4)): a file as a block device, for as long as somebody holds it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from pathlib import Path

_CONTROL, _CONTROL_NUMBER, _MAJOR = "/dev/loop-control", (10, 237), 7
_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_AUTOCLEAR = 4
_FLAGS_AT = 52
_INFO_SIZE, _RESERVED = 232, 64
_TRIES = 20


def device(path: str, kind: int, major: int, minor: int) -> str:
    """The path of a device, which is made where it is missing (a container's ``/dev`` has few).

    Raises:
        OSError: it may not be made.
    """
    if not Path(path).exists():
        os.mknod(path, kind | 0o600, os.makedev(major, minor))
    return path


def attach(file: int) -> tuple[int, str]:
    """(a descriptor, the device's path) of a free loop device on a file.

    The kernel takes it off again when the descriptor is closed and nothing is mounted from it.

    Raises:
        OSError: none can be had.
    """
    control = os.open(device(_CONTROL, stat.S_IFCHR, *_CONTROL_NUMBER), os.O_RDWR | os.O_CLOEXEC)
    try:
        for attempt in range(_TRIES):
            number = fcntl.ioctl(control, _GET_FREE)
            path = device(f"/dev/loop{number}", stat.S_IFBLK, _MAJOR, number)
            loop = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            info = bytearray(_INFO_SIZE)
            struct.pack_into("=I", info, _FLAGS_AT, _AUTOCLEAR)
            try:
                fcntl.ioctl(
                    loop, _CONFIGURE, struct.pack("=II", file, 0) + bytes(info) + bytes(_RESERVED)
                )
            except OSError as error:
                os.close(loop)
                # Somebody else took it since we asked which is free.
                if error.errno != errno.EBUSY or attempt == _TRIES - 1:
                    raise
            else:
                return loop, path
        raise OSError(errno.EBUSY, "no loop device is free")
    finally:
        os.close(control)
