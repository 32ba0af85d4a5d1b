"""What is common to sets and lists: elements that are added once and must not get lost.

Everything here is about one key. The rules hold for every linearizable object that only grows
(each from the definition, Herlihy & Wing 1990, section 2.3), with closed intervals: a call at the
very instant of a return is concurrent with it, which accuses nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.check.limits import Budget
from harness.check.telling import anomaly, counted, in_key, judge
from harness.core.operations import Operation, Outcome
from harness.core.protocols import Evidence, Limits
from harness.core.units import show_ms
from harness.core.values import Value, show
from harness.core.verdict import Anomaly, CheckResult, Verdict

MOST_UNSEEN = 0.1
"""Share of the acknowledged elements that may go without any later read: with more, finding
nothing wrong means little."""


@dataclass(frozen=True, slots=True)
class Element:
    """A value that somebody tried to add.

    ``start`` is when it could take effect first; ``acknowledged`` the earliest acknowledgement,
    None when there was none; ``chances`` how often it may have been added (refusals left out).
    """

    value: Value
    operation: Operation
    start: int
    acknowledged: int | None
    chances: int


@dataclass(frozen=True, slots=True)
class Look:
    """A read that was answered: the elements in the order in which they came."""

    operation: Operation
    items: tuple[Value, ...]
    present: frozenset[Value]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Growth:
    """One key's adds and reads. ``refused`` were definitely not added (and by nobody else)."""

    key: Value
    elements: Mapping[Value, Element]
    refused: Mapping[Value, Operation]
    looks: tuple[Look, ...]


def by_key(
    operations: Iterable[Operation], functions: frozenset[str]
) -> dict[Value, list[Operation]] | str:
    """Operations by key, in the order in which keys first appear.

    A sentence when one of them is none of ``functions``: leaving out what changes an object would
    accuse whoever reads it.
    """
    keys: dict[Value, list[Operation]] = {}
    for operation in operations:
        if operation.call.f not in functions:
            known = ", ".join(sorted(functions))
            return (
                f"event {operation.index} is a {operation.call.f!r}; this check has only: {known}"
            )
        keys.setdefault(operation.call.key, []).append(operation)
    return keys


def growth(key: Value, operations: Sequence[Operation], adds: str) -> Growth | str:
    """One key's adds and reads; a sentence when a read did not return a list of elements."""
    elements: dict[Value, Element] = {}
    refused: dict[Value, Operation] = {}
    looks: list[Look] = []
    for operation in operations:
        call = operation.call
        if call.f == adds:
            if operation.outcome is Outcome.FAIL:
                refused.setdefault(call.value, operation)
            else:
                elements[call.value] = _added(elements.get(call.value), operation)
        elif operation.outcome is Outcome.OK and operation.end is not None:
            items = () if operation.result is None else operation.result
            if not isinstance(items, tuple):
                return f"a read returned {show(items)}, which is no list of elements"
            looks.append(Look(operation, items, frozenset(items), operation.start, operation.end))
    return Growth(key, elements, refused, tuple(looks))


def _added(known: Element | None, operation: Operation) -> Element:
    """The same value added again may take effect from the first call on."""
    end = operation.end if operation.outcome is Outcome.OK else None
    if known is None:
        return Element(operation.call.value, operation, operation.start, end, 1)
    ends = [at for at in (known.acknowledged, end) if at is not None]
    return Element(
        known.value,
        known.operation,
        min(known.start, operation.start),
        min(ends, default=None),
        known.chances + 1,
    )


def phantoms(growth: Growth) -> Iterator[Anomaly]:
    """Elements in a read that nobody added, that were refused, or that come from the future."""
    for look in growth.looks:
        for value in dict.fromkeys(look.items):
            element = growth.elements.get(value)
            if element is not None and element.start <= look.end:
                continue
            who = _reader(look)
            if element is not None:
                cause, other = (
                    "which was added only after that read had returned",
                    [element.operation],
                )
            elif value in growth.refused:
                other = [growth.refused[value]]
                cause = f"whose adding by process {other[0].process} had been refused"
            else:
                cause, other = "which nobody ever added", []
            yield anomaly(
                "phantom element",
                f"{who} saw {show(value)}{in_key(growth.key)}, {cause}.",
                growth.key,
                [*other, look.operation],
                at_ns=look.end,
            )


def duplicates(growth: Growth) -> Iterator[Anomaly]:
    """Elements that a read returned more often than they can have been added."""
    for look in growth.looks:
        if len(look.items) == len(look.present):
            continue
        for value, times in Counter(look.items).items():
            element = growth.elements.get(value)
            chances = max(1, element.chances) if element else 1
            if times > chances:
                added = f"was added {_times(chances)}"
                yield anomaly(
                    "duplicate element",
                    f"{_reader(look)} saw {show(value)} {_times(times)}{in_key(growth.key)}; "
                    f"it {added}.",
                    growth.key,
                    [element.operation, look.operation] if element else [look.operation],
                    at_ns=look.end,
                )


def missing(growth: Growth, budget: Budget) -> Iterator[Anomaly]:
    """Elements known to be there before a read began, and not in it.

    Known: acknowledged, or returned by an earlier read. *Lost* when no read that began later has
    it again, otherwise the read was *stale*. One anomaly for each element.
    """
    known: dict[Value, tuple[int, Operation]] = {}
    for element in growth.elements.values():
        if element.acknowledged is not None:
            known[element.value] = (element.acknowledged, element.operation)
    for look in growth.looks:
        for value in look.present & growth.elements.keys():
            if value not in known or look.end < known[value][0]:
                known[value] = (look.end, look.operation)
    first: dict[Value, Look] = {}
    again: set[Value] = set()
    order = sorted(known.items(), key=lambda item: item[1][0])
    for look in sorted(growth.looks, key=lambda look: look.start):
        budget.look()
        again.update(first.keys() & look.present)
        for value, (since, _) in order:
            if since >= look.start:
                break
            if value not in look.present:
                first.setdefault(value, look)
    for value, look in sorted(first.items(), key=lambda item: item[1].end):
        lost = value not in again
        yield _missed(growth, growth.elements[value], known[value], look, lost=lost)


def _missed(
    growth: Growth, element: Element, known: tuple[int, Operation], look: Look, *, lost: bool
) -> Anomaly:
    since, witness = known
    if witness is element.operation:
        why = f"acknowledged to process {witness.process}"
    else:
        why = f"seen by process {witness.process}"
    kind = "lost element" if lost else "stale read"
    after = "no later read has it" if lost else "a later read has it again"
    operations = [element.operation, witness, look.operation]
    return anomaly(
        kind,
        f"{_reader(look)} lacks {show(element.value)}{in_key(growth.key)}, which had been {why} "
        f"{show_ms(look.start - since)} before it began; {after}.",
        growth.key,
        operations,
        at_ns=look.end,
    )


def overtaken(growth: Growth, budget: Budget) -> Iterator[Anomaly]:
    """A read has an element that was begun after another was acknowledged, but not that other.

    The later one implies the earlier one: whatever instant the read took effect at, the earlier
    element was there.
    """
    acknowledged = sorted(
        (element for element in growth.elements.values() if element.acknowledged is not None),
        key=lambda element: element.acknowledged or 0,
    )
    for look in growth.looks:
        budget.look()
        inside = [growth.elements[value] for value in look.present & growth.elements.keys()]
        if not inside:
            continue
        latest = max(inside, key=lambda element: element.start)
        for element in acknowledged:
            if (element.acknowledged or 0) >= latest.start:
                break
            if element.value not in look.present:
                yield anomaly(
                    "elements out of order",
                    f"{_reader(look)} saw {show(latest.value)} but not {show(element.value)}"
                    f"{in_key(growth.key)}, whose adding had been acknowledged before "
                    f"{show(latest.value)} was begun.",
                    growth.key,
                    [element.operation, latest.operation, look.operation],
                    at_ns=look.end,
                )
                break


def content(growth: Growth, budget: Budget) -> Iterator[Anomaly]:
    """What is in reads and should not be, what should be and is not."""
    yield from duplicates(growth)
    yield from phantoms(growth)
    yield from missing(growth, budget)


def first_of(
    basic: Iterator[Anomaly], further: Callable[[], Iterator[Anomaly]]
) -> Iterator[Anomaly]:
    """``further`` only where ``basic`` finds nothing: it would tell the same fault once more."""
    found = False
    for item in basic:
        found = True
        yield item
    if not found:
        yield from further()


def uncovered(growth: Growth) -> int:
    """Acknowledged elements that no answered read was begun after: nobody knows about them."""
    last = max((look.start for look in growth.looks), default=-1)
    ends = (element.acknowledged for element in growth.elements.values())
    return sum(1 for end in ends if end is not None and end >= last)


def check_growth(
    checker: str,
    evidence: Evidence,
    limits: Limits,
    adds: str,
    rules: Callable[[Growth, Budget], Iterator[Anomaly]],
) -> CheckResult:
    """Applies ``rules`` to each key of a history of ``adds`` and reads."""
    parts = by_key(evidence.history.operations, frozenset({adds, "read"}))
    if isinstance(parts, str):
        return CheckResult(checker, Verdict.UNKNOWN, parts)
    keys: list[Growth] = []
    for key, operations in parts.items():
        known = growth(key, operations, adds)
        if isinstance(known, str):
            return CheckResult(checker, Verdict.UNKNOWN, known)
        keys.append(known)
    elements = sum(len(known.elements) for known in keys)
    acknowledged = sum(
        1 for known in keys for item in known.elements.values() if item.acknowledged is not None
    )
    looks = sum(len(known.looks) for known in keys)
    unseen = sum(uncovered(known) for known in keys)
    looked_at = (
        f"{counted(elements, 'element')} ({acknowledged:,} acknowledged) in "
        f"{counted(looks, 'read')} of {counted(len(keys), 'key')}"
    )
    unknown = None
    if not acknowledged or not looks:
        found = f"{counted(acknowledged, 'acknowledged element')}, {counted(looks, 'read')}"
        unknown = f"nothing to check: {found}"
    elif unseen:
        words = f"{unseen:,} of {counted(acknowledged, 'acknowledged element')} were not read again"
        if unseen > MOST_UNSEEN * acknowledged:
            unknown = words
        looked_at = f"{looked_at}; {words}"
    budget = Budget(limits)
    return judge(
        checker,
        (item for known in keys for item in rules(known, budget)),
        looked_at,
        unknown,
        {
            "elements": elements,
            "acknowledged": acknowledged,
            "not_read_again": unseen,
            "reads": looks,
            "keys": len(keys),
        },
    )


def _reader(look: Look) -> str:
    return f"The read by process {look.operation.process}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
