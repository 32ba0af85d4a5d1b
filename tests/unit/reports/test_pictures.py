"""Pictures: their exact text for known scenes, their rules for any scene."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.operations import Call, History, Operation, Outcome
from harness.core.run import RunRecord
from harness.core.units import MILLISECOND
from harness.core.verdict import Anomaly, LaneSegment
from reports import lanes, overview, textline, timeline
from reports.figures import figures
from reports.glyphs import ASCII, UNICODE, Glyphs, glyphs_for
from reports.model import build
from reports.scene import Scene, scene_of
from reports.timescale import Need, scale
from tests.unit.reports import golden, records
from tests.unit.reports.records import HOSTILE, STALE, ms


def stale_scene() -> Scene:
    scene = scene_of(records.stale_read(), STALE)
    assert scene is not None
    return scene


def test_counterexample() -> None:
    golden.check("stale-read.svg", str(timeline.draw(stale_scene(), "ce")) + "\n")


def test_counterexample_with_its_surroundings() -> None:
    picture = str(timeline.draw(stale_scene(), "beside", context=True))
    golden.check("stale-read-beside.svg", picture + "\n")


def test_counterexample_with_an_unanswered_write() -> None:
    open_write = replace(records.WITNESSES[1], outcome=Outcome.INFO, end=None)
    record = replace(
        records.stale_read(),
        history=records.history(records.WITNESSES[0], open_write, records.WITNESSES[2]),
    )
    scene = scene_of(record, STALE)
    assert scene is not None
    golden.check("unanswered.svg", str(timeline.draw(scene, "ce")) + "\n")
    golden.check("unanswered.txt", "\n".join(textline.timeline(scene).lines) + "\n")


def test_nodes_around_a_violation() -> None:
    picture = lanes.around(records.two_leaders(), ms(23_210), "nodes")
    golden.check("two-leaders.svg", f"{picture}\n")


def test_text_pictures() -> None:
    scene = stale_scene()
    text = [*textline.timeline(scene).lines, "", *textline.sentences(scene), ""]
    text += [*textline.timeline(scene, ASCII).lines, "", *textline.sentences(scene, ASCII)]
    golden.check("stale-read.txt", "\n".join(text) + "\n")


def test_still_pictures_of_the_run() -> None:
    report = build(records.stale_read())
    found = figures(report.record, report.violation_ns, frozenset())
    drawn = overview.draw(report, found, "run")
    assert len(drawn) == 3
    for picture in drawn:
        ET.fromstring(picture)
    assert "leader, term 4" in drawn[0]
    empty = build(records.environment())
    none = figures(empty.record, None, frozenset())
    assert overview.draw(empty, none, "run") == ()


def test_overlapping_faults_do_not_cover_each_other() -> None:
    long = replace(records.FAULTS[1], ended_ns=None)
    placed = lanes.levels((*records.FAULTS, long))
    for number, (one, level) in enumerate(placed):
        for other, its_level in placed[number + 1 :]:
            apart = one.ended_ns is not None and one.ended_ns <= (other.began_ns or 0)
            assert level != its_level or apart
    assert [level for _, level in lanes.levels(records.FAULTS)] == [0] * 5


def test_round_ticks() -> None:
    assert lanes.tick_step(60_000_000_000, 12) == 5_000_000_000
    assert lanes.tick_step(1, 12) == 1


@pytest.mark.parametrize("encoding", [None, "ascii", "latin-1", "cp1252"])
def test_letters_for_poor_terminals(encoding: str | None) -> None:
    glyphs = glyphs_for(encoding)
    assert glyphs is ASCII
    assert glyphs.fit("✕ ① a → b … “c” ü") == 'X (1) a -> b ... "c" \\xfc'
    assert glyphs_for("UTF-8") is UNICODE


def test_text_pictures_give_up_in_steps() -> None:
    def crowd(count: int, values: int) -> Scene:
        operations = tuple(
            records.op(number, number, Call("write", "k7", number), 10 * number, 10 * number + 5)
            for number in range(count)
        )
        held = tuple(str(value) for value in range(values))
        lane = tuple(LaneSegment(ms(10 * n), ms(10 * n + 10), held) for n in range(count))
        anomaly = replace(
            STALE, operations=tuple(range(count)), culprit=count - 1, steps=(), lane=lane
        )
        record = replace(records.stale_read(), history=History(operations))
        scene = scene_of(record, anomaly)
        assert scene is not None
        return scene

    roomy = textline.timeline(crowd(3, 4))
    assert roomy.labelled
    assert "0, 1, 2 or 3" in roomy.lines[-1]
    tight = textline.timeline(crowd(4, 4))
    assert tight.labelled
    assert "0/1/2/3" in tight.lines[-1]
    numbers = textline.timeline(crowd(8, 1))
    assert numbers.lines
    assert not numbers.labelled
    assert "write" not in "".join(numbers.lines)
    assert textline.timeline(crowd(40, 1)).lines == ()


names = st.sampled_from(["k", "key 1", HOSTILE, "\x1b[31m", "é" * 9, "::error::", "x" * 300])


@st.composite
def scenes(draw: st.DrawFn) -> tuple[RunRecord, Anomaly]:
    """Any operations, any of them the culprit, any lane over their times."""
    count = draw(st.integers(1, 9))
    found = []
    for index in range(count):
        start = draw(st.integers(0, 10_000))
        took = draw(st.none() | st.integers(0, 5_000))
        value = draw(st.none() | st.integers(0, 9) | names)
        found.append(
            Operation(
                index=index,
                process=draw(st.integers(0, 4)),
                call=Call(draw(st.sampled_from(["read", "write", "cas"])), "k", value),
                outcome=Outcome.INFO if took is None else Outcome.OK,
                start=start * MILLISECOND,
                end=None if took is None else (start + took) * MILLISECOND,
                result=value,
                node=draw(st.none() | names),
            )
        )
    found.sort(key=lambda item: item.start)
    edges = sorted(draw(st.lists(st.integers(0, 15_000), max_size=4)))
    lane = tuple(
        LaneSegment(
            one * MILLISECOND, other * MILLISECOND, tuple(draw(st.lists(names, max_size=3)))
        )
        for one, other in itertools.pairwise(edges)
    )
    anomaly = Anomaly(
        kind=draw(names),
        sentence=draw(names),
        operations=tuple(item.index for item in found),
        culprit=draw(st.none() | st.integers(0, count - 1)),
        steps=tuple(draw(st.lists(names, max_size=count))),
        legal=tuple(draw(st.lists(names, max_size=3))),
        lane=lane,
        key=draw(names),
    )
    return replace(records.stale_read(), history=History(tuple(found))), anomaly


@given(scenes())
def test_any_scene_can_be_drawn(drawn: tuple[RunRecord, Anomaly]) -> None:
    record, anomaly = drawn
    scene = scene_of(record, anomaly)
    if scene is None:
        assert len(anomaly.operations) == 1
        return
    picture = str(timeline.draw(scene, "ce", context=True))
    root = ET.fromstring(picture)
    assert "style=" not in picture
    assert {child.tag for child in root.iter()} <= {
        "svg", "title", "desc", "defs", "marker", "path", "pattern", "rect", "line", "text",
    }  # fmt: skip
    for element in root.iter("rect"):
        assert float(element.get("width", "0")) >= 0
    bars = [
        item for item in root.iter() if set((item.get("class") or "").split()) & {"bar", "open"}
    ]
    assert len(bars) == len(scene.actors)
    for glyphs in (UNICODE, ASCII):
        assert_text_is_safe(scene, glyphs)


def assert_text_is_safe(scene: Scene, glyphs: Glyphs) -> None:
    lines = textline.timeline(scene, glyphs).lines
    assert all(len(line) <= textline.WIDTH and line.isprintable() for line in lines)
    assert all(line.isprintable() for line in textline.sentences(scene, glyphs))
    if glyphs is ASCII:
        assert all(line.isascii() for line in lines)


def test_bars_begin_and_end_in_true_order() -> None:
    picture = str(timeline.draw(stale_scene(), "ce"))
    bars = re.findall(r'class="bar \w+" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', picture)
    edges = [(float(x), float(x) + float(width)) for x, width in bars]
    flat = [edge for pair in edges for edge in pair]
    assert len(edges) == 3
    assert flat == sorted(flat)


@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=12, unique=True),
    st.data(),
)
def test_the_scale_keeps_order_room_and_needs(instants: list[int], data: st.DataObject) -> None:
    points = sorted(instants)
    needs = []
    for _ in range(data.draw(st.integers(0, 5))):
        one, other = sorted(data.draw(st.tuples(st.sampled_from(points), st.sampled_from(points))))
        if one < other:
            needs.append(Need(one, other, data.draw(st.floats(0, 500))))
    found = scale(instants, needs, start=10, width=600, least=5)
    assert found.instants == tuple(points)
    assert found.places[0] == 10
    gaps = [b - a for a, b in zip(found.places, found.places[1:], strict=False)]
    assert all(gap >= 5 - 1e-6 for gap in gaps)
    where = dict(zip(found.instants, found.places, strict=True))
    assert all(where[n.end] - where[n.start] >= n.width - 1e-6 for n in needs)
    probes = sorted(data.draw(st.lists(st.integers(-5, 10**12 + 5), max_size=8)))
    places = [found.at(probe) for probe in probes]
    assert places == sorted(places)
    assert all(found.at(point) == pytest.approx(place) for point, place in where.items())
