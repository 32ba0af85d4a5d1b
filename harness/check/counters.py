"""Counters: every read lies between what must and what can have been added.

For a read from ``start`` to ``end``: an addition acknowledged before ``start`` is in it; one
called after ``end``, or refused, is not; any other may be, alone. So the lowest possible value
takes of the others the negative ones, the highest the positive ones. Where nothing negative is
added, a read must also not be below one that ended before it began.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from harness.check.elements import anomaly, by_key, counted, judge
from harness.check.limits import Budget
from harness.core.operations import Operation, Outcome
from harness.core.protocols import Evidence, Limits
from harness.core.values import Value, show
from harness.core.verdict import Anomaly, CheckResult, Verdict

ADDS = frozenset({"add", "increment"})
"""Both take a delta; what they return, if anything, is not looked at."""


@dataclass(frozen=True, slots=True)
class CounterCheck:
    """Lost, repeated and invented additions of counters that begin at 0, key by key."""

    name: str = "counter"

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """n · log n in the number of operations."""
        keys = by_key(evidence.history.operations, ADDS | {"read"})
        if isinstance(keys, str):
            return CheckResult(self.name, Verdict.UNKNOWN, keys)
        for operation in evidence.history.operations:
            delta = operation.call.value
            if operation.call.f in ADDS and (type(delta) is not int):
                words = f"event {operation.index} adds {show(delta)}, which is no whole number"
                return CheckResult(self.name, Verdict.UNKNOWN, words)
        everything = evidence.history.operations
        adds = sum(operation.call.f in ADDS for operation in everything)
        acknowledged = sum(
            operation.call.f in ADDS and operation.outcome is Outcome.OK for operation in everything
        )
        reads = sum(
            operation.call.f == "read" and operation.outcome is Outcome.OK
            for operation in everything
        )
        unknown = None
        if not acknowledged or not reads:
            found = f"{counted(acknowledged, 'acknowledged addition')}, {counted(reads, 'read')}"
            unknown = f"nothing to check: {found}"
        budget = Budget(limits)
        return judge(
            self.name,
            (item for key, some in keys.items() for item in _wrong(key, some, budget)),
            f"{counted(adds, 'addition')} ({acknowledged:,} acknowledged) and "
            f"{counted(reads, 'read')} of {counted(len(keys), 'counter')}",
            unknown,
            {"additions": adds, "acknowledged": acknowledged, "reads": reads, "keys": len(keys)},
        )


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums of deltas up to a time, by bisection."""

    times: Sequence[int]
    sums: Sequence[int]

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> _Sums:
        ordered = sorted(pairs)
        deltas = accumulate((delta for _, delta in ordered), initial=0)
        return cls([at for at, _ in ordered], list(deltas))

    def before(self, at: int) -> int:
        return self.sums[bisect_left(self.times, at)]

    def until(self, at: int) -> int:
        return self.sums[bisect_right(self.times, at)]


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What a read may return. ``must`` is by time of return, ``may`` by time of call."""

    must_up: _Sums
    must_down: _Sums
    may_up: _Sums
    may_down: _Sums

    @classmethod
    def of(cls, adds: Sequence[tuple[Operation, int]]) -> _Bounds:
        must = [(add.end, delta) for add, delta in adds if add.end is not None]
        may = [(add.start, delta) for add, delta in adds]
        return cls(
            _Sums.of((at, max(0, delta)) for at, delta in must),
            _Sums.of((at, min(0, delta)) for at, delta in must),
            _Sums.of((at, max(0, delta)) for at, delta in may),
            _Sums.of((at, min(0, delta)) for at, delta in may),
        )

    def lowest(self, start: int, end: int) -> int:
        return self.must_up.before(start) + self.may_down.until(end)

    def highest(self, start: int, end: int) -> int:
        return self.must_down.before(start) + self.may_up.until(end)


def _wrong(key: Value, operations: Sequence[Operation], budget: Budget) -> Iterator[Anomaly]:
    adds = [
        (operation, operation.call.value)
        for operation in operations
        if operation.call.f in ADDS
        and operation.outcome is not Outcome.FAIL
        and isinstance(operation.call.value, int)
    ]
    reads = [
        (operation, operation.end)
        for operation in operations
        if operation.call.f == "read"
        and operation.outcome is Outcome.OK
        and operation.end is not None
    ]
    bounds = _Bounds.of(adds)
    for read, end in reads:
        budget.look()
        low, high = bounds.lowest(read.start, end), bounds.highest(read.start, end)
        value = 0 if read.result is None else read.result
        if isinstance(value, int) and low <= value <= high:
            continue
        yield _outside(key, read, end, (low, high))
    if all(delta >= 0 for _, delta in adds):
        yield from _backwards(key, reads)


def _outside(key: Value, read: Operation, end: int, bounds: tuple[int, int]) -> Anomaly:
    low, high = bounds
    value = 0 if read.result is None else read.result
    if not isinstance(value, int):
        kind, why = "not a number", "which is no whole number"
    elif value < low:
        kind, why = "lost addition", f"but at least {low} had been acknowledged before"
    else:
        kind, why = "surplus", f"but at most {high} can have been added by then"
    who = f"Process {read.process} read {show(read.result)}{_from(key)}"
    legal = str(low) if low == high else f"{low} to {high}"
    return anomaly(kind, f"{who}, {why}.", key, [read], at_ns=end, legal=(legal,))


def _backwards(key: Value, reads: Sequence[tuple[Operation, int]]) -> Iterator[Anomaly]:
    """Reads below the highest value that an earlier read had returned."""
    numbers = [(read, end, read.result) for read, end in reads if isinstance(read.result, int)]
    ended = sorted(numbers, key=lambda item: item[1])
    place = 0
    top: tuple[Operation, int] | None = None
    for read, end, value in sorted(numbers, key=lambda item: item[0].start):
        while place < len(ended) and ended[place][1] < read.start:
            before, _, seen = ended[place]
            if top is None or seen > top[1]:
                top = (before, seen)
            place += 1
        if top is not None and value < top[1]:
            yield anomaly(
                "counter going back",
                f"Process {read.process} read {value}{_from(key)}, after process "
                f"{top[0].process} had read {top[1]}, and nothing was ever subtracted.",
                key,
                [top[0], read],
                at_ns=end,
                legal=(f"at least {top[1]}",),
            )


def _from(key: Value) -> str:
    return "" if key is None else f" from {show(key)}"
