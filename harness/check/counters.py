"""Counters: every read lies between what must and what can have been added.

For a read from ``start`` to ``end``: an addition acknowledged before ``start`` is in it; one
called after ``end``, or refused, is not; any other may be, alone. So the lowest possible value
takes of the others the negative ones, the highest the positive ones.

Where nothing negative is added, an earlier read bounds a later one in the same way: from its value
on, with what was called and acknowledged between the two as the least, and with all but what had
been acknowledged before it as the most. This is sharper (an unanswered addition loosens the bounds
of all reads, but not the steps between them) and needs few operations to be shown.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from harness.check.elements import by_key
from harness.check.limits import Budget
from harness.check.telling import anomaly, counted, judge
from harness.core.operations import Operation, Outcome
from harness.core.protocols import Evidence, Limits
from harness.core.values import Value, show
from harness.core.verdict import Anomaly, CheckResult, Verdict

ADDS = frozenset({"add", "increment"})
"""Both take a delta; what they return, if anything, is not looked at."""

LOOK_BACK = 4
"""Earlier reads that a read is compared with, the nearest first."""


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
    growing = all(delta >= 0 for _, delta in adds)
    steps = _Steps(key, adds, reads, bounds) if growing else None
    for read, end in reads:
        budget.look()
        found = steps.wrong(read, end) if steps else None
        low, high = bounds.lowest(read.start, end), bounds.highest(read.start, end)
        value = 0 if read.result is None else read.result
        if found is not None:
            yield found
        elif not isinstance(value, int) or not low <= value <= high:
            yield _outside(key, read, end, (low, high))


def _outside(key: Value, read: Operation, end: int, bounds: tuple[int, int]) -> Anomaly:
    low, high = bounds
    value = 0 if read.result is None else read.result
    if not isinstance(value, int):
        kind, why = "not a number", "which is no whole number"
    elif value < low:
        kind, why = "lost addition", f"but at least {low} had been acknowledged before"
    else:
        kind, why = "surplus", f"but at most {high} can have been added by then"
    legal = str(low) if low == high else f"{low} to {high}"
    return anomaly(kind, f"{_who(key, read)}, {why}.", key, [read], at_ns=end, legal=(legal,))


class _Steps:
    """From one read to a later one, on a counter that only grows."""

    def __init__(
        self,
        key: Value,
        adds: Sequence[tuple[Operation, int]],
        reads: Sequence[tuple[Operation, int]],
        bounds: _Bounds,
    ) -> None:
        self._key = key
        self._bounds = bounds
        self._adds = sorted(adds, key=lambda add: add[0].start)
        self._starts = [add.start for add, _ in self._adds]
        numbers = [(end, read) for read, end in reads if isinstance(read.result, int)]
        self._reads = sorted(numbers, key=lambda pair: pair[0])
        self._ends = [end for end, _ in self._reads]
        # The highest read so far, by end: however far back, nothing may fall below it.
        self._highest: list[Operation] = []
        for _, read in self._reads:
            top = self._highest[-1] if self._highest else read
            self._highest.append(read if _number(read) > _number(top) else top)

    def wrong(self, read: Operation, end: int) -> Anomaly | None:
        """What an earlier read has against this one."""
        if not isinstance(read.result, int):
            return None
        last = bisect_left(self._ends, read.start)
        for _, before in reversed(self._reads[max(0, last - LOOK_BACK) : last]):
            found = self._too_low(before, read, end) or self._too_high(before, read, end)
            if found is not None:
                return found
        if last and read.result < _number(self._highest[last - 1]):
            return self._too_low(self._highest[last - 1], read, end)
        return None

    def _too_low(self, before: Operation, read: Operation, end: int) -> Anomaly | None:
        first = bisect_right(self._starts, before.end or 0)
        last = bisect_left(self._starts, read.start)
        between = [
            (add, delta)
            for add, delta in self._adds[first:last]
            if add.end is not None and add.end < read.start
        ]
        least = _number(before) + sum(delta for _, delta in between)
        if _number(read) >= least:
            return None
        had = f"process {before.process} had read {_number(before)} before"
        if _number(read) < _number(before):
            words = f"{had}, and nothing was ever subtracted"
            return self._anomaly("counter going back", [before, read], words, least, end)
        enough = _number(before)
        shown: list[Operation] = []
        for add, delta in sorted(between, key=lambda pair: -pair[1]):
            if enough > _number(read):
                break
            enough += delta
            shown.append(add)
        words = f"{had}, and {least - _number(before)} more had been acknowledged in between"
        return self._anomaly("lost addition", [before, *shown, read], words, least, end)

    def _too_high(self, before: Operation, read: Operation, end: int) -> Anomaly | None:
        # All that was called until the end, but for what was surely in the earlier read.
        since = self._bounds.may_up.until(end) - self._bounds.must_up.before(before.start)
        most = _number(before) + since
        if _number(read) <= most:
            return None
        possible = [
            add
            for add, _ in self._adds[: bisect_right(self._starts, end)]
            if add.end is None or add.end >= before.start
        ]
        had = f"process {before.process} had read {_number(before)} before"
        words = f"{had}, and at most {since} more can have been added since"
        operations = [before, *possible, read]
        return self._anomaly("surplus", operations, words, most, end)

    def _anomaly(
        self, kind: str, operations: list[Operation], words: str, bound: int, end: int
    ) -> Anomaly:
        read = operations[-1]
        legal = f"at most {bound}" if kind == "surplus" else f"at least {bound}"
        sentence = f"{_who(self._key, read)}, but {words}."
        return anomaly(kind, sentence, self._key, operations, at_ns=end, legal=(legal,))


def _number(read: Operation) -> int:
    return read.result if isinstance(read.result, int) else 0


def _who(key: Value, read: Operation) -> str:
    return f"Process {read.process} read {show(read.result)}{_from(key)}"


def _from(key: Value) -> str:
    return "" if key is None else f" from {show(key)}"
