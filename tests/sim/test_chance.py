"""Chance by who draws and when."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.runtime.sim.agenda import START_NS, Agenda
from harness.runtime.sim.chance import BITS, MOMENT_NS, chance, mixed
from harness.runtime.sim.drawn import Drawn


def test_what_was_drawn_before_does_not_matter() -> None:
    agenda, other = Agenda(), Agenda()
    one, two = chance(agenda, 7, "a"), chance(other, 7, "a")
    for moment, draws in ((0, 3), (1, 0), (2, 5)):
        agenda.now_ns = START_NS + moment * MOMENT_NS
        for _ in range(draws):
            one.random()
    agenda.now_ns = other.now_ns = START_NS + 9 * MOMENT_NS
    assert [one.number() for _ in range(5)] == [two.number() for _ in range(5)]


def test_streams_differ_by_name_seed_time_and_place() -> None:
    agenda = Agenda()
    seen = []
    for moment in range(20):
        agenda.now_ns = START_NS + moment * MOMENT_NS
        for seed in range(3):
            for name in "abc":
                stream = chance(agenda, seed, name)
                seen += [stream.number() for _ in range(5)]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("draws", [1, 50])
def test_numbers_are_even_over_moments_and_within_one(draws: int) -> None:
    agenda = Agenda()
    stream = chance(agenda, 1, "n1/n2")
    counts: Counter[int] = Counter()
    total = 0.0
    for moment in range(20_000 // draws):
        agenda.now_ns = START_NS + moment * MOMENT_NS
        for _ in range(draws):
            counts[stream.below(10)] += 1
            total += stream.waited(1_000)
    assert all(1_800 < counts[digit] < 2_200 for digit in range(10))
    assert 970 < total / 20_000 < 1_030


def test_mixed_is_a_permutation_of_what_it_is_given() -> None:
    values = [*range(5_000), *((1 << BITS) - 1 - it for it in range(5_000))]
    assert len({mixed(value) for value in values}) == len(values)
    assert all(0 <= mixed(value) < 1 << BITS for value in values)


def test_a_server_can_draw_whatever_it_likes() -> None:
    agenda = Agenda()
    drawn, again = (Drawn(chance(agenda, 3, "server")) for _ in range(2))
    assert [drawn.randrange(8) for _ in range(50)] == [again.randrange(8) for _ in range(50)]
    assert sorted(set(Counter(drawn.randrange(8) for _ in range(500)))) == list(range(8))
    assert 0.4 < sum(drawn.random() for _ in range(1_000)) / 1_000 < 0.6
    assert 0 <= drawn.getrandbits(100) < 1 << 100
    assert sorted(drawn.sample(range(9), 9)) == list(range(9))
