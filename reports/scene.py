"""What a counterexample's picture shows, before anything is drawn.

The picture alone has to be INVALID: it holds the operations that the checker found to be enough,
the lane of values that all legal orders of the *full* history allow, and nothing that was left
out for looks.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.faults import FaultRecord
from harness.core.operations import Operation
from harness.core.run import RoleSpan, RunRecord
from harness.core.units import show_ms
from harness.core.values import Value, show
from harness.core.verdict import Anomaly, LaneSegment
from reports.words import clean, joined, numeral, shorten

CONTEXT_LIMIT = 12
"""Concurrent operations that are shown beside a counterexample; more would hide it."""

LABEL = 30
"""Characters of an operation in a picture; its sentence has all of them."""


@dataclass(frozen=True, slots=True)
class Actor:
    """An operation in the picture. ``number`` is None for one that only happened beside it."""

    operation: Operation
    number: int | None
    step: str = ""
    culprit: bool = False

    @property
    def words(self) -> str:
        """``write 3``."""
        return shorten(self.operation.words(), LABEL)

    @property
    def label(self) -> str:
        """``① write 3``."""
        return self.words if self.number is None else f"{numeral(self.number)} {self.words}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A counterexample, resolved.

    Attributes:
        actors: in order of call, numbered from 1.
        context: operations on the same key at the time that do not matter for the verdict.
        lane: what the key could hold, clipped to the window.
        legal: what the culprit could have returned, for people.
        key: the key, for people; empty when there is none.
        window: run nanoseconds of the first call and of the last instant that matters.
        faults: those in force within the window.
        circumstances: sentences on who answered the culprit, and in which state.
    """

    actors: tuple[Actor, ...]
    context: tuple[Actor, ...]
    context_missing: int
    lane: tuple[LaneSegment, ...]
    legal: str
    key: str
    window: tuple[int, int]
    faults: tuple[FaultRecord, ...]
    circumstances: tuple[str, ...]


def scene_of(record: RunRecord, anomaly: Anomaly) -> Scene | None:
    """The scene of an anomaly; None when it names no operation of the history."""
    wanted = {index: place for place, index in enumerate(anomaly.operations)}
    chosen = [item for item in record.history.operations if item.index in wanted]
    if not chosen:
        return None
    chosen.sort(key=lambda item: wanted[item.index])
    actors = tuple(
        Actor(
            operation=item,
            number=place + 1,
            step=_step(anomaly, wanted[item.index]),
            culprit=item.index == anomaly.culprit,
        )
        for place, item in enumerate(chosen)
    )
    start = min(item.start for item in chosen)
    instants = [item.start for item in chosen]
    instants += [item.end for item in chosen if item.end is not None]
    window = (start, max(instants))
    context, missing = _context(record, anomaly.key, window, set(wanted))
    return Scene(
        actors=actors,
        context=context,
        context_missing=missing,
        lane=_clip(anomaly.lane, window),
        legal=shorten(joined(anomaly.legal), 60),
        key="" if anomaly.key is None else shorten(show(anomaly.key), 18),
        window=window,
        faults=tuple(fault for fault in record.faults if overlaps(fault, *window)),
        circumstances=_circumstances(record, actors),
    )


def overlaps(fault: FaultRecord, start: int, end: int) -> bool:
    """Whether the fault was in force at some instant of the window."""
    if fault.began_ns is None or fault.began_ns > end:
        return False
    return fault.ended_ns is None or fault.ended_ns >= start


def segment_words(values: tuple[str, ...], *, decisive: bool) -> str:
    """``3 or 4``; ``4 only`` where the culprit stands and nothing else is possible."""
    words = clean(joined(values, most=3)) or "nothing"
    return f"{words} only" if decisive and len(values) == 1 else words


def decisive(segment: LaneSegment, actors: tuple[Actor, ...]) -> bool:
    """Whether the culprit lies wholly inside the segment."""
    return any(
        segment.start <= actor.operation.start
        and (
            segment.end is None
            or (actor.operation.end is not None and actor.operation.end <= segment.end)
        )
        for actor in actors
        if actor.culprit
    )


def _step(anomaly: Anomaly, place: int) -> str:
    return shorten(anomaly.steps[place]) if place < len(anomaly.steps) else ""


def _context(
    record: RunRecord, key: Value, window: tuple[int, int], wanted: set[int]
) -> tuple[tuple[Actor, ...], int]:
    if key is None:
        return (), 0
    start, end = window
    beside = [
        item
        for item in record.history.operations
        if item.call.key == key
        and item.index not in wanted
        and item.start <= end
        and (item.end is not None and item.end >= start)
    ]
    shown = tuple(Actor(item, None) for item in beside[:CONTEXT_LIMIT])
    return shown, len(beside) - len(shown)


def _clip(lane: tuple[LaneSegment, ...], window: tuple[int, int]) -> tuple[LaneSegment, ...]:
    start, end = window
    return tuple(
        LaneSegment(max(item.start, start), item.end, item.values)
        for item in lane
        if item.start <= end and (item.end is None or item.end > start)
    )


def _circumstances(record: RunRecord, actors: tuple[Actor, ...]) -> tuple[str, ...]:
    """Who answered the culprit, and what traces and faults say of that node at the time."""
    culprit = next((actor.operation for actor in actors if actor.culprit), None)
    if culprit is None or culprit.node is None:
        return ()
    at_ns = culprit.start if culprit.end is None else culprit.end
    said = [f"It was answered by {clean(culprit.node)}"]
    since = cut_off_since(record, culprit.node, at_ns)
    if since is not None:
        said.append(f"cut off from the majority for {show_ms(at_ns - since)}")
    role = role_at(record, culprit.node, at_ns)
    rivals = [
        span
        for span in leaders_at(record, at_ns)
        if span.node != culprit.node and (role is None or span.term != role.term)
    ]
    if role is not None and role.role == "leader":
        rival = max(rivals, key=lambda span: span.term, default=None)
        still = "still calling itself leader" if rival else "calling itself leader"
        said.append(f"{still} of term {role.term}")
        if rival is not None:
            said.append(f"while {clean(rival.node)} was leading term {rival.term}")
    elif role is not None:
        said.append(f"a {clean(role.role)} in term {role.term}")
    return (", ".join(said) + ".",)


def role_at(record: RunRecord, node: str, at_ns: int) -> RoleSpan | None:
    """What the node called itself at an instant."""
    return next(
        (span for span in record.roles if span.node == node and span.start <= at_ns < span.end),
        None,
    )


def leaders_at(record: RunRecord, at_ns: int) -> tuple[RoleSpan, ...]:
    """Everybody who called itself leader at an instant."""
    return tuple(
        span for span in record.roles if span.role == "leader" and span.start <= at_ns < span.end
    )


def cut_off_since(record: RunRecord, node: str, at_ns: int) -> int | None:
    """Since when a proven partition had kept ``node`` apart from a majority; None: it had not."""
    began = [
        fault.began_ns
        for fault in record.faults
        if fault.bit.holds
        and fault.began_ns is not None
        and fault.began_ns <= at_ns
        and (fault.ended_ns is None or fault.ended_ns > at_ns)
        and in_minority(fault, node)
    ]
    return min(began, default=None)


def in_minority(fault: FaultRecord, node: str) -> bool:
    """Whether the fault's groups (``resolved["groups"]``) leave ``node`` without a majority."""
    groups = fault.resolved.get("groups")
    if not isinstance(groups, tuple) or not all(isinstance(group, tuple) for group in groups):
        return False
    sides = [group for group in groups if isinstance(group, tuple)]
    total = len({member for side in sides for member in side})
    mine = [side for side in sides if node in side]
    return bool(mine) and all(len(side) * 2 <= total for side in mine)
