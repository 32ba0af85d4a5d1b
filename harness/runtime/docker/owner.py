"""Who made a container: labels that tell a dead run's things from a live one's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

RUN = "quorum-harness.run"
OWNER = "quorum-harness.owner"
ROLE = "quorum-harness.role"
NODE = "quorum-harness.node"
IMAGE = "quorum-harness.image"
ON = "quorum-harness.on"
"""Of a target's image: the nodes' image on which it stands."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A harness process for all time: its number, when it began (ticks since the boot), and where.

    ``boot`` and ``pidns`` are empty where there is no ``/proc``.
    """

    boot: str
    pidns: str
    pid: int
    started: int

    @classmethod
    def here(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        try:
            return cls(_boot(), _pidns(), pid, _started(pid) or 0)
        except OSError:
            return cls("", "", pid, 0)

    @classmethod
    def parse(cls, label: str) -> Owner | None:
        """What :attr:`label` made; None for anything else."""
        try:
            data = json.loads(label)
            return cls(data["boot"], data["pidns"], int(data["pid"]), int(data["started"]))
        except (ValueError, TypeError, KeyError):
            return None

    @property
    def label(self) -> str:
        """As the value of a label."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def alive(self) -> bool | None:
        """Does that process still run? None: it cannot be seen from here."""
        try:
            if not self.boot or (self.boot, self.pidns) != (_boot(), _pidns()):
                return None
        except OSError:
            return None
        # A number may be given again; a number with its start time never is within one boot.
        return _started(self.pid) == self.started

    def is_gone(self) -> bool:
        """Has it ended for certain? No process outlives its boot."""
        try:
            return self.alive() is False or self.boot not in ("", _boot())
        except OSError:
            return False


def labels(run_id: str, owner: Owner, role: str, node: str = "") -> dict[str, str]:
    """The labels of one thing of a run."""
    named = {RUN: run_id, OWNER: owner.label, ROLE: role}
    return named | {NODE: node} if node else named


def is_dead(of: Mapping[str, str], agent_runs: bool) -> bool:
    """Is the run behind these labels over?

    Where its process cannot be seen, its agent tells: that one ends when its harness does.
    """
    owner = Owner.parse(of.get(OWNER, ""))
    alive = owner.alive() if owner else None
    return not (agent_runs if alive is None else alive)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _pidns() -> str:
    return str(Path("/proc/self/ns/pid").readlink())


def _started(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # proc(5), field 22; the second field is the name in brackets and may hold anything.
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(rest[18])
