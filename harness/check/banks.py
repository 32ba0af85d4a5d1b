"""Banks by their totals: money moves, so at every instant all accounts hold what they began with.

(The bank test of Jepsen, after Berenson et al., "A critique of ANSI SQL isolation levels", 1995,
section 3: a snapshot that sees a half of a transfer is a read skew.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.check.elements import by_key
from harness.check.limits import Budget
from harness.check.telling import anomaly, counted, in_key, judge
from harness.core.operations import Operation, Outcome
from harness.core.protocols import Evidence, Limits
from harness.core.values import Value, show
from harness.core.verdict import Anomaly, CheckResult, Verdict

FUNCTIONS = frozenset({"open", "transfer", "snapshot"})


@dataclass(frozen=True, slots=True)
class BankCheck:
    """Totals that change, accounts below nothing, banks that are not there any more."""

    name: str = "bank"

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """Linear in what the snapshots returned."""
        parts = by_key(evidence.history.operations, FUNCTIONS)
        if isinstance(parts, str):
            return CheckResult(self.name, Verdict.UNKNOWN, parts)
        operations = evidence.history.operations
        done = [it.call.f for it in operations if it.outcome is Outcome.OK]
        looks, moves = done.count("snapshot"), done.count("transfer")
        looked_at = (
            f"{counted(looks, 'snapshot')} and {counted(moves, 'transfer')} of "
            f"{counted(len(parts), 'bank')}"
        )
        unknown = None if looks and moves else f"nothing to check: {looked_at}"
        budget = Budget(limits)
        found = (item for key, known in parts.items() for item in _wrong(key, known, budget))
        figures = {"snapshots": looks, "transfers": moves, "banks": len(parts)}
        return judge(self.name, found, looked_at, unknown, figures)


def _wrong(key: Value, operations: Sequence[Operation], budget: Budget) -> Iterator[Anomaly]:
    """Of a bank that was never asked to open nothing is known."""
    budget.look()
    opened = next((it for it in operations if it.call.f == "open"), None)
    match opened and opened.call.value:
        case (*names, int(balance)):
            total = len(names) * balance
        case _:
            return
    assert opened is not None
    for look in operations:
        if look.call.f != "snapshot" or look.outcome is not Outcome.OK:
            continue
        held = look.result if isinstance(look.result, tuple) else ()
        sums = [it for it in held if isinstance(it, int)]
        if set(look.call.value if isinstance(look.call.value, tuple) else ()) != set(names):
            continue
        words = None
        if len(sums) == len(names) and min(sums) < 0:
            kind, words = "negative balance", f"an account had {min(sums)}"
        elif sums and (sum(sums) != total or len(sums) < len(names)):
            kind, words = "total changed", f"all accounts together had {sum(sums)}, not {total}"
        elif not sums and opened.outcome is Outcome.OK and (opened.end or 0) < look.start:
            kind, words = "accounts lost", "no account was there, after the bank had been opened"
        if words is not None:
            yield anomaly(
                kind,
                f"In the snapshot of process {look.process}{in_key(key)} {words}: "
                f"{show(look.result)}.",
                key,
                [opened, look],
                at_ns=look.end or look.start,
            )
