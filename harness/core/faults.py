"""Faults as data: what is asked for (a schedule), and what came of it (a record).

A planner is pure: seed and topology in, :class:`FaultStep` out. Roles such as "the leader" are
resolved only when the fault is injected, and the record says who it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.core.values import Value


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One fault: its kind (the nemesis' name) and its parameters, plain JSON data."""

    kind: str
    params: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FaultStep:
    """``fault`` begins ``at_ns`` after the load began and is healed ``duration_ns`` later."""

    id: str
    at_ns: int
    duration_ns: int
    fault: FaultSpec


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether something is known to have happened, and how that is known.

    ``figures`` are the counters or readings behind the words.
    """

    holds: bool
    words: str
    figures: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """What came of a step. Times are nanoseconds of the run's clock; None where it never came.

    ``resolved`` is what the roles turned out to be (JSON data: ``groups``, ``nodes``, ``leader``),
    ``words`` the same for people: ``n1 n2 | n3 n4 n5 (leader was n2)``. ``error`` is set when the
    fault could not be injected, or not be healed.
    """

    id: str
    kind: str
    asked_ns: int
    began_ns: int | None
    ended_ns: int | None
    words: str
    resolved: Mapping[str, Value]
    bit: Proof
    healed: Proof
    error: str | None = None
