"""The counterexample as a picture: processes as rows, bars from call to return, the lane below."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from harness.core.operations import Operation
from harness.core.units import show_ms
from reports.palette import fault_colour
from reports.scene import Actor, Scene, decisive, segment_words
from reports.svg import Picture, text_width
from reports.timescale import Need, Scale, scale
from reports.words import clean, counted, instant, numeral, shorten

WIDTH = 1080.0
LEFT = 128.0
FIRST = 162.0
EDGE = 8.0
PITCH = 58.0
BAR = 28.0
LEAST = 46.0
LABEL_SIZE = 15.0
TICK_ROOM = 74.0


@dataclass(frozen=True, slots=True)
class _Layout:
    scale: Scale
    rows: tuple[int, ...]
    """Process of each row, in order of first call."""
    top: float
    width: float
    lane_y: float
    height: float

    @property
    def right(self) -> float:
        return self.width - EDGE

    def row_y(self, process: int) -> float:
        return self.top + PITCH * self.rows.index(process)

    def start(self, item: Operation) -> float:
        return self.scale.at(item.start)

    def end(self, item: Operation) -> float:
        return self.right if item.end is None else self.scale.at(item.end)


def draw(scene: Scene, name: str, *, context: bool = False) -> Markup:
    """The picture of a scene; with ``context`` also what only happened at the same time.

    ``name`` makes the ids of the picture unique on its page.
    """
    actors = tuple(
        sorted(
            scene.actors + (scene.context if context else ()),
            key=lambda actor: (actor.operation.start, actor.operation.index),
        )
    )
    layout = _layout(scene, actors)
    picture = Picture(name, "ce")
    picture.raw(_definitions(name))
    _draw_faults(picture, scene, layout)
    _draw_ticks(picture, scene, layout)
    _draw_rows(picture, actors, layout)
    _draw_edges(picture, scene, layout)
    for actor in actors:
        _draw_bar(picture, actor, scene, layout)
    _draw_lane(picture, scene, layout)
    description = " ".join(scene.told(actor) for actor in scene.actors)
    if context:
        description = f"The same with {counted(len(scene.context), 'more operation')}."
    return picture.markup(layout.width, layout.height, "Counterexample timeline", description)


def _layout(scene: Scene, actors: tuple[Actor, ...]) -> _Layout:
    rows = tuple(dict.fromkeys(actor.operation.process for actor in actors))
    instants = _instants(scene, actors)
    tail = max(_outside(actor, scene) for actor in actors if actor.culprit or actor is actors[-1])
    tail = min(tail, 460.0)
    room = WIDTH - EDGE - FIRST - tail
    last = instants[-1]
    needs: list[Need] = []
    for position, actor in enumerate(actors):
        item = actor.operation
        follower = next(
            (later for later in actors[position + 1 :] if later.operation.process == item.process),
            None,
        )
        if follower is not None:
            wide = _outside(actor, scene) + (0 if item.end is None else LEAST)
            needs.append(Need(item.start, follower.operation.start, wide))
    for segment in scene.lane:
        end = segment.end
        if end is not None and end <= last and segment.start in instants:
            words = segment_words(segment.values, decisive=decisive(segment, scene.actors))
            wide = text_width(shorten(words, 24), 13.5, bold=True) + 10
            needs.append(Need(segment.start, end, wide))
    needs = [need for need in needs if need.start < need.end]
    found = scale(instants, needs, start=FIRST, width=room, least=LEAST)
    width = max(WIDTH, found.places[-1] + tail + EDGE)
    # Room for a line about each fault, and for what stands above the first row's bars.
    top = 65.0 + 18.0 * len(scene.faults)
    bottom = top + PITCH * (len(rows) - 1)
    lane_y = bottom + 39.0 if scene.lane else bottom + 8.0
    height = lane_y + (78.0 if scene.lane else 62.0)
    return _Layout(found, rows, top, width, lane_y, height)


def _instants(scene: Scene, actors: tuple[Actor, ...]) -> list[int]:
    found = {actor.operation.start for actor in actors}
    found |= {actor.operation.end for actor in actors if actor.operation.end is not None}
    first, last = min(found), max(found)
    for segment in scene.lane:
        found |= {
            edge
            for edge in (segment.start, segment.end)
            if edge is not None and first < edge < last
        }
    return sorted(found)


def _bar_label(actor: Actor) -> str:
    return f"{actor.label} ✕ impossible" if actor.culprit else actor.label


def _outside(actor: Actor, scene: Scene) -> float:
    """The room a label takes right of its bar."""
    legal = text_width(f"legal here: {shorten(scene.legal, 40)}", 13.5) if actor.culprit else 0.0
    return max(text_width(_bar_label(actor), LABEL_SIZE, bold=True), legal) + 20


def _definitions(name: str) -> str:
    return (
        f'<defs><marker id="{name}-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" class="head"/></marker>'
        f'<pattern id="{name}-hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="3" height="6" class="hatch"/></pattern></defs>'
    )


def _draw_faults(picture: Picture, scene: Scene, layout: _Layout) -> None:
    for number, fault in enumerate(scene.faults):
        first, last = layout.scale.instants[0], layout.scale.instants[-1]
        began = first if fault.began_ns is None else fault.began_ns
        left = LEFT if began < first else layout.scale.at(began)
        open_end = fault.ended_ns is None or fault.ended_ns > last
        right = layout.right if open_end else layout.scale.at(fault.ended_ns or 0)
        colour = fault_colour(fault.kind)
        picture.rect(f"tint {colour}", left, 30, right - left, layout.height - 40)
        words = shorten(
            f"{fault.id} {fault.kind} {fault.words} (since {instant(began, timed=scene.timed)})",
            110,
        )
        wide = text_width(words, 13, bold=True)
        x, anchor = left + 8, "start"
        if x + wide > layout.right:
            x, anchor = layout.right - 8, "end"
        picture.text(f"fault {colour}", x, 46 + 18 * number, words, anchor)


def _draw_rows(picture: Picture, actors: tuple[Actor, ...], layout: _Layout) -> None:
    for process in layout.rows:
        y = layout.row_y(process)
        nodes = dict.fromkeys(
            clean(actor.operation.node)
            for actor in actors
            if actor.operation.process == process and actor.operation.node is not None
        )
        picture.line("row", LEFT, y, layout.right, y)
        picture.text("who", EDGE, y - 3 if nodes else y + 5, f"process {process}")
        if nodes:
            picture.text("small", EDGE, y + 13, shorten(f"talks to {', '.join(nodes)}", 18))


def _draw_edges(picture: Picture, scene: Scene, layout: _Layout) -> None:
    """Who had returned before whom was called: for each operation, the last that had."""
    taken: list[tuple[float, float, float]] = []
    for actor in reversed(scene.actors):
        item = actor.operation
        before = [
            other
            for other in scene.actors
            if other.operation.end is not None and other.operation.end < item.start
        ]
        if not before:
            continue
        last = max(before, key=lambda other: other.operation.end or 0)
        if last.operation.process == item.process:
            # A process does one thing after the other: its own row says so already.
            continue
        x1, y1 = layout.end(last.operation), layout.row_y(last.operation.process)
        x2, y2 = layout.start(item), layout.row_y(item.process)
        y1 += BAR / 2 if y2 > y1 else -BAR / 2
        picture.path(
            "edge",
            f"M{x1:.1f} {y1:g}V{y2:g}H{x2 - 2:.1f}",
            {"marker-end": f"url(#{picture.name}-arrow)"},
        )
        gap = item.start - (last.operation.end or 0)
        later = f"{show_ms(gap)} later" if scene.timed else "later"
        words = (
            f"{numeral(last.number or 0)} had returned; "
            f"{numeral(actor.number or 0)} is called {later}"
        )
        x, y, wide = x1 + 8, y2 - 20, text_width(words, 13)
        clash = any(abs(y - top) < 15 and x < end and start < x + wide for top, start, end in taken)
        if not clash:
            picture.text("gap", x, y, words)
            taken.append((y, x, x + wide))


def _draw_bar(picture: Picture, actor: Actor, scene: Scene, layout: _Layout) -> None:
    item = actor.operation
    left, right, y = layout.start(item), layout.end(item), layout.row_y(item.process)
    width = max(right - left, 3.0)
    kind = "bad" if actor.culprit else ("beside" if actor.number is None else "op")
    if item.end is None:
        # No answer came: the bar has no right side, because the operation has no end.
        top, low = y - BAR / 2, y + BAR / 2
        picture.rect(f"fill {kind}", left, top, width, BAR)
        picture.path(f"open {kind}", f"M{right:.1f} {top:g}H{left:.1f}V{low:g}H{right:.1f}")
    else:
        picture.rect(f"bar {kind}", left, y - BAR / 2, width, BAR, 4)
    if actor.culprit:
        box = {"x": left, "y": y - BAR / 2, "width": width, "height": BAR, "rx": 4.0}
        picture.add("rect", {"fill": f"url(#{picture.name}-hatch)", **box})
    words = _bar_label(actor)
    if item.end is None:
        words += " no answer"
    wide = text_width(words, LABEL_SIZE, bold=True)
    css = "label bad" if actor.culprit else ("label beside" if actor.number is None else "label")
    inside = not actor.culprit and (wide + 16 <= width or item.end is None)
    x = left + 8 if inside else right + 8
    anchor = "start"
    if not inside and x + wide > layout.right + 4:
        x, anchor = left - 8, "end"
    legal = actor.culprit and bool(scene.legal)
    picture.text(css, x, y - 1 if legal else y + 5, words, anchor)
    if legal:
        picture.text("legal", x, y + 16, f"legal here: {shorten(scene.legal, 40)}", anchor)


def _draw_lane(picture: Picture, scene: Scene, layout: _Layout) -> None:
    if not scene.lane:
        return
    y = layout.lane_y
    short = len(scene.key) <= 4
    picture.text("who", EDGE, y + 16, f"{scene.key} can hold" if short else shorten(scene.key, 13))
    picture.text("small", EDGE, y + 31, "(all legal orders)" if short else "can hold")
    last = layout.scale.instants[-1]
    for segment in scene.lane:
        left = layout.scale.at(segment.start)
        ends = segment.end is not None and segment.end < last
        right = layout.scale.at(segment.end or 0) if ends else layout.right
        one = len(segment.values) == 1
        picture.rect("held one" if one else "held many", left, y, right - left, 30)
        words = segment_words(segment.values, decisive=decisive(segment, scene.actors))
        fitting = max(1, int((right - left - 6) / (13.5 * 0.62)))
        picture.text("state", (left + right) / 2, y + 20, shorten(words, fitting), "middle")


def _draw_ticks(picture: Picture, scene: Scene, layout: _Layout) -> None:
    base = layout.lane_y + (52 if scene.lane else 30)
    ends = [-TICK_ROOM, -TICK_ROOM]
    for at_ns, x in zip(layout.scale.instants, layout.scale.places, strict=True):
        picture.line("tick", x, layout.top - 31, x, base - 14)
        # Two lines of exact times; one that fits on neither is left to its dotted line.
        line = next((n for n in (0, 1) if x - ends[n] >= TICK_ROOM), None)
        if line is not None:
            picture.text("time", x, base + 16 * line, instant(at_ns, timed=scene.timed), "middle")
            ends[line] = x
