"""What each node called itself over time, as a picture on a true time scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.core.faults import FaultRecord
from harness.core.run import RoleSpan, RunRecord
from harness.core.units import SECOND
from reports.palette import fault_colour
from reports.scene import overlaps
from reports.svg import Picture, text_width
from reports.words import clean, instant, shorten, split_words

WIDTH = 1080.0
LEFT = 74.0
EDGE = 8.0
PITCH = 32.0
BAR = 20.0
BOX = 52.0
AROUND_NS = 2 * SECOND


@dataclass(frozen=True, slots=True)
class _Frame:
    start: int
    end: int
    top: float

    def at(self, at_ns: int) -> float:
        share = (min(max(at_ns, self.start), self.end) - self.start) / (self.end - self.start)
        return LEFT + share * (WIDTH - EDGE - LEFT)


def around(record: RunRecord, at_ns: int, name: str) -> Markup | None:
    """The nodes around an instant; None when nobody recorded what they called themselves."""
    start = max(0, at_ns - AROUND_NS)
    end = min(max(record.duration_ns, at_ns + 1), at_ns + AROUND_NS)
    return draw(record, (start, end), at_ns, name)


def whole(record: RunRecord, at_ns: int | None, name: str) -> Markup | None:
    """The nodes over the whole run."""
    return draw(record, (0, max(record.duration_ns, 1)), at_ns, name)


def draw(record: RunRecord, window: tuple[int, int], at_ns: int | None, name: str) -> Markup | None:
    """Fault boxes of three lines, a lane for each node, a red line at ``at_ns``."""
    start, end = window
    roles = [span for span in record.roles if span.start < end and span.end > start]
    faults = levels([fault for fault in record.faults if overlaps(fault, start, end)])
    if not roles and not faults:
        return None
    nodes = record.plan.nodes if record.plan else tuple(dict.fromkeys(s.node for s in roles))
    stacked = 1 + max((level for _, level in faults), default=-1)
    frame = _Frame(start, max(end, start + 1), 34 + (BOX + 4) * stacked)
    bottom = frame.top + PITCH * len(nodes)
    picture = Picture(name, "lanes")
    _ticks(picture, frame, bottom)
    for fault, level in faults:
        colour = fault_colour(fault.kind)
        left = frame.at(fault.began_ns or start)
        right = frame.at(end if fault.ended_ns is None else fault.ended_ns)
        picture.rect(f"tint {colour}", left, 8, right - left, bottom - 8)
        y = 8 + (BOX + 4) * level
        picture.rect(f"box {colour}", left, y, right - left, BOX)
        words = (f"{fault.id} {fault.kind}", *split_words(fault.words))
        for number, text in enumerate(words):
            _fitted(picture, "in", left + 5, y + 14 + 16 * number, right - left - 8, text)
    for number, node in enumerate(nodes):
        y = frame.top + PITCH * number
        picture.text("who", LEFT - 8, y + 5, shorten(node, 8), "end")
        for span in roles:
            if span.node == node:
                _lane(picture, frame, span, y)
    if at_ns is not None and start <= at_ns <= end:
        x = frame.at(at_ns)
        picture.line("violation", x, 8, x, bottom)
        picture.text("violation", min(x, WIDTH - 90), bottom + 32, f"✕ {instant(at_ns)}", "middle")
    return picture.markup(WIDTH, bottom + 40, "Nodes and faults", _description(roles))


def levels(faults: Sequence[FaultRecord]) -> tuple[tuple[FaultRecord, int], ...]:
    """Faults that began, each with the lowest level on which its box covers no other's."""
    free: list[float] = []
    placed = []
    begun = [fault for fault in faults if fault.began_ns is not None]
    for fault in sorted(begun, key=lambda item: item.began_ns or 0):
        began = fault.began_ns or 0
        level = next((n for n, until in enumerate(free) if until <= began), len(free))
        free[level : level + 1] = [math.inf if fault.ended_ns is None else fault.ended_ns]
        placed.append((fault, level))
    return tuple(placed)


def _lane(picture: Picture, frame: _Frame, span: RoleSpan, y: float) -> None:
    left, right = frame.at(span.start), frame.at(span.end)
    width = right - left
    match span.role:
        case "leader":
            picture.rect("leader", left, y - BAR / 2, width, BAR)
            _fitted(picture, "on", left + 5, y + 5, width - 8, f"leader, term {span.term}")
        case "candidate":
            picture.rect("candidate", left, y - 6, width, 12)
            _fitted(picture, "in", left + 5, y + 5, width - 8, f"candidate, term {span.term}")
        case "down":
            picture.rect("down", left, y - 8, width, 16)
            _fitted(picture, "gone", left + 5, y + 5, width - 8, "✕ down")
        case _:
            picture.rect("follower", left, y - 6, width, 12)


def _fitted(picture: Picture, css: str, x: float, y: float, room: float, words: str) -> None:
    """Text cut to its room; nothing at all where not even a letter fits."""
    letters = int(room / (12 * 0.6))
    if words and (letters >= 3 or text_width(words, 12) <= room):
        picture.text(css, x, y, shorten(words, letters))


def _ticks(picture: Picture, frame: _Frame, bottom: float) -> None:
    step = tick_step(frame.end - frame.start, 12)
    at_ns = -(-frame.start // step) * step
    while at_ns <= frame.end:
        x = frame.at(at_ns)
        picture.line("tick", x, 8, x, bottom)
        picture.text("time", x, bottom + 16, f"{at_ns / SECOND:g} s", "middle")
        at_ns += step


def tick_step(window_ns: int, most: int) -> int:
    """A round step (1, 2 or 5 times a power of ten, in ns) that gives at most ``most`` ticks."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if window_ns <= power * factor * most:
                return power * factor
        power *= 10


def _description(roles: list[RoleSpan]) -> str:
    led = [
        f"{clean(span.node)} led term {span.term} from {instant(span.start)} to {instant(span.end)}"
        for span in roles
        if span.role == "leader"
    ]
    return "; ".join(led[:12]) + "." if led else "No node called itself leader."
