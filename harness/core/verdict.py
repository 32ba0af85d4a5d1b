"""Verdicts, and what a checker has to say for itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import total_ordering

from harness.core.values import Value


@total_ordering
class Verdict(Enum):
    """VALID < UNKNOWN < INVALID. Merging takes the worst: a violation always wins."""

    VALID = "valid"
    UNKNOWN = "unknown"
    INVALID = "invalid"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Verdict):
            return NotImplemented
        order = (Verdict.VALID, Verdict.UNKNOWN, Verdict.INVALID)
        return order.index(self) < order.index(other)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; VALID when there are none."""
    return max(verdicts, default=Verdict.VALID)


@dataclass(frozen=True, slots=True)
class LaneSegment:
    """What a key can hold between two instants, over all legal orders.

    ``values`` are ready for people (``nil``, ``3``); ``open`` marks an interval in which a write
    was under way, so that the set is wider than one value.
    """

    start: int
    end: int | None
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One thing that should not have happened.

    Attributes:
        kind: the field's word: ``stale read``, ``lost write``, ``two leaders in one term``.
        sentence: one sentence a person who was not there understands.
        operations: event indices of the operations that are enough to show it, in order of call.
        culprit: the one of them that cannot be explained.
        steps: one sentence for each operation, the last being the culprit's.
        legal: what the culprit could have returned instead.
        lane: what the key could hold over time.
        key: the key it is about.
        at_ns: when it became certain.
    """

    kind: str
    sentence: str
    operations: tuple[int, ...] = ()
    culprit: int | None = None
    steps: tuple[str, ...] = ()
    legal: tuple[str, ...] = ()
    lane: tuple[LaneSegment, ...] = ()
    key: Value = None
    at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One checker's word.

    ``reason`` is one sentence whatever the verdict (what was looked at, what was found, which
    limit was hit). ``figures`` are counts and times (``*_ms``) for machines.
    """

    checker: str
    verdict: Verdict
    reason: str
    anomalies: tuple[Anomaly, ...] = ()
    figures: Mapping[str, Value] = field(default_factory=dict)
    limit: str | None = None


class ExitCode(int, Enum):
    """What the process says when it ends (docs: README, "Exit codes")."""

    VALID = 0
    VIOLATION = 1
    USAGE = 2
    UNKNOWN = 3
    INADEQUATE = 4
    ENVIRONMENT = 5
    INTERNAL = 70
    INTERRUPTED = 130


_SEVERITY = (
    ExitCode.VALID,
    ExitCode.UNKNOWN,
    ExitCode.INADEQUATE,
    ExitCode.ENVIRONMENT,
    ExitCode.INTERNAL,
    ExitCode.VIOLATION,
)


def worst_exit(codes: Iterable[ExitCode]) -> ExitCode:
    """Over several runs: violation > internal > environment > inadequate > unknown > valid.

    USAGE and INTERRUPTED end the whole command, so they never take part in a merge.
    """
    return max(codes, key=_SEVERITY.index, default=ExitCode.VALID)
