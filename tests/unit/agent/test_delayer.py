"""What becomes of a packet, against dumb second versions."""

from __future__ import annotations

import json
import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.agent.delayer import BUFFER_NS, LOST, PASSES, Decisions, Waiting, answer
from harness.agent.machines import Behaviour, Counts

chances = st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1))
behaviours = st.builds(
    Behaviour,
    delay_ns=st.integers(0, 10**9),
    jitter_ns=st.integers(0, 10**9),
    loss=chances,
    duplicate=chances,
    reorder=chances,
    corrupt=chances,
    late_ns=st.integers(0, 10**9),
)


@given(behaviours, st.integers(0, 99))
def test_a_packet_is_treated_within_its_rule_and_counted(rule: Behaviour, seed: int) -> None:
    decisions = Decisions(random.Random(seed).random)
    decisions.rule({"a": rule})
    fates = [decisions.decide("a", 100, 0) for _ in range(20)]
    kept = [(fate.hold_ns, fate) for fate in fates if fate.hold_ns is not None]
    counts = decisions.counts.get("a", Counts())
    least = max(0, rule.delay_ns - rule.jitter_ns)
    for hold, fate in kept:
        assert hold >= least
        assert rule.reorder or hold <= rule.delay_ns + rule.jitter_ns
        assert fate.copy_ns is None or fate.copy_ns >= least
    assert counts == Counts(
        delayed=len(kept) if rule.delay_ns or rule.jitter_ns else 0,
        lost=20 - len(kept),
        duplicated=sum(fate.copy_ns is not None for _, fate in kept),
        reordered=counts.reordered,
        corrupted=sum(fate.corrupt for _, fate in kept),
    )
    pairs = (
        (rule.loss, counts.lost, 20),
        (rule.duplicate, counts.duplicated, len(kept)),
        (rule.reorder, counts.reordered, len(kept)),
        (rule.corrupt, counts.corrupted, len(kept)),
    )
    for chance, count, of in pairs:
        assert chance > 0 or count == 0
        assert chance < 1 or count == of


@given(
    st.integers(1, 10**6),
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(20, 1500)), max_size=30),
)
def test_a_rate_sends_one_packet_after_the_other(
    bytes_per_s: int, packets: list[tuple[int, int]]
) -> None:
    decisions = Decisions()
    decisions.rule({"a": Behaviour(bytes_per_s=bytes_per_s)})
    now = free = 0
    for pause, size in packets:
        now += pause
        fate = decisions.decide("a", size, now)
        begin = max(now, free)
        if begin - now > BUFFER_NS:
            assert fate == LOST
        else:
            free = begin + size * 10**9 // bytes_per_s
            assert fate.hold_ns == free - now
    counts = decisions.counts.get("a", Counts())
    assert counts == Counts(limited=len(packets))


def test_others_pass_and_are_not_counted() -> None:
    decisions = Decisions()
    decisions.rule({"a": Behaviour(5, 0, 1.0)})
    assert decisions.decide("b", 100, 0) == PASSES
    assert decisions.counts == {}
    decisions.rule({})
    assert decisions.decide("a", 100, 0) == PASSES


def test_counts_outlive_the_rule() -> None:
    decisions = Decisions()
    decisions.rule({"a": Behaviour(5, 0, 0.0)})
    assert decisions.decide("a", 100, 0) == replace(PASSES, hold_ns=5)
    decisions.rule({})
    decisions.decide("a", 100, 0)
    assert decisions.counts == {"a": Counts(delayed=1)}


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40))
def test_things_go_on_by_time_then_by_arrival(steps: list[tuple[int, bool]]) -> None:
    waiting: Waiting[int] = Waiting()
    dumb: list[tuple[int, int]] = []
    now = 0
    for number, (time, take) in enumerate(steps):
        if not take:
            waiting.add(now + time, number)
            dumb.append((now + time, number))
            continue
        now += time
        expected = sorted(item for item in dumb if item[0] <= now)
        dumb = [item for item in dumb if item[0] > now]
        assert waiting.due(now) == [number for _, number in expected]
        pause = waiting.pause_s(now)
        assert pause == (min(dumb)[0] - now) / 1e9 if dumb else pause is None


def test_a_request_sets_rules_and_null_only_asks() -> None:
    nodes = [Decisions(), Decisions()]
    rules = [{"10.0.0.1": {"delay_ns": 7}}, {}]
    assert json.loads(answer(json.dumps(rules).encode(), nodes)) == [{}, {}]
    assert nodes[0].decide("10.0.0.1", 100, 0).hold_ns == 7
    assert json.loads(answer(b"null", nodes)) == [{"10.0.0.1": [1, 0, 0, 0, 0, 0]}, {}]
    assert nodes[0].decide("10.0.0.1", 100, 0).hold_ns == 7
