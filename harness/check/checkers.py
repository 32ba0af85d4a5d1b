"""The checks by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from harness.check.appends import AppendCheck
from harness.check.banks import BankCheck
from harness.check.counters import CounterCheck
from harness.check.ids import UniqueIdsCheck
from harness.check.invariants.checks import INVARIANTS
from harness.check.linearizability import NAME, check
from harness.check.locks import LockCheck
from harness.check.queues import QueueCheck
from harness.check.sets import SetCheck
from harness.core.errors import UsageError
from harness.core.protocols import Checker, Evidence, Limits
from harness.core.verdict import CheckResult, Verdict


@dataclass(frozen=True, slots=True)
class LinearizabilityCheck:
    """The history against the evidence's model. ``engine`` picks the search."""

    name: str = "linearizable"
    engine: str = "auto"

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """A history without operations proves nothing. One in which none succeeded is legal: it
        tested nothing either, but that is for the adequacy of its run to say.
        """
        if evidence.model is None:
            return CheckResult(NAME, Verdict.UNKNOWN, "no model was named")
        if not evidence.history.operations:
            words = "nothing to check: the history has no operations"
            return CheckResult(NAME, Verdict.UNKNOWN, words)
        try:
            proven = check(evidence.history, evidence.model, limits=limits, engine=self.engine)
        except UsageError as error:
            return CheckResult(NAME, Verdict.UNKNOWN, str(error))
        # The witness stays behind: it is as long as the history, and can be had again from it.
        return CheckResult(**{it.name: getattr(proven, it.name) for it in fields(CheckResult)})


_ALL: tuple[Checker, ...] = (
    LinearizabilityCheck(),
    SetCheck(),
    CounterCheck(),
    AppendCheck(),
    QueueCheck(),
    LockCheck(),
    BankCheck(),
    UniqueIdsCheck(),
    *INVARIANTS,
)

TRACED = frozenset(checker.name for checker in INVARIANTS)
"""Those that look into the nodes' traces: of a system that writes none they could tell nothing."""

CHECKERS: Mapping[str, Checker] = {checker.name: checker for checker in _ALL}
"""Every check there is. A workload names those that judge its histories."""
