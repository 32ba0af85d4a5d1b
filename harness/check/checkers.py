"""The checks by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.check.appends import AppendCheck
from harness.check.counters import CounterCheck
from harness.check.linearizability import check
from harness.check.raft_invariants import MajorityCommit, OneLeader
from harness.check.sets import SetCheck
from harness.core.errors import UsageError
from harness.core.operations import Outcome
from harness.core.protocols import Checker, Evidence, Limits
from harness.core.verdict import CheckResult, Verdict


@dataclass(frozen=True, slots=True)
class LinearizabilityCheck:
    """The history against the evidence's model. ``engine`` picks the search."""

    name: str = "linearizability"
    engine: str = "auto"

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """A history in which nothing was answered proves nothing, whatever the search says."""
        if evidence.model is None:
            return CheckResult(self.name, Verdict.UNKNOWN, "no model was named")
        answered = sum(operation.outcome is Outcome.OK for operation in evidence.history.operations)
        if not answered:
            words = f"nothing to check: none of {len(evidence.history):,} operations was answered"
            return CheckResult(self.name, Verdict.UNKNOWN, words)
        try:
            return check(evidence.history, evidence.model, limits=limits, engine=self.engine)
        except UsageError as error:
            return CheckResult(self.name, Verdict.UNKNOWN, str(error))


CHECKERS: Mapping[str, Checker] = {
    checker.name: checker
    for checker in (
        LinearizabilityCheck(),
        SetCheck(),
        CounterCheck(),
        AppendCheck(),
        MajorityCommit(),
        OneLeader(),
    )
}
"""Every check there is. A workload names those that judge its histories."""
