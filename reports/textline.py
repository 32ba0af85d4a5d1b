"""The counterexample in plain text, 80 columns wide."""

from __future__ import annotations

from harness.core.verdict import LaneSegment
from reports.glyphs import UNICODE, Glyphs
from reports.scene import Actor, Scene, decisive, segment_words
from reports.timescale import Need, Scale, scale

WIDTH = 78
INDENT = 2


def timeline(scene: Scene, glyphs: Glyphs = UNICODE) -> tuple[str, ...]:
    """The picture, or nothing when it would not fit: half a picture would mislead.

    Labels are shortened to their numbers before giving up; the sentences beside carry the rest.
    """
    for full in (True, False):
        lines = _picture(scene, glyphs, full=full)
        if all(len(line) <= WIDTH for line in lines):
            return lines
    return ()


def sentences(scene: Scene, glyphs: Glyphs = UNICODE) -> tuple[str, ...]:
    """``① Process 2 wrote 3 …``; the culprit's ends with what was legal."""
    lines = []
    for actor in scene.actors:
        lines.append(f"{glyphs.numeral(actor.number or 0)} {glyphs.fit(scene.told(actor))}")
    return tuple(lines)


def _picture(scene: Scene, glyphs: Glyphs, *, full: bool) -> tuple[str, ...]:
    rows = tuple(dict.fromkeys(actor.operation.process for actor in scene.actors))
    heads = [f"p{process}" for process in rows]
    head = max(len(name) for name in [*heads, glyphs.fit(scene.key)]) + 2
    place = _places(scene, glyphs, full=full, start=INDENT + head)
    lines = []
    for process, name in zip(rows, heads, strict=True):
        line = " " * INDENT + name
        for actor in scene.actors:
            if actor.operation.process == process:
                line = _put(
                    line,
                    round(place.at(actor.operation.start)),
                    _bar(actor, glyphs, place, full=full),
                )
        culprit = any(a.culprit for a in scene.actors if a.operation.process == process)
        if culprit:
            line += f" {glyphs.fit('✕')}"
            line += f"   legal: {glyphs.fit(scene.legal)}" if scene.legal and full else ""
        lines.append(line.rstrip())
    if scene.lane:
        lines.append(_lane(scene, glyphs, place, head))
    for fault in scene.faults:
        words = f"during {fault.id} {fault.kind} {fault.words}"
        lines.append(" " * (INDENT + head) + glyphs.cut(words, WIDTH - INDENT - head))
    return tuple(lines)


def _places(scene: Scene, glyphs: Glyphs, *, full: bool, start: int) -> Scale:
    """Whole columns: every gap at least one wide, every bar as wide as its label."""
    instants = {actor.operation.start for actor in scene.actors}
    instants |= {a.operation.end for a in scene.actors if a.operation.end is not None}
    first, last = min(instants), max(instants)
    needs = [
        Need(
            actor.operation.start,
            last if actor.operation.end is None else actor.operation.end,
            len(_inner(actor, glyphs, full=full)),
        )
        for actor in scene.actors
    ]
    for segment in scene.lane:
        begins, ends = max(segment.start, first), _until(segment, last)
        instants |= {begins, ends}
        if begins < ends:
            needs.append(Need(begins, ends, len(_state(segment, scene, glyphs)) + 3))
    needs = [need for need in needs if need.start < need.end]
    return scale(instants, needs, start=start, width=0, least=1)


def _until(segment: LaneSegment, last: int) -> int:
    return last if segment.end is None else min(segment.end, last)


def _state(segment: LaneSegment, scene: Scene, glyphs: Glyphs) -> str:
    words = segment_words(segment.values, decisive=decisive(segment, scene.actors))
    return glyphs.cut(words, 24)


def _inner(actor: Actor, glyphs: Glyphs, *, full: bool) -> str:
    number = glyphs.numeral(actor.number or 0)
    words = f" {glyphs.fit(actor.words)} " if full else ""
    return f"{number}{glyphs.bar_left}{words}"


def _bar(actor: Actor, glyphs: Glyphs, place: Scale, *, full: bool) -> str:
    item = actor.operation
    inner = _inner(actor, glyphs, full=full)
    if item.end is None:
        return inner + glyphs.bar_open * 2
    width = round(place.at(item.end)) - round(place.at(item.start))
    return inner.ljust(width) + glyphs.bar_right


def _put(line: str, column: int, text: str) -> str:
    return line.ljust(column)[:column] + text


def _lane(scene: Scene, glyphs: Glyphs, place: Scale, head: int) -> str:
    line = " " * INDENT + glyphs.fit(scene.key).ljust(head)
    last = place.instants[-1]
    for number, segment in enumerate(scene.lane):
        left = round(place.at(segment.start))
        right = round(place.at(_until(segment, last)))
        wall = glyphs.wall if number else ""
        line = _put(line, left, wall)
        line += _state(segment, scene, glyphs).center(max(0, right - left - len(wall)))
    return line.rstrip()
