"""What a counterexample shows, and what it says about who answered."""

from __future__ import annotations

from dataclasses import replace

from harness.core.verdict import LaneSegment
from reports.scene import (
    cut_off_since,
    decisive,
    in_minority,
    leaders_at,
    role_at,
    scene_of,
    segment_words,
)
from tests.unit.reports import records
from tests.unit.reports.records import FAULTS, STALE, ms


def test_actors_are_the_operations_named_in_their_order() -> None:
    scene = scene_of(records.stale_read(), STALE)
    assert scene is not None
    assert [actor.label for actor in scene.actors] == ["① write 3", "② write 4", "③ read → 3"]
    assert [actor.culprit for actor in scene.actors] == [False, False, True]
    assert scene.actors[2].step == STALE.steps[2]
    assert (scene.key, scene.legal) == ("k7", "4")
    assert scene.window == (ms(21_912), ms(23_345))
    assert [fault.id for fault in scene.faults] == ["F2"]
    assert [actor.number for actor in scene.context] == [None, None]


def test_circumstances_are_facts_of_the_record() -> None:
    scene = scene_of(records.stale_read(), STALE)
    assert scene is not None
    assert scene.circumstances == (
        "It was answered by n2, cut off from the majority for 1.3 s, still calling itself "
        "leader of term 3, while n4 was leading term 4.",
    )


def test_nothing_is_claimed_without_evidence() -> None:
    record = replace(records.stale_read(), roles=(), faults=())
    scene = scene_of(record, STALE)
    assert scene is not None
    assert scene.circumstances == ("It was answered by n2.",)
    nobody = replace(STALE, culprit=None)
    scene = scene_of(record, nobody)
    assert scene is not None
    assert scene.circumstances == ()


def test_an_unproven_partition_cuts_nobody_off() -> None:
    record = records.stale_read()
    assert cut_off_since(record, "n2", ms(23_345)) == ms(22_000)
    assert cut_off_since(record, "n4", ms(23_345)) is None
    assert cut_off_since(record, "n2", ms(30_001)) is None
    assert cut_off_since(records.inadequate(), "n2", ms(23_345)) is None


def test_minority_needs_groups() -> None:
    assert in_minority(FAULTS[1], "n1")
    assert not in_minority(FAULTS[1], "n3")
    assert not in_minority(FAULTS[1], "n9")
    assert not in_minority(FAULTS[0], "n5")
    halves = replace(FAULTS[1], resolved={"groups": (("n1", "n2"), ("n3", "n4"))})
    assert in_minority(halves, "n1")
    assert in_minority(halves, "n3")


def test_roles() -> None:
    record = records.stale_read()
    role = role_at(record, "n2", ms(23_345))
    assert role is not None
    assert (role.role, role.term) == ("leader", 3)
    assert {span.node for span in leaders_at(record, ms(23_345))} == {"n2", "n4"}
    assert role_at(record, "n2", ms(60_000)) is None


def test_an_anomaly_of_no_known_operation_has_no_scene() -> None:
    record = records.stale_read()
    assert scene_of(record, replace(STALE, operations=())) is None
    assert scene_of(record, replace(STALE, operations=(999_999,))) is None


def test_lane_words() -> None:
    scene = scene_of(records.stale_read(), STALE)
    assert scene is not None
    assert [decisive(segment, scene.actors) for segment in scene.lane] == [False] * 3 + [True]
    assert segment_words(("4",), decisive=True) == "4 only"
    assert segment_words(("4",), decisive=False) == "4"
    assert segment_words(("3", "4"), decisive=True) == "3 or 4"
    assert segment_words((), decisive=False) == "nothing"


def test_the_lane_is_cut_to_the_window() -> None:
    early = LaneSegment(0, ms(10), ("nil",))
    long = LaneSegment(ms(10), ms(22_000), ("3",))
    late = LaneSegment(ms(40_000), None, ("9",))
    scene = scene_of(records.stale_read(), replace(STALE, lane=(early, long, late)))
    assert scene is not None
    assert scene.lane == (LaneSegment(ms(21_912), ms(22_000), ("3",)),)


def test_context_is_limited_and_counted() -> None:
    more = tuple(
        replace(records.BESIDE[0], index=50_000 + number, process=100 + number)
        for number in range(40)
    )
    record = replace(records.stale_read(), history=records.history(*records.WITNESSES, *more))
    scene = scene_of(record, STALE)
    assert scene is not None
    assert (len(scene.context), scene.context_missing) == (12, 28)
