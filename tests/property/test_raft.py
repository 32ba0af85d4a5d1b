"""Safety and liveness of the whole node under arbitrary orders of everything that can happen."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datadriven.chaos import Chaos
from tests.datadriven.world import Breach

DECISIONS = st.lists(st.integers(0, 1 << 24), min_size=100, max_size=600)


@settings(max_examples=25)
@given(nodes=st.sampled_from((1, 2, 3, 4, 5)), decisions=DECISIONS)
def test_every_promise_is_kept(nodes: int, decisions: list[int]) -> None:
    chaos = Chaos(nodes)
    chaos.play(decisions)
    chaos.finish()


def drawn(seed: int, length: int = 3_000) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(1 << 24) for _ in range(length)]


def first_breach(nodes: int, bug: str, seeds: range) -> str:
    for seed in seeds:
        chaos = Chaos(nodes, (bug,), seed)
        try:
            chaos.play(drawn(seed))
            chaos.finish()
        except Breach as breach:
            return str(breach).split(" ")[0]
    return "none"


@pytest.mark.parametrize("seed", range(6))
def test_the_same_numbers_without_a_bug(seed: int) -> None:
    chaos = Chaos(3 + seed % 3, (), seed)
    chaos.play(drawn(seed))
    chaos.finish()
    assert len(chaos.ledger.acknowledged) > 10


@pytest.mark.parametrize(
    ("bug", "nodes"), [("early-ack", 3), ("local-read-leader", 3), ("vote-not-persisted", 3)]
)
def test_bugs_are_found(bug: str, nodes: int) -> None:
    assert first_breach(nodes, bug, range(40)) != "none"
