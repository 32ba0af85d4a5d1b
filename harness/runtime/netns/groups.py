"""Empty cgroups that runs left which were killed: all else of theirs the kernel takes back."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from harness.agent.limits import PREFIX

_ROOT = Path("/sys/fs/cgroup")
_PATIENCE_S = 5.0
_POLL_S = 0.01
_NAME = re.compile(rf"{PREFIX}(\d+)-(\d+)-.+")


def owned() -> str:
    """A name for groups of this process, for all time: its number, and when it began."""
    pid = os.getpid()
    return f"{pid}-{_started(pid)}"


def left() -> Iterator[Path]:
    """Groups of processes that are no more."""
    for kind in ("cpu", "memory", ""):
        for folder, below, _ in os.walk(_ROOT / kind):
            for name in below:
                match = _NAME.fullmatch(name)
                if match and _started(int(match[1])) != int(match[2]):
                    yield Path(folder, name)
            if not kind:
                # Groups of the second version are at the top.
                break


def clear() -> list[str]:
    """Removes them; which those were. The processes in one were killed with their owner, and may
    not have left yet: that is waited for, a few seconds in all. One that will not go stays for the
    next time."""
    deadline = time.monotonic() + _PATIENCE_S
    return [f"cgroup {group}" for group in list(left()) if _removed(group, deadline)]


def _removed(group: Path, deadline: float) -> bool:
    while True:
        try:
            group.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                return False
        else:
            return True
        time.sleep(_POLL_S)


def _started(pid: int) -> int | None:
    """When a process began, in ticks since the boot; None when there is none."""
    try:
        # The command's name is in brackets and may hold anything, brackets too.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return None
