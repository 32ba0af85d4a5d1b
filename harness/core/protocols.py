"""What the rooms may ask of each other.

Small protocols; capabilities that not everybody has are separate ones (:class:`HasLeader`, …), to
be tested with ``isinstance``. All of it is ordinary async code on one event loop, so that a
simulated runtime can stand in for a real one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from harness.core.cluster import Cluster, Place, ServerSpec
from harness.core.faults import FaultSpec, FaultStep, Proof
from harness.core.operations import Call, Completion, History
from harness.core.values import Value
from harness.core.verdict import CheckResult

# -- what is tested -----------------------------------------------------------------------------


class Client(Protocol):
    """One process' connection to a system.

    ``invoke`` never raises for what the system or the network did: that is a
    :class:`Completion`. A time-out or a reset after sending is INFO, never FAIL.
    """

    async def invoke(self, call: Call, timeout_s: float) -> Completion:
        """One operation."""

    async def close(self) -> None:
        """Idempotent."""


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """Choices a target is made with."""

    bugs: tuple[str, ...] = ()
    election_timeout_ms: tuple[int, ...] = (100, 300)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a node says of itself; ``role`` is ``leader``, ``follower``, ``candidate``."""

    node: str
    role: str
    term: int
    leader: str | None
    wall_ns: int | None = None


class Target(Protocol):
    """A system under test. Constructed with :class:`TargetOptions`."""

    name: str
    promise: str
    """What it promises, to complete the sentence "Target raft promises …"."""

    def server(self, place: Place) -> ServerSpec:
        """The command that starts a node."""

    async def await_ready(self, cluster: Cluster, timeout_s: float) -> None:
        """Returns when every running node serves.

        Raises:
            NodeFailure: not within the time.
        """

    def client(self, cluster: Cluster, node: str, process: int) -> Client:
        """A client of ``process`` that talks to ``node``; connects lazily."""


@runtime_checkable
class HasLeader(Protocol):
    """A target that can say who leads, and what each node thinks of itself."""

    async def statuses(self, cluster: Cluster, timeout_s: float) -> Mapping[str, NodeStatus]:
        """Only of the nodes that answered in time."""


@runtime_checkable
class HasTrace(Protocol):
    """A target whose nodes write a trace (docs/trace-format.md)."""

    trace_file: str
    """Its name in the node's home."""


# -- what is asked of it ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkloadOptions:
    """What a workload may know in advance."""

    nodes: tuple[str, ...]
    concurrency: int


class Workload(Protocol):
    """What clients do, and what judges it. Constructed with (rng, WorkloadOptions).

    A workload is a pure state machine: the engine asks it for the next call of a thread and tells
    it how calls ended; it does nothing by itself.
    """

    name: str
    model: str | None
    """Model string for the linearizability check, None when it does not apply."""
    checkers: tuple[str, ...]
    """Names of the checks of the history."""

    def next(self, thread: int) -> Call | None:
        """The next call of a client thread (0 … concurrency-1); None when it has none left."""

    def ended(self, call: Call, completion: Completion) -> None:
        """A call ended."""

    def final(self) -> Sequence[tuple[str | None, Call]]:
        """Calls after the last heal: (node or None for any, call)."""


# -- what hurts it ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FaultContext:
    """What a fault may touch."""

    cluster: Cluster
    target: Target
    id: str

    async def leader(self, timeout_s: float = 1.0) -> str | None:
        """The node that leads the highest term among those that answer; None if nobody does."""
        if not isinstance(self.target, HasLeader):
            return None
        statuses = await self.target.statuses(self.cluster, timeout_s)
        leaders = [status for status in statuses.values() if status.role == "leader"]
        return max(leaders, key=lambda status: status.term).node if leaders else None


@dataclass(frozen=True, slots=True)
class Resolved:
    """A fault with its roles made concrete: words for people, the same as data."""

    words: str
    data: Mapping[str, Value] = field(default_factory=dict)


class Fault(Protocol):
    """One injection. The engine calls begin, prove, end, in this order, and always ``end``."""

    async def begin(self, context: FaultContext) -> Resolved:
        """Injects it. May raise after a part was done: ``end`` undoes whatever that was."""

    async def prove(self, context: FaultContext) -> Proof:
        """Did it bite? Asked at the end of its time, before the heal."""

    async def end(self, context: FaultContext) -> Proof:
        """Heals, and says how that is known. Idempotent."""


class Nemesis(Protocol):
    """A family of faults: a pure planner, and the way from a spec to an injection."""

    name: str
    capability: str
    """What the runtime must be able to do; see :meth:`Runtime.lacks`."""
    narrowings: Mapping[str, str]
    """``name:narrowing`` → what it means."""

    def plan(
        self,
        rng: random.Random,
        nodes: tuple[str, ...],
        duration_ns: int,
        narrowing: str | None,
    ) -> tuple[FaultStep, ...]:
        """The schedule within a load of ``duration_ns``; the last fault is healed before its end.

        Raises:
            UsageError: an unknown narrowing, or one that this many nodes cannot have.
        """

    def fault(self, spec: FaultSpec) -> Fault:
        """A fresh injection of a planned fault."""


# -- what judges it -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """Budgets of one check: wall seconds and bytes above what was there at its start."""

    time_s: float = 60.0
    memory_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a checker may look at. ``traces`` are the nodes' trace files that exist.

    ``origin_ns`` is the host's CLOCK_MONOTONIC at the history's time zero: traces carry raw
    monotonic times.
    """

    history: History
    nodes: tuple[str, ...] = ()
    model: str | None = None
    traces: Mapping[str, Path] = field(default_factory=dict)
    origin_ns: int = 0


class Checker(Protocol):
    """A judge: evidence in, verdict out. Pure but for reading the traces."""

    @property
    def name(self) -> str:
        """What results and workloads call it."""

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """Never raises for what the evidence holds."""
