"""What is where in a run's folder, and what the files that are not shared words hold."""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.faults import FaultRecord
from harness.core.protocols import NodeStatus
from harness.core.run import Ending, Noticed
from harness.core.verdict import CheckResult

PLAN = "plan.json"
META = "meta.json"
HISTORY = "history.jsonl"
FAULTS = "faults.jsonl"
SAMPLES = "samples.jsonl"
VERDICT = "verdict.json"
NODES = "nodes"
LOG = "log.txt"
TRACE = "trace.jsonl"


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase began at ``at_ns`` (run nanoseconds, negative before the load)."""

    name: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Meta:
    """What is known of a run besides its plan.

    ``model`` and ``checkers`` are those of the workload. ``origin_monotonic_ns`` is
    CLOCK_MONOTONIC at run time zero, None before the load began;
    ``duration_ns`` is None while it runs.
    """

    version: int
    started_utc: str
    origin_monotonic_ns: int | None = None
    model: str | None = None
    checkers: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    notes: tuple[str, ...] = ()
    duration_ns: int | None = None
    noticed: Noticed | None = None


@dataclass(frozen=True, slots=True)
class FaultLine:
    """A line of faults.jsonl: ``what`` is ``began`` or ``ended``."""

    what: str
    record: FaultRecord


@dataclass(frozen=True, slots=True)
class SampleLine:
    """A line of samples.jsonl: what the nodes that answered said of themselves.

    ``wall_ns`` of a status is the node's own wall clock, ``true_wall_ns`` the host's when the
    answers were in.
    """

    at_ns: int
    true_wall_ns: int
    statuses: tuple[NodeStatus, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The content of verdict.json. ``digest``: see :func:`harness.store.digest.digest`."""

    version: int
    ending: Ending
    results: tuple[CheckResult, ...]
    digest: str = ""
