"""The counterexample in plain text, 80 columns wide."""

from __future__ import annotations

from dataclasses import dataclass

from harness.core.verdict import LaneSegment
from reports.glyphs import UNICODE, Glyphs
from reports.scene import Actor, Scene, decisive, segment_words
from reports.timescale import Need, Scale, scale

WIDTH = 78
INDENT = 2
STATE = 24
"""Columns of what the key can hold between two instants."""


@dataclass(frozen=True, slots=True)
class TextPicture:
    """``labelled``: the bars carry their words; otherwise only numbers, and sentences must."""

    lines: tuple[str, ...]
    labelled: bool


def timeline(scene: Scene, glyphs: Glyphs = UNICODE) -> TextPicture:
    """The picture; without lines when it would not fit: half a picture would mislead.

    Before giving up, the lane is written more tightly, then bars keep only their numbers.
    """
    for labels, words in ((True, True), (True, False), (False, False)):
        lines = _Drawing(scene, glyphs, labels, words).lines()
        if all(len(line) <= WIDTH for line in lines):
            return TextPicture(lines, labels)
    return TextPicture((), labelled=False)


def sentences(scene: Scene, glyphs: Glyphs = UNICODE) -> tuple[str, ...]:
    """``① Process 2 wrote 3 …``; the culprit's ends with what was legal."""
    return tuple(
        f"{glyphs.numeral(actor.number or 0)} {glyphs.fit(scene.told(actor))}"
        for actor in scene.actors
    )


@dataclass(frozen=True, slots=True)
class _Drawing:
    """One attempt: bars with ``labels`` or only numbers, the lane in ``words`` or tightly."""

    scene: Scene
    glyphs: Glyphs
    labels: bool
    words: bool

    def lines(self) -> tuple[str, ...]:
        scene, glyphs = self.scene, self.glyphs
        rows = tuple(dict.fromkeys(actor.operation.process for actor in scene.actors))
        heads = [f"p{process}" for process in rows]
        head = INDENT + 2 + max(len(name) for name in [*heads, glyphs.fit(scene.key)])
        place = self._places(head)
        lines = [self._row(process, name, place) for process, name in zip(rows, heads, strict=True)]
        if scene.lane:
            lines.append(self._lane(place, head))
        for fault in scene.faults:
            words = f"during {fault.id} {fault.kind} {fault.words}"
            lines.append(" " * head + glyphs.cut(words, WIDTH - head))
        return tuple(lines)

    def _places(self, start: int) -> Scale:
        """Whole columns: every gap at least one wide, every bar as wide as its label."""
        actors = self.scene.actors
        instants = {actor.operation.start for actor in actors}
        instants |= {a.operation.end for a in actors if a.operation.end is not None}
        first, last = min(instants), max(instants)
        needs = []
        for actor in actors:
            item = actor.operation
            until = last if item.end is None else item.end
            needs.append(Need(item.start, until, len(self._inner(actor))))
        for segment in self.scene.lane:
            begins, ends = max(segment.start, first), _until(segment, last)
            instants |= {begins, ends}
            needs.append(Need(begins, ends, len(self._state(segment)) + (3 if self.words else 2)))
        needs = [need for need in needs if need.start < need.end]
        return scale(instants, needs, start=start, width=0, least=1)

    def _row(self, process: int, name: str, place: Scale) -> str:
        line = " " * INDENT + name
        mine = [actor for actor in self.scene.actors if actor.operation.process == process]
        for actor in mine:
            line = _put(line, round(place.at(actor.operation.start)), self._bar(actor, place))
        if any(actor.culprit for actor in mine):
            legal = f"   legal: {self.scene.legal}" if self.scene.legal and self.labels else ""
            line += self.glyphs.fit(f" ✕{legal}")
        return line.rstrip()

    def _inner(self, actor: Actor) -> str:
        glyphs = self.glyphs
        words = f" {glyphs.fit(actor.words)} " if self.labels else ""
        return f"{glyphs.numeral(actor.number or 0)}{glyphs.bar_left}{words}"

    def _bar(self, actor: Actor, place: Scale) -> str:
        item, inner = actor.operation, self._inner(actor)
        if item.end is None:
            return inner + self.glyphs.bar_open * 2
        width = round(place.at(item.end)) - round(place.at(item.start))
        return inner.ljust(width) + self.glyphs.bar_right

    def _state(self, segment: LaneSegment) -> str:
        alone = decisive(segment, self.scene.actors)
        if self.words:
            words = segment_words(segment.values, decisive=alone)
        else:
            words = "/".join(segment.values) or segment_words((), decisive=alone)
        return self.glyphs.cut(words, STATE if self.words else STATE // 2)

    def _lane(self, place: Scale, head: int) -> str:
        line = (" " * INDENT + self.glyphs.fit(self.scene.key)).ljust(head)
        last = place.instants[-1]
        for number, segment in enumerate(self.scene.lane):
            left = round(place.at(segment.start))
            right = round(place.at(_until(segment, last)))
            wall = self.glyphs.wall if number else ""
            line = _put(line, left, wall)
            line += self._state(segment).center(max(0, right - left - len(wall)))
        return line.rstrip()


def _until(segment: LaneSegment, last: int) -> int:
    return last if segment.end is None else min(segment.end, last)


def _put(line: str, column: int, text: str) -> str:
    return line.ljust(column)[:column] + text
