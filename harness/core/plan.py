"""Everything that is decided before a run starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.core.faults import FaultStep
from harness.core.operations import Call

FIRST_FINAL = 1_000_000
"""Process numbers from here on are of the reads after the last heal."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What was asked for, with defaults filled in. Times in seconds, ``rate`` in operations/s.

    ``rate`` 0 means as fast as the clients can. ``nemeses`` are ``name`` or ``name:narrowing``.
    ``intensity`` is how fast faults follow each other: calm, normal or brutal. ``keep_going``: a
    violation that is seen while the run goes on does not end it. ``election_timeout_ms`` is a range
    (two numbers), one number for each node, or nothing: the target's own. ``options`` are the
    target's, as ``name=value``. A run with fewer than ``min_operations`` that succeeded, than
    ``min_ok_during`` during each of its faults, or than ``min_ok_after`` after the last of them is
    inadequate.
    """

    target: str = "raft"
    workload: str = "register"
    nemeses: tuple[str, ...] = ("partition",)
    runtime: str = "auto"
    nodes: int = 5
    concurrency: int = 10
    rate: float = 100.0
    time_limit_s: float = 60.0
    operation_timeout_s: float = 5.0
    recovery_timeout_s: float = 30.0
    seed: int = 0
    bugs: tuple[str, ...] = ()
    firewall: str = "auto"
    election_timeout_ms: tuple[int, ...] = ()
    keep_going: bool = False
    intensity: str = "normal"
    options: tuple[str, ...] = ()
    min_operations: int = 1
    min_ok_during: int = 0
    min_ok_after: int = 1

    @property
    def name(self) -> str:
        """The folder under ``runs/``: workload and nemeses, or how many they are."""
        nemeses = "+".join(item.replace(":", "-") for item in self.nemeses) or "none"
        if len(self.nemeses) > 6:
            nemeses = f"{len(self.nemeses)}-nemeses"
        return f"{self.workload}-{nemeses}"


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """A client thread calls at a time of the load, or as soon after it as its last call ended."""

    thread: int
    at_ns: int
    call: Call


@dataclass(frozen=True, slots=True)
class Script:
    """The calls of a run as data: what a workload would draw is decided here.

    ``clients[thread]`` is the node that a thread talks to; ``calls`` are in order of time, and so
    are those of each thread; ``final`` are the calls after the last heal, each at a node.
    """

    clients: tuple[str, ...]
    calls: tuple[ScriptedCall, ...]
    final: tuple[tuple[str, Call], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A spec made concrete: the runtime that was picked, the schedule, the versions.

    ``schedule`` is data; together with the seed it determines every choice that can be made
    before the start. ``notes`` say in words what was picked and why. With a ``script`` the clients
    call exactly that; without one the workload draws calls from the seed as the run goes on.
    ``shrunk_from`` is the run whose plan this is a part of, if it is one. ``checkers`` are the
    checks that judge it: those of the workload for which the target gives evidence.
    """

    spec: RunSpec
    runtime: str
    nodes: tuple[str, ...]
    schedule: tuple[FaultStep, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    script: Script | None = None
    shrunk_from: str = ""
    checkers: tuple[str, ...] = ()

    @property
    def follows(self) -> bool:
        """Whether its spec makes exactly this plan, so that ``harness run`` can repeat it."""
        return self.script is None and not self.shrunk_from


def node_names(count: int) -> tuple[str, ...]:
    """``n1 … nN``."""
    return tuple(f"n{number}" for number in range(1, count + 1))
