"""What is known of a run while it goes on: figures for whoever shows them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from harness.core.events import (
    LOAD,
    Checked,
    FaultChanged,
    JudgedSoFar,
    NodesSampled,
    OperationEnded,
    PhaseBegan,
    RunEvent,
    RunStarted,
)
from harness.core.faults import FaultRecord
from harness.core.operations import Outcome
from harness.core.plan import Plan
from harness.core.protocols import NodeStatus
from harness.core.units import SECOND
from harness.core.verdict import CheckResult
from reports.scene import cut_off

RECENT = 1000
"""Answers that the quantiles and the rate look back on."""


@dataclass(slots=True)
class Progress:
    """Counts up from events. Times are run nanoseconds."""

    plan: Plan | None = None
    at_ns: int = 0
    phase: str = "set-up"
    ok: int = 0
    fail: int = 0
    info: int = 0
    statuses: dict[str, NodeStatus] = field(default_factory=dict)
    faults: dict[str, FaultRecord] = field(default_factory=dict)
    results: list[CheckResult] = field(default_factory=list)
    so_far: JudgedSoFar | None = None
    _latencies: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))
    _answers: deque[int] = field(default_factory=lambda: deque(maxlen=RECENT))

    def see(self, event: RunEvent) -> None:
        """Takes an event in."""
        match event:
            case RunStarted(plan):
                self.plan = plan
            case PhaseBegan(at_ns, phase):
                self.at_ns, self.phase = at_ns, phase
            case OperationEnded(at_ns, operation):
                self.at_ns = at_ns
                self._answers.append(at_ns)
                match operation.outcome:
                    case Outcome.OK:
                        self.ok += 1
                        self._latencies.append((operation.end or at_ns) - operation.start)
                    case Outcome.FAIL:
                        self.fail += 1
                    case Outcome.INFO:
                        self.info += 1
            case NodesSampled(at_ns, statuses):
                self.at_ns = at_ns
                self.statuses = {status.node: status for status in statuses}
            case FaultChanged(at_ns, record):
                self.at_ns = at_ns
                self.faults[record.id] = record
            case JudgedSoFar(at_ns):
                self.at_ns, self.so_far = at_ns, event
            case Checked(at_ns, result):
                self.at_ns = at_ns
                self.results.append(result)
            case _:
                pass

    @property
    def total(self) -> int:
        """Operations that ended."""
        return self.ok + self.fail + self.info

    @property
    def share(self) -> float:
        """How much of the load's time has passed, 0 to 1."""
        if self.plan is None or self.phase == "set-up":
            return 0.0
        if self.phase not in LOAD:
            return 1.0
        return min(1.0, max(0.0, self.at_ns / (self.plan.spec.time_limit_s * SECOND)))

    def rate(self) -> float:
        """Answers a second over the last five seconds."""
        since = self.at_ns - 5 * SECOND
        recent = sum(1 for at_ns in self._answers if at_ns > since)
        spread = min(5.0, max(self.at_ns / SECOND, 0.2))
        return recent / spread

    def quantile(self, share: float) -> int | None:
        """Latency of the recent OK answers (nearest rank), in nanoseconds."""
        if not self._latencies:
            return None
        ordered = sorted(self._latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def active(self) -> tuple[FaultRecord, ...]:
        """Faults in force now."""
        return tuple(
            fault
            for fault in self.faults.values()
            if fault.began_ns is not None and fault.ended_ns is None and fault.error is None
        )

    def role(self, node: str) -> tuple[str, str]:
        """(role, remarks) of a node: ``("LEADER ?", "term 3  cut off")``."""
        nodes = self.plan.nodes if self.plan else ()
        apart = "cut off" if cut_off(self.active(), nodes, node) else ""
        status = self.statuses.get(node)
        if status is None:
            return "no answer", apart
        terms = [other.term for other in self.statuses.values() if other.role == "leader"]
        role = status.role
        if role == "leader":
            role = "LEADER ?" if status.term < max(terms) else "LEADER"
        return role, f"term {status.term}  {apart}".rstrip()
