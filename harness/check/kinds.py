"""Names for what is wrong: the field's words, found from facts of the object's whole history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.check.models import Action, Model, Traffic
from harness.core.operations import Operation, Outcome
from harness.core.values import Value, show

_COLLECTS = frozenset({"append", "add", "enqueue"})
"""Functions whose values stay side by side instead of replacing each other."""


@dataclass(frozen=True, slots=True)
class Named:
    """A kind of anomaly. ``because`` ends the sentence where no gap in time explains it.

    ``context`` are operations that took no effect, but without which nobody understands it.
    """

    kind: str
    because: str | None = None
    context: tuple[Operation, ...] = ()


def name_anomaly(
    operations: Sequence[Operation], kept: Sequence[Operation], culprit: Operation, model: Model
) -> Named:
    """What the culprit's failure is called.

    Args:
        operations: all of the object's operations, failed ones too.
        kept: those that are enough to show it.
        culprit: the operation that no legal order lets return.
        model: the sequential object.
    """
    facts = _Facts(operations, culprit, model)
    match facts.action:
        case Action(f="acquire"):
            holder = facts.holder(kept)
            because = None if holder is None else f"which process {holder.process} still held"
            return Named("two holders of one lock", because)
        case Action(f="release"):
            return Named("release of a lock that was not held")
        case Action(f="cas", outcome=Outcome.FAIL):
            return Named("cas refused although the value matched")
    if facts.traffic.reaches is not None:
        return facts.miscounted(facts.traffic.reaches)
    return facts.from_nowhere() or facts.too_often() or facts.overlooked()


class _Facts:
    """An object's history as seen from the operation that fails."""

    def __init__(self, operations: Sequence[Operation], culprit: Operation, model: Model) -> None:
        action = model.action(culprit)
        assert action is not None
        assert culprit.end is not None
        self.culprit, self.end, self.model, self.action = culprit, culprit.end, model, action
        self.traffic = model.traffic(action)
        self.said = [
            (item, known, model.traffic(known))
            for item in operations
            if (known := model.action(item)) is not None
        ]
        self.failed = [item for item in operations if item.outcome is Outcome.FAIL]

    def from_nowhere(self) -> Named | None:
        """Values that nobody brought before the culprit returned."""
        for value in self.traffic.needs:
            calls = [item for item, _, traffic in self.said if value in traffic.brings]
            if any(item.start <= self.end and item.index != self.culprit.index for item in calls):
                continue
            if calls and calls != [self.culprit]:
                because = f"before the call that brought {show(value)}"
                return Named("read from the future", because, tuple(calls))
            failed = tuple(item for item in self.failed if value in self._would_bring(item))
            if failed:
                error = f" ({failed[0].error})" if failed[0].error else ""
                because = f"but the only operation that asked for {show(value)} had failed{error}"
                return Named("read of a failed write", because, failed)
            return Named("read of a value never written", f"but nobody ever wrote {show(value)}")
        return None

    def holder(self, kept: Sequence[Operation]) -> Operation | None:
        """Who acquired the lock last before the culprit did."""
        acquired = [
            item for item in kept if item.call.f == "acquire" and item.index != self.culprit.index
        ]
        return max(acquired, key=lambda item: item.start, default=None)

    def _would_bring(self, operation: Operation) -> tuple[Value, ...]:
        done = self.model.action(replace(operation, outcome=Outcome.OK, error=None))
        # A failed operation's result is nothing to go by: only what it asked for counts.
        return () if done is None else self.model.traffic(done).brings

    def too_often(self) -> Named | None:
        """Values seen, or taken out, more often than they were brought."""
        brought = Counter(value for _, _, traffic in self.said for value in traffic.brings)
        if self.action.f == "dequeue":
            value = self.action.result
            taken = [item for item, known, _ in self.said if known == self.action]
            if value is not None and len(taken) > brought[value]:
                return Named("delivered twice", f"which was enqueued {_times(brought[value])}")
            return None
        for value, times in Counter(self.traffic.needs).items():
            if times > 1 and times > brought[value] and self._collects(value):
                because = f"but {show(value)} was added {_times(brought[value])}"
                return Named("duplicate", because)
        return None

    def _collects(self, value: Value) -> bool:
        return all(
            known.f in _COLLECTS for _, known, traffic in self.said if value in traffic.brings
        )

    def overlooked(self) -> Named:
        """What was there before the culprit was called, and is not in its answer."""
        before = [
            (item, known, traffic)
            for item, known, traffic in self.said
            if item.end is not None and item.end < self.culprit.start
        ]
        match self.action:
            case Action(f="cas"):
                return Named("cas that succeeded on a value it could not see")
            case Action(f="dequeue", result=None):
                return Named("lost element")
            case Action(f="dequeue"):
                return Named("dequeued out of order")
            case Action(f="txn"):
                return Named("transaction without a place in any order")
        needs = set(self.traffic.needs)
        for _, known, traffic in reversed(before):
            if known.f in _COLLECTS and not needs.issuperset(traffic.brings):
                return self._stale_or_lost(traffic)
        if any(known.f in _COLLECTS for _, known, _ in self.said):
            return Named("contradictory orders")
        for item, _, traffic in reversed(before):
            if traffic.brings and not needs.intersection(traffic.brings):
                # What was overwritten is not lost: nobody can say that it was not there before.
                if any(later.start > item.start for later, _, its in self.said if its.brings):
                    return Named("stale read")
                return self._stale_or_lost(traffic)
        return Named("stale read" if before else "contradictory reads")

    def _stale_or_lost(self, overlooked: Traffic) -> Named:
        """Lost, if nobody ever saw it although somebody looked again later; else merely stale."""
        seen = any(set(overlooked.brings) & set(traffic.needs) for _, _, traffic in self.said)
        again = any(
            item.start > self.end and known.f == self.action.f for item, known, _ in self.said
        )
        return Named("lost write" if again and not seen else "stale read")

    def miscounted(self, reached: int) -> Named:
        """A counter's reading against the most and the least it can be."""
        possible = [
            traffic.delta
            for item, _, traffic in self.said
            if traffic.delta > 0 and item.start <= self.end
        ]
        if reached > sum(possible):
            because = f"but {sum(possible)} is the most that can have been added by then"
            return Named("read of increments never made", because)
        later = [
            traffic.reaches
            for item, _, traffic in self.said
            if traffic.reaches is not None and item.start > self.end
        ]
        sure = sum(
            traffic.delta
            for item, _, traffic in self.said
            if item.end is not None and item.end < self.culprit.start
        )
        lost = bool(later) and max(later) < sure
        kind = "lost update" if lost and reached < sure else "stale read"
        if reached < sure:
            return Named(kind, f"but additions of {sure} in all had been acknowledged before")
        return Named(kind)


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")
