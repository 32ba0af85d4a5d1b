"""Disks of real nodes: made on this side, mounted and hurt by the agent."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from harness.core.cluster import DiskCounts, DiskTrouble
from harness.core.errors import EnvironmentFailure
from harness.runtime.wire import ANSWER_S, Agent

DATA = "data"
"""Where in its home a server stores what it must not lose: that is on the disk, all else beside."""
IMAGE = ".disk.img"
LISTING = "disk.txt"
"""What was on the disk in the end, for files.txt."""

_SIZE = 256 << 20
_PATH = f"{os.defpath}:/usr/local/sbin:/usr/sbin:/sbin"
_OPTIONS = ("-q", "-F", "-m", "0", "-b", "4096", "-N", "1024", "-J", "size=8")
_EXTENDED = "lazy_itable_init=0,lazy_journal_init=1"


def lacks() -> str | None:
    """Why no disk can be made on this host, and what to do; None when it can."""
    return None if _mkfs() else "mkfs.ext4 is not installed here: apt-get install e2fsprogs"


def _mkfs() -> str | None:
    return shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:{_PATH}")


def _make(tool: str, image: Path) -> None:
    with image.open("wb") as file:
        file.truncate(_SIZE)
    made = subprocess.run(
        [tool, *_OPTIONS, "-E", _EXTENDED, image], check=False, capture_output=True, text=True
    )
    if made.returncode:
        last = made.stderr.strip().splitlines()[-1:]
        raise EnvironmentFailure(f"mkfs.ext4 failed: {''.join(last) or made.returncode}")


class Disks:
    """:class:`~harness.core.cluster.DiskControl` by an agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def trouble(self, node: str, trouble: DiskTrouble) -> None:
        """See the protocol. What has to be mounted anew to be sound ends the server first."""
        await self._agent.request("trouble", 2 * ANSWER_S, node=node, **asdict(trouble))

    async def counts(self, node: str) -> DiskCounts:
        """See the protocol."""
        answer = await self._agent.request("disk_counts", node=node)
        return DiskCounts(answer["refused"], answer["slowed"], answer["limited"])

    async def damage(self, node: str, how: str) -> str | None:
        """See the protocol."""
        answer = await self._agent.request("damage", node=node, how=how)
        where: str | None = answer["where"]
        return where

    async def repair(self, node: str) -> None:
        """See the protocol."""
        await self._agent.request("repair", node=node)


async def mount(agent: Agent, folder: Path, seen: str, inside: Mapping[str, str]) -> str:
    """Mounts a disk of each node at ``inside`` of its view; in words, what was made.

    ``folder`` holds the homes; ``seen`` is what the agent calls it.

    Raises:
        EnvironmentFailure: it cannot be had.
    """
    tool = _mkfs()
    if tool is None:
        raise EnvironmentFailure(str(lacks()))
    image = folder / IMAGE
    try:
        for node in inside:
            (folder / node / DATA).mkdir(exist_ok=True)
        await asyncio.to_thread(_make, tool, image)
        await agent.request("disks", 2 * ANSWER_S, image=f"{seen}/{IMAGE}", inside=dict(inside))
    except OSError as error:
        raise EnvironmentFailure(f"cannot make a disk: {error}") from error
    finally:
        image.unlink(missing_ok=True)
    return f"disks: ext4 of {_SIZE >> 20} MB in memory for each node's {DATA}"


async def keep_listing(agent: Agent, folder: Path) -> None:
    """Leaves in each home what is on its disk; nothing if the agent cannot tell any more."""
    with suppress(EnvironmentFailure, OSError):
        answer = await agent.request("listing")
        for node, files in answer["nodes"].items():
            lines = [f"{size:>12}  {DATA}/{path}" for path, size in files]
            (folder / node / LISTING).write_text("".join(f"{line}\n" for line in lines))
