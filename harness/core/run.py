"""A finished run as reports see it, and the word that ends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.faults import FaultRecord
from harness.core.operations import History
from harness.core.plan import Plan
from harness.core.values import Value
from harness.core.verdict import CheckResult, ExitCode


@dataclass(frozen=True, slots=True)
class RoleSpan:
    """A node in one role; ``role`` is leader, follower, candidate or down. Run nanoseconds."""

    node: str
    role: str
    term: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A phase of a run (:class:`~harness.core.events.PhaseBegan`). Run nanoseconds; what was before
    the load is negative."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Adequacy:
    """Did the run test anything? ``reasons`` say why not; empty when adequate."""

    reasons: tuple[str, ...] = ()
    figures: Mapping[str, int] = field(default_factory=dict)

    @property
    def adequate(self) -> bool:
        """Every fault bit and operations succeeded during and after them."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended.

    ``word`` is valid, invalid, unknown, inadequate, environment, interrupted or internal;
    ``sentence`` is the h1 of the report and the second line of the console's last block.
    """

    word: str
    exit_code: ExitCode
    sentence: str
    adequacy: Adequacy = field(default_factory=Adequacy)


@dataclass(frozen=True, slots=True)
class Noticed:
    """A violation that was seen while the run went on. Times are run nanoseconds.

    ``operation`` is the event index of the call that no legal order explained then; ``stopped``
    says that the load ended for it.
    """

    operation: int
    key: Value
    returned_ns: int
    noticed_ns: int
    stopped: bool


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All there is to know of a run, read back from its folder.

    Times are run nanoseconds. ``load_ns`` is when the load began and ended; ``roles`` come from
    the traces or from status samples; ``clocks`` are (time, wall clock minus true wall clock) as
    read inside each node; ``logs`` are the ends of the nodes' logs; ``noticed`` is what was seen to
    be wrong while it went on; ``digest`` is a hash over all that was recorded, empty before it was
    judged; ``phases`` are in order, up to the tear-down.
    """

    folder: Path
    plan: Plan | None
    started_utc: str
    history: History
    faults: tuple[FaultRecord, ...]
    results: tuple[CheckResult, ...]
    ending: Ending
    duration_ns: int
    load_ns: tuple[int, int] = (0, 0)
    roles: tuple[RoleSpan, ...] = ()
    clocks: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    logs: Mapping[str, str] = field(default_factory=dict)
    noticed: Noticed | None = None
    digest: str = ""
    phases: tuple[PhaseSpan, ...] = ()
