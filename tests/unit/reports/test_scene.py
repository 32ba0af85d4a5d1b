"""What a counterexample shows, and what it says about who answered."""

from __future__ import annotations

from dataclasses import replace

from harness.core.faults import FaultRecord
from harness.core.operations import Call, Operation, Outcome
from harness.core.values import Value, freeze
from harness.core.verdict import LaneSegment
from reports.scene import (
    Actor,
    circumstances,
    culprit_of,
    cut_off,
    cut_off_since,
    decisive,
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
    record = records.stale_read()
    assert circumstances(record, culprit_of(record, STALE)) == (
        "It was answered by n2, cut off from the majority for 1.3 s, still calling itself "
        "leader of term 3, while n4 was leading term 4.",
    )
    assert circumstances(record, records.WITNESSES[1]) == (
        "It was answered by n4, leading term 4, while n2 still called itself leader of 3.",
    )
    assert circumstances(record, records.BESIDE[1]) == (
        "It was answered by n5, a follower in term 3.",
    )


def test_nothing_is_claimed_without_evidence() -> None:
    record = replace(records.stale_read(), roles=(), faults=())
    assert circumstances(record, records.WITNESSES[2]) == ("It was answered by n2.",)
    assert circumstances(record, replace(records.WITNESSES[2], node=None)) == ()
    assert circumstances(record, culprit_of(record, replace(STALE, culprit=None))) == ()
    assert culprit_of(record, replace(STALE, culprit=77)) is None


def test_an_unproven_partition_cuts_nobody_off() -> None:
    record = records.stale_read()
    assert cut_off_since(record, "n2", ms(23_345)) == ms(22_000)
    assert cut_off_since(record, "n4", ms(23_345)) is None
    assert cut_off_since(record, "n2", ms(30_001)) is None
    assert cut_off_since(records.inadequate(), "n2", ms(23_345)) is None


def dropping(**drops: list[str]) -> FaultRecord:
    return replace(FAULTS[1], resolved={"drops": freeze(drops)})


def test_cut_off_means_no_majority_to_talk_with() -> None:
    nodes = ("n1", "n2", "n3", "n4", "n5")
    assert [cut_off([FAULTS[1]], nodes, node) for node in nodes] == [True, True] + [False] * 3
    assert not any(cut_off([FAULTS[0]], nodes, node) for node in nodes)
    # A bridge reaches both sides, so each side has a majority with it.
    bridge = dropping(n1=["n3", "n4"], n2=["n3", "n4"], n3=["n1", "n2"], n4=["n1", "n2"])
    assert not any(cut_off([bridge], nodes, node) for node in nodes)
    # One who cannot send is as alone as one who cannot hear.
    mute = dropping(n2=["n1"], n3=["n1"], n4=["n1"], n5=["n1"])
    assert cut_off([mute], nodes, "n1")
    assert not cut_off([mute], nodes, "n2")
    # Two cuts together do what neither does alone.
    first, second = dropping(n1=["n2", "n3"]), dropping(n4=["n1"])
    assert not cut_off([first], nodes, "n1")
    assert not cut_off([second], nodes, "n1")
    assert cut_off([first, second], nodes, "n1")
    assert cut_off([first, second], nodes[:4], "n1")


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
    # One operation contradicts nothing by itself.
    bare = replace(STALE, operations=(4131,), lane=(), legal=())
    assert scene_of(record, bare) is None


def test_words_of_operations() -> None:
    def words(call: Call, result: Value, outcome: Outcome = Outcome.OK) -> str:
        return Actor(Operation(0, 0, call, outcome, 0, 1, result), 1).label

    asked, read = (("r", "x", None), ("w", "y", 1)), (("r", "x", 3), ("w", "y", 1))
    assert words(Call("txn", None, asked), read) == "① txn [[r x 3] [w y 1]]"
    assert words(Call("txn", None, asked), None, Outcome.INFO) == "① txn [[r x nil] [w y 1]]"
    assert words(Call("read", "k"), (1, 2)) == "① read → [1 2]"
    assert words(Call("cas", "k", (1, 2)), None, Outcome.FAIL) == "① cas 1 2 failed"
    assert len(words(Call("write", "k", "x" * 99), None)) <= 32


def test_what_was_legal_is_said_once() -> None:
    for step, told in (
        ("It read 3.", "It read 3. ✕ Legal here: 4."),
        ("It read 3; legal here: 4.", "✕ It read 3; legal here: 4."),
        ("It read 3; possible then: 4.", "✕ It read 3; possible then: 4."),
    ):
        scene = scene_of(records.stale_read(), replace(STALE, steps=("", "", step)))
        assert scene is not None
        assert scene.told(scene.actors[2]) == told
        assert scene.told(scene.actors[0]) == "Process 2: write 3."


def test_lane_words() -> None:
    scene = scene_of(records.stale_read(), STALE)
    assert scene is not None
    assert [decisive(segment, scene.actors) for segment in scene.lane] == [False] * 3 + [True]
    assert segment_words(("4",), decisive=True) == "4 only"
    assert segment_words(("4",), decisive=False) == "4"
    assert segment_words(("3", "4"), decisive=True) == "3 or 4"
    assert segment_words((), decisive=False) == "nothing legal"


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
