"""What the rooms may ask of each other.

Small protocols; capabilities that not everybody has are separate ones (:class:`HasLeader`, …), to
be tested with ``isinstance``. All of it is ordinary async code on one event loop, so that a
simulated runtime can stand in for a real one.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from harness.core.claims import Claims
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
    """Choices a target is made with.

    ``election_timeout_ms`` is a range (two numbers), one number for each node, or nothing: the
    target's own. ``choices`` has a value for each option that the target offers
    (:class:`HasChoices`).
    """

    bugs: tuple[str, ...] = ()
    election_timeout_ms: tuple[int, ...] = ()
    seed: int = 0
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a node says of itself; ``role`` is ``leader``, ``follower``, ``candidate``.

    ``wall_ns`` and ``monotonic_ns`` are its own clocks.
    """

    node: str
    role: str
    term: int
    leader: str | None
    wall_ns: int | None = None
    monotonic_ns: int | None = None


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


@dataclass(frozen=True, slots=True)
class Members:
    """Who belongs to a system: those who are counted, and those who only follow."""

    voters: tuple[str, ...]
    learners: tuple[str, ...] = ()


@runtime_checkable
class HasMembership(Protocol):
    """A target whose members can be changed while it runs.

    Changes are asked of every node that takes itself for the leader, as an operator would do, and
    are done when they are committed. All of them may be asked for again: what is done already is
    done. A node that was removed runs on; one that lost its disk has to be removed before it can
    be added.
    """

    async def members(self, cluster: Cluster, timeout_s: float) -> Members | None:
        """As a leader has committed them that was seen to lead; None when there is none."""

    async def remove_member(self, cluster: Cluster, node: str, timeout_s: float) -> None:
        """It is not counted any more, and is not sent anything.

        Raises:
            NodeFailure: nobody did it in time; it may be done later, unless somebody else makes a
                change before.
        """

    async def add_learner(self, cluster: Cluster, node: str, timeout_s: float) -> None:
        """It is sent everything, and not counted.

        Raises:
            NodeFailure: as above.
        """

    async def promote(self, cluster: Cluster, node: str, timeout_s: float) -> None:
        """A learner that has nearly everything is counted from now on.

        Raises:
            NodeFailure: as above, and when it is too far behind.
        """


@runtime_checkable
class HasTransfer(Protocol):
    """A target whose leader can be asked to hand over."""

    async def transfer(self, cluster: Cluster, to: str, timeout_s: float) -> None:
        """It has begun to. Whether ``to`` takes over is for :class:`HasLeader` to see.

        Raises:
            NodeFailure: nobody led, or could.
        """


@runtime_checkable
class HasCompaction(Protocol):
    """A target whose nodes can be asked to replace their log by a snapshot."""

    async def compact(self, cluster: Cluster, node: str, timeout_s: float) -> int:
        """Up to which index the node's log is a snapshot now.

        Raises:
            NodeFailure: no answer.
        """


@runtime_checkable
class HasTrace(Protocol):
    """A target whose nodes write a trace (docs/trace-format.md)."""

    trace_file: str
    """Its name in the node's home."""


@runtime_checkable
class HasClockFile(Protocol):
    """A target whose servers take their time from a file that the agent steers.

    All others read the kernel's clock, which is one for all nodes.
    """

    clock_file: str
    """Its name in the node's home."""


@runtime_checkable
class HasChoices(Protocol):
    """A target with options of its own (``harness run --option NAME=VALUE``)."""

    choices: Mapping[str, tuple[str, ...]]
    """Option → the values that it takes, the default first."""


@runtime_checkable
class HasFunctions(Protocol):
    """A target that says what clients can call; of others it shows when they do."""

    functions: frozenset[str]
    """Of :class:`~harness.core.operations.Call`."""


@runtime_checkable
class HasHarmlessChoices(HasChoices, Protocol):
    """A target some of whose options change nothing of what it promises."""

    harmless: frozenset[str]
    """Their names. With ``--swarm`` each seed draws their values."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that a node needs and that is not the project's own.

    ``package`` is Debian's package that has it; ``version`` are the arguments that make it tell
    its version on its first line.
    """

    name: str
    package: str
    version: tuple[str, ...] = ("--version",)


@runtime_checkable
class HasPrograms(Protocol):
    """A target whose servers are programs of other packages."""

    programs: tuple[Program, ...]
    """Called by their names: a runtime sees to it that nodes find them."""


@runtime_checkable
class BringsPrograms(Protocol):
    """A runtime whose nodes do not run this host's programs as they are."""

    def lacks_program(self, program: Program) -> str | None:
        """Why its nodes cannot have a program, and what to do; None when they can."""

    def program_version(self, program: Program) -> str | None:
        """The version that nodes would run; None where that cannot be known before."""


def programs_of(target: object) -> tuple[Program, ...]:
    """What the nodes of a target (or of a class of them) need besides the project's own code."""
    return target.programs if isinstance(target, HasPrograms) else ()


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
    functions: frozenset[str]
    """What it calls (:class:`~harness.core.operations.Call`)."""

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
    claims: Claims = field(default_factory=Claims)
    """What all faults of the run want at this moment; each takes and releases under its id."""

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
        intensity: str = "normal",
    ) -> tuple[FaultStep, ...]:
        """The schedule within a load of ``duration_ns``; the last fault is healed before its end.

        ``intensity`` is how fast faults follow each other: calm, normal or brutal.

        Raises:
            UsageError: an unknown narrowing or intensity, or one that this many nodes cannot have.
        """

    def fault(self, spec: FaultSpec) -> Fault:
        """A fresh injection of a planned fault."""


@runtime_checkable
class HasNeeds(Protocol):
    """A nemesis some of whose narrowings need another capability than the whole family."""

    needs: Mapping[str, str]
    """Narrowing → its capability."""


@runtime_checkable
class HoldsBack(Protocol):
    """A nemesis some of whose narrowings are only done when they are asked for by name."""

    only_named: Collection[str]


def capability_of(nemesis: Nemesis, narrowing: str | None) -> str:
    """What a runtime must be able to do for a nemesis, or for one narrowing of it."""
    needs = nemesis.needs if isinstance(nemesis, HasNeeds) else {}
    return needs.get(narrowing or "", nemesis.capability)


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
