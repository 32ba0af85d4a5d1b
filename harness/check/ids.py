"""Unique ids: of all that were given out, no two are the same. This is all that they promise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.check.elements import by_key
from harness.check.limits import Budget
from harness.check.telling import anomaly, counted, in_key, judge
from harness.core.operations import Operation, Outcome
from harness.core.protocols import Evidence, Limits
from harness.core.values import Value, show
from harness.core.verdict import Anomaly, CheckResult, Verdict


@dataclass(frozen=True, slots=True)
class UniqueIdsCheck:
    """Ids that were given to two calls, key by key."""

    name: str = "unique-ids"

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """Linear in the number of operations."""
        parts = by_key(evidence.history.operations, frozenset({"generate"}))
        if isinstance(parts, str):
            return CheckResult(self.name, Verdict.UNKNOWN, parts)
        given = {
            key: [it for it in operations if it.outcome is Outcome.OK]
            for key, operations in parts.items()
        }
        number = sum(map(len, given.values()))
        looked_at = f"{counted(number, 'id')} of {counted(len(parts), 'key')}"
        unknown = None if number > 1 else f"nothing to check: {looked_at}"
        budget = Budget(limits)
        found = (item for key, known in given.items() for item in _twice(key, known, budget))
        return judge(self.name, found, looked_at, unknown, {"ids": number, "keys": len(parts)})


def _twice(key: Value, given: list[Operation], budget: Budget) -> Iterator[Anomaly]:
    budget.look()
    first: dict[Value, Operation] = {}
    for it in sorted(given, key=lambda it: it.end or 0):
        other = first.setdefault(it.result, it)
        if other is not it:
            yield anomaly(
                "id given twice",
                f"Process {it.process} was given the id {show(it.result)}{in_key(key)}, which "
                f"process {other.process} had been given before.",
                key,
                [other, it],
                at_ns=it.end or it.start,
            )
