"""What becomes of a packet, against dumb second versions."""

from __future__ import annotations

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from harness.agent.delayer import Decisions, Waiting, answer
from harness.agent.machines import Behaviour
from harness.agent.nfqueue import Packet

behaviours = st.builds(
    Behaviour,
    delay_ns=st.integers(0, 10**9),
    jitter_ns=st.integers(0, 10**9),
    loss=st.floats(0, 1),
)


@given(behaviours, st.integers(0, 99))
def test_a_packet_is_held_within_its_range_or_lost(rule: Behaviour, seed: int) -> None:
    decisions = Decisions(random.Random(seed).random)
    decisions.rule({"a": rule})
    held = [decisions.decide("a") for _ in range(20)]
    kept = [hold for hold in held if hold is not None]
    for hold in kept:
        assert max(0, rule.delay_ns - rule.jitter_ns) <= hold <= rule.delay_ns + rule.jitter_ns
    lost = 20 - len(kept)
    delayed = len(kept) if rule.delay_ns or rule.jitter_ns else 0
    assert decisions.counts.get("a", (0, 0)) == (delayed, lost)
    assert rule.loss > 0 or lost == 0
    assert rule.loss < 1 or lost == 20


def test_others_pass_and_are_not_counted() -> None:
    decisions = Decisions()
    decisions.rule({"a": Behaviour(5, 0, 1.0)})
    assert decisions.decide("b") == 0
    assert decisions.counts == {}
    decisions.rule({})
    assert decisions.decide("a") == 0


def test_counts_outlive_the_rule() -> None:
    decisions = Decisions()
    decisions.rule({"a": Behaviour(5, 0, 0.0)})
    assert decisions.decide("a") == 5
    decisions.rule({})
    decisions.decide("a")
    assert decisions.counts == {"a": (1, 0)}


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40))
def test_packets_go_on_by_time_then_by_arrival(steps: list[tuple[int, bool]]) -> None:
    waiting = Waiting()
    dumb: list[tuple[int, int]] = []
    now = 0
    for number, (time, take) in enumerate(steps):
        if not take:
            waiting.add(now + time, number % 3, Packet(number, 2, ""))
            dumb.append((now + time, number))
            continue
        now += time
        expected = sorted(item for item in dumb if item[0] <= now)
        dumb = [item for item in dumb if item[0] > now]
        taken = waiting.due(now)
        assert [packet.number for _, packet in taken] == [number for _, number in expected]
        assert [node for node, _ in taken] == [number % 3 for _, number in expected]
        pause = waiting.pause_s(now)
        assert pause == (min(dumb)[0] - now) / 1e9 if dumb else pause is None


def test_a_request_sets_rules_and_null_only_asks() -> None:
    nodes = [Decisions(), Decisions()]
    rules = [{"10.0.0.1": [7, 0, 0.0]}, {}]
    assert json.loads(answer(json.dumps(rules).encode(), nodes)) == [{}, {}]
    assert nodes[0].decide("10.0.0.1") == 7
    assert json.loads(answer(b"null", nodes)) == [{"10.0.0.1": [1, 0]}, {}]
    assert nodes[0].decide("10.0.0.1") == 7
