"""Locks by what their holders know: never two at once, and every token greater than the last.

A process holds a lock for certain from the return of its acquire to the call of its release. What
an unanswered acquire did is left to the model. (Fencing: Chubby's sequencers, Burrows, "The Chubby
lock service", OSDI 2006, section 2.4.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.check.elements import by_key
from harness.check.limits import Budget
from harness.check.telling import anomaly, counted, in_key, judge
from harness.core.operations import MISMATCH, Operation, Outcome
from harness.core.protocols import Evidence, Limits
from harness.core.values import Value, show
from harness.core.verdict import Anomaly, CheckResult, Verdict

FUNCTIONS = frozenset({"acquire", "release"})


@dataclass(frozen=True, slots=True)
class Hold:
    """An acquire that was granted, and the first release under its token that may have worked.

    ``refused`` is a release by which the holder was told that it is none, before it was released.
    """

    acquire: Operation
    token: int
    since: int
    release: Operation | None
    refused: Operation | None

    @property
    def until(self) -> float:
        """When it is not known to be held any more."""
        ends = (it.start for it in (self.release, self.refused) if it is not None)
        return min(ends, default=float("inf"))


@dataclass(frozen=True, slots=True)
class LockCheck:
    """Mutual exclusion and fencing, key by key."""

    name: str = "lock"

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """A sort by time for each key."""
        parts = by_key(evidence.history.operations, FUNCTIONS)
        if isinstance(parts, str):
            return CheckResult(self.name, Verdict.UNKNOWN, parts)
        keys: list[tuple[Value, list[Hold]]] = []
        for key, operations in parts.items():
            known = holds(operations)
            if isinstance(known, str):
                return CheckResult(self.name, Verdict.UNKNOWN, known)
            keys.append((key, known))
        number = sum(len(known) for _, known in keys)
        released = sum(
            it.release is not None and it.release.outcome is Outcome.OK
            for _, known in keys
            for it in known
        )
        looked_at = f"{counted(number, 'hold')} of {counted(len(keys), 'lock')}"
        unknown = None if number > 1 else f"nothing to check: {looked_at}"
        budget = Budget(limits)
        found = (item for key, known in keys for item in _wrong(key, known, budget))
        figures = {"holds": number, "released": released, "locks": len(keys)}
        return judge(self.name, found, looked_at, unknown, figures)


def holds(operations: Sequence[Operation]) -> list[Hold] | str:
    """What was granted, in order of time; a sentence when a token is no number."""
    releases: dict[Value, list[Operation]] = {}
    for it in sorted(operations, key=lambda it: it.start):
        # One that was refused without a word about the lock was no release.
        if it.call.f == "release" and (it.outcome is not Outcome.FAIL or it.error == MISMATCH):
            releases.setdefault(it.call.value, []).append(it)
    found = []
    for it in operations:
        if it.call.f == "acquire" and it.outcome is Outcome.OK and it.end is not None:
            if isinstance(it.result, bool) or not isinstance(it.result, int):
                return f"event {it.index} was granted the token {show(it.result)}, no whole number"
            found.append(_hold(it, it.result, it.end, releases.get(it.result, [])))
    return sorted(found, key=lambda hold: hold.since)


def _hold(acquire: Operation, token: int, since: int, releases: Sequence[Operation]) -> Hold:
    release = next((it for it in releases if it.outcome is not Outcome.FAIL), None)
    last = float("inf") if release is None else release.start
    refused = (
        it
        for it in releases
        if it.outcome is Outcome.FAIL and it.start > since and (it.end or it.start) < last
    )
    return Hold(acquire, token, since, release, next(refused, None))


def _wrong(key: Value, known: list[Hold], budget: Budget) -> Iterator[Anomaly]:
    budget.look()
    yield from _two_holders(key, known)
    yield from _tokens(key, known)
    yield from _lost(key, known)


def _two_holders(key: Value, known: list[Hold]) -> Iterator[Anomaly]:
    """Compared with the one so far that is held longest."""
    longest: Hold | None = None
    for hold in known:
        if hold.until <= hold.since:
            continue
        if longest is not None and longest.until > hold.since:
            mine, other = hold.acquire, longest.acquire
            yield anomaly(
                "two holders",
                f"Process {mine.process} was given the lock with token {hold.token}{in_key(key)} "
                f"while process {other.process} held it with token {longest.token}.",
                key,
                [other, mine],
                at_ns=hold.since,
            )
        if longest is None or hold.until > longest.until:
            longest = hold


def _tokens(key: Value, known: list[Hold]) -> Iterator[Anomaly]:
    """Tokens grow with time: where one grant returned before another was asked for, it is less.

    Sorted by token, it is enough to look at neighbours for equal ones; for order, at the latest
    call of any smaller token.
    """
    ordered = sorted(known, key=lambda hold: (hold.token, hold.since))
    for one, two in pairwise(ordered):
        if one.token == two.token:
            yield anomaly(
                "token given twice",
                f"Processes {one.acquire.process} and {two.acquire.process} were both given "
                f"token {one.token}{in_key(key)}.",
                key,
                [one.acquire, two.acquire],
                at_ns=two.since,
            )
    latest: Hold | None = None
    for hold in ordered:
        if latest is not None and latest.token < hold.token and hold.since < latest.acquire.start:
            mine, other = latest.acquire, hold.acquire
            yield anomaly(
                "token went back",
                f"Process {mine.process} was given token {latest.token}{in_key(key)} after process "
                f"{other.process} had been given {hold.token}: who checks tokens lets both in.",
                key,
                [other, mine],
                at_ns=latest.since,
            )
        if latest is None or hold.acquire.start > latest.acquire.start:
            latest = hold


def _lost(key: Value, known: list[Hold]) -> Iterator[Anomaly]:
    for hold in known:
        if hold.refused is not None:
            yield anomaly(
                "lock lost",
                f"Process {hold.acquire.process} was given the lock with token {hold.token}"
                f"{in_key(key)}, never released it, and was told that it did not hold it.",
                key,
                [hold.acquire, hold.refused],
                at_ns=hold.refused.end or hold.refused.start,
            )
