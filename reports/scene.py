"""What a counterexample's picture shows, before anything is drawn.

The picture alone has to be INVALID: it holds the operations that the checker found to be enough,
the lane of values that all legal orders of the *full* history allow, and nothing that was left
out for looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.faults import FaultRecord
from harness.core.operations import Operation, Outcome
from harness.core.run import RoleSpan, RunRecord
from harness.core.units import show_ms
from harness.core.values import Record, Value, show
from harness.core.verdict import Anomaly, LaneSegment
from reports.words import clean, joined, numeral, shorten

CONTEXT_LIMIT = 12
"""Concurrent operations that are shown beside a counterexample; more would hide it."""

MOST_DRAWN = 16
"""Operations in one picture; more are told, not drawn."""

LEGAL_SAID = ("legal here", "possible then")
"""Words by which a checker's own sentence says what was legal."""

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
        """``write 3``; one that was refused says so."""
        item = self.operation
        # What a transaction was answered says more than what it asked.
        answered = item.outcome is Outcome.OK and isinstance(item.result, tuple)
        reads = item.call.value is None
        words = f"{item.call.f} {show(item.result)}" if answered and not reads else item.words()
        failed = " failed" if item.outcome is Outcome.FAIL else ""
        return shorten(words, LABEL) + failed

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
        key: the key, for people; ``it`` when there is none.
        timed: whether instants are times, or only places in the history.
        window: run nanoseconds of the first call and of the last instant that matters.
        faults: those in force within the window.
    """

    actors: tuple[Actor, ...]
    context: tuple[Actor, ...]
    context_missing: int
    lane: tuple[LaneSegment, ...]
    legal: str
    key: str
    window: tuple[int, int]
    faults: tuple[FaultRecord, ...]
    timed: bool

    def told(self, actor: Actor) -> str:
        """The actor's sentence; the culprit's says what was legal, once."""
        item = actor.operation
        words = actor.step or f"Process {item.process}: {actor.words}."
        if not actor.culprit:
            return words
        said = not self.legal or any(known in words for known in LEGAL_SAID)
        return f"✕ {words}" if said else f"{words} ✕ Legal here: {self.legal}."


def scene_of(record: RunRecord, anomaly: Anomaly) -> Scene | None:
    """The scene of an anomaly.

    None when it names no operation of the history, or a single one and nothing that contradicts
    it: such an anomaly is about nodes, or could not be explained by operations.
    """
    alone = len(anomaly.operations) < 2 and not anomaly.lane and not anomaly.legal
    if alone:
        return None
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
        key="it" if anomaly.key is None else shorten(show(anomaly.key), 18),
        window=window,
        faults=tuple(fault for fault in record.faults if overlaps(fault, *window)),
        timed=record.history.timed,
    )


def culprit_of(record: RunRecord, anomaly: Anomaly) -> Operation | None:
    """The operation that the anomaly blames, if it blames one."""
    if anomaly.culprit is None:
        return None
    wanted = anomaly.culprit
    return next((item for item in record.history.operations if item.index == wanted), None)


def overlaps(fault: FaultRecord, start: int, end: int) -> bool:
    """Whether the fault was in force at some instant of the window."""
    if fault.began_ns is None or fault.began_ns > end:
        return False
    return fault.ended_ns is None or fault.ended_ns >= start


def segment_words(values: tuple[str, ...], *, decisive: bool) -> str:
    """``3 or 4``; ``4 only`` where the culprit stands and nothing else is possible."""
    words = clean(joined(values, most=3)) or "nothing legal"
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


def circumstances(record: RunRecord, culprit: Operation | None) -> tuple[str, ...]:
    """Who answered, and what traces and faults say of that node at the time."""
    if culprit is None or culprit.node is None:
        return ()
    at_ns = culprit.start if culprit.end is None else culprit.end
    said = [f"It was answered by {clean(culprit.node)}"]
    since = cut_off_since(record, culprit.node, at_ns)
    if since is not None:
        said.append(f"cut off from the majority for {show_ms(at_ns - since)}")
    role = role_at(record, culprit.node, at_ns)
    if role is not None and role.role == "leader":
        others = [span for span in leaders_at(record, at_ns) if span.node != culprit.node]
        other = max(others, key=lambda span: span.term, default=None)
        if other is None or other.term == role.term:
            said.append(f"calling itself leader of term {role.term}")
        elif other.term > role.term:
            said.append(f"still calling itself leader of term {role.term}")
            said.append(f"while {clean(other.node)} was leading term {other.term}")
        else:
            said.append(f"leading term {role.term}")
            said.append(f"while {clean(other.node)} still called itself leader of {other.term}")
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
    """Since when proven faults had kept ``node`` apart from a majority; None: they had not."""
    if record.plan is None:
        return None
    in_force = [
        fault
        for fault in record.faults
        if fault.bit.holds
        and fault.began_ns is not None
        and fault.began_ns <= at_ns
        and (fault.ended_ns is None or fault.ended_ns > at_ns)
    ]
    in_force.sort(key=lambda fault: fault.began_ns or 0)
    for number, fault in enumerate(in_force, 1):
        if cut_off(in_force[:number], record.plan.nodes, node):
            return fault.began_ns
    return None


def cut_off(faults: Sequence[FaultRecord], nodes: Sequence[str], node: str) -> bool:
    """Whether the faults' cuts together leave ``node`` no majority to talk with, itself included.

    To talk takes both directions. A fault's ``resolved["drops"]`` says whose packets never reach
    whom; faults without it cut nothing.
    """
    deaf: set[tuple[str, str]] = set()
    for fault in faults:
        drops = fault.resolved.get("drops")
        if isinstance(drops, Record):
            for receiver, senders in drops.items:
                if isinstance(senders, tuple):
                    deaf |= {(receiver, sender) for sender in senders if isinstance(sender, str)}
    talking = [other for other in nodes if (node, other) not in deaf and (other, node) not in deaf]
    return len(talking) * 2 <= len(nodes)
