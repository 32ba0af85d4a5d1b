"""What the engine tells while a run goes on. Consoles and files are subscribers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from harness.core.faults import FaultRecord
from harness.core.operations import Operation
from harness.core.plan import Plan
from harness.core.protocols import NodeStatus
from harness.core.record import record
from harness.core.run import Ending, Noticed
from harness.core.verdict import CheckResult, Verdict


@dataclass(frozen=True, slots=True)
class RunStarted:
    plan: Plan
    folder: Path


LOAD = ("load", "warm-up", "faults", "heal")
"""Phases in which clients call: ``load`` of a run without faults; of others the time before the
first fault, that of the faults, and that after the last heal."""


@dataclass(frozen=True, slots=True)
class PhaseBegan:
    """``phase``: set-up, one or some of :data:`LOAD`, recovery, final reads, tear-down, check."""

    at_ns: int
    phase: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something worth a line: a choice made, a warning."""

    at_ns: int
    words: str


@record
class OperationEnded:
    at_ns: int
    operation: Operation


@dataclass(frozen=True, slots=True)
class NodesSampled:
    """What the nodes say of themselves; a node that did not answer is missing."""

    at_ns: int
    statuses: tuple[NodeStatus, ...]


@dataclass(frozen=True, slots=True)
class FaultChanged:
    """A fault began (``ended_ns`` None) or ended."""

    at_ns: int
    record: FaultRecord


@dataclass(frozen=True, slots=True)
class JudgedSoFar:
    """What the search beside the run knows: ``checked`` operations are judged.

    ``behind_ns`` is how far that is behind what happens; ``limit`` is why it gave up, if it did.
    """

    at_ns: int
    verdict: Verdict
    checked: int
    behind_ns: int
    limit: str | None = None


@dataclass(frozen=True, slots=True)
class ViolationNoticed:
    """The search beside the run found a violation; once in a run."""

    at_ns: int
    noticed: Noticed


@dataclass(frozen=True, slots=True)
class Checked:
    at_ns: int
    result: CheckResult


@dataclass(frozen=True, slots=True)
class RunEnded:
    ending: Ending
    results: tuple[CheckResult, ...]
    folder: Path


RunEvent: TypeAlias = (
    RunStarted
    | PhaseBegan
    | Noted
    | OperationEnded
    | NodesSampled
    | FaultChanged
    | JudgedSoFar
    | ViolationNoticed
    | Checked
    | RunEnded
)
Subscriber: TypeAlias = Callable[[RunEvent], None]
