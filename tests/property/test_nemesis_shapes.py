"""Every shape of a partition is what its name says, for one to nine nodes."""

from __future__ import annotations

import random
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from nemesis.cuts import Wish
from nemesis.partition import SPECIAL, Partition
from nemesis.roles import majority
from nemesis.shapes import ONE_WAY, RANDOM, SHAPES, Cut, aim, possible, random_cut, random_links

SIZES = st.integers(2, 9)
SEEDS = st.integers(0, 2**32)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"n{number}" for number in range(1, count + 1))


@st.composite
def laid(draw: st.DrawFn) -> tuple[str, tuple[str, ...], str, str, Cut]:
    """(shape, nodes, way, leader, cut) of any shape but the random one."""
    nodes = names(draw(SIZES))
    shape = draw(st.sampled_from([name for name in possible(len(nodes)) if name != RANDOM]))
    way = draw(st.sampled_from(["out", "in"])) if shape.startswith(ONE_WAY) else "both"
    order = tuple(draw(st.permutations(nodes)))
    leader = draw(st.sampled_from(nodes))
    return shape, nodes, way, leader, Wish(shape, order, way).resolve(leader)


def hears(cut: Cut, nodes: tuple[str, ...], node: str) -> frozenset[str]:
    """Whose packets reach ``node``, itself included, the slow way."""
    return frozenset(
        other for other in nodes if other == node or other not in cut.drops.get(node, frozenset())
    )


@given(laid())
def test_two_way_cuts_are_symmetric_and_one_way_cuts_exactly_one_way(
    case: tuple[str, tuple[str, ...], str, str, Cut],
) -> None:
    shape, _, _, _, cut = case
    assert cut.links
    for source, end in cut.links:
        assert source != end
        assert ((end, source) in cut.links) is (not shape.startswith(ONE_WAY))


@given(laid())
def test_drops_fronts_and_links_say_the_same(
    case: tuple[str, tuple[str, ...], str, str, Cut],
) -> None:
    _, nodes, _, _, cut = case
    by_drops = {(source, end) for end, missed in cut.drops.items() for source in missed}
    assert by_drops == cut.links
    assert all(cut.fronts)
    assert sum(map(len, cut.fronts)) == len(cut.links)
    assert cut.drops.keys() <= set(nodes)


@given(laid())
def test_the_leader_is_touched(case: tuple[str, tuple[str, ...], str, str, Cut]) -> None:
    """Whoever leads has a cut link: a partition that nobody notices tests nothing."""
    _, _, _, leader, cut = case
    assert any(leader in link for link in cut.links)


@given(laid())
def test_sides_are_as_large_as_promised(
    case: tuple[str, tuple[str, ...], str, str, Cut],
) -> None:
    shape, nodes, _, leader, cut = case
    count, plain = len(nodes), shape.removeprefix(ONE_WAY)
    if plain == "majority-ring":
        assert sorted(cut.groups[0]) == sorted(nodes)
        return
    first, second = cut.groups
    assert first and second
    assert not set(first) & set(second)
    spanning = set(nodes) - set(first) - set(second)
    match plain:
        case "halves":
            assert len(second) - len(first) in (0, 1)
        case "one":
            assert len(first) == 1
        case "leader":
            assert first == (leader,)
        case "leader-minority":
            assert leader in first
            assert len(first) == count - majority(count) or len(first) * 2 < count
            assert len(second) >= majority(count)
        case "leader-majority":
            assert leader in first
            assert len(first) == majority(count)
        case "bridge":
            assert len(spanning) == 1
            assert leader in first
            assert abs(len(first) - len(second)) <= 1
            (bridge,) = spanning
            assert not any(bridge in link for link in cut.links)
        case _:
            raise AssertionError(f"nothing is promised of {shape}")
    assert plain == "bridge" or not spanning


@given(laid())
def test_two_sides_are_cut_completely(
    case: tuple[str, tuple[str, ...], str, str, Cut],
) -> None:
    shape, nodes, way, _, cut = case
    if shape.endswith("majority-ring"):
        return
    first, second = map(frozenset, cut.groups)
    spanning = frozenset(nodes) - first - second
    for node in nodes:
        if node in spanning:
            expected = frozenset(nodes)
        elif node in first:
            expected = first | spanning | (second if way == "out" else frozenset())
        else:
            expected = second | spanning | (first if way == "in" else frozenset())
        assert hears(cut, nodes, node) == expected


@given(laid())
def test_in_a_ring_everybody_hears_another_majority(
    case: tuple[str, tuple[str, ...], str, str, Cut],
) -> None:
    shape, nodes, _, _, cut = case
    if not shape.endswith("majority-ring"):
        return
    heard = [hears(cut, nodes, node) for node in nodes]
    assert all(majority(len(nodes)) <= len(some) < len(nodes) for some in heard)
    assert all(one != two for one, two in combinations(heard, 2))


@given(SIZES, SEEDS)
def test_random_links_touch_everybody(count: int, seed: int) -> None:
    nodes = names(count)
    links = random_links(random.Random(seed), nodes)
    assert len(set(links)) == len(links)
    assert all(source in nodes and end in nodes and source != end for source, end in links)
    assert {node for link in links for node in link} == set(nodes)
    assert random_cut(nodes, links).links == set(links)


@given(laid())
def test_words_name_everybody_and_the_leader(
    case: tuple[str, tuple[str, ...], str, str, Cut],
) -> None:
    _, nodes, _, leader, cut = case
    words = cut.words(leader)
    assert words.endswith(f"leader was {leader})")
    assert all(node in words for node in nodes)
    assert "leader" not in cut.words(None)


def test_every_shape_can_be_asked_for() -> None:
    assert set(Partition.narrowings) == {*SHAPES, RANDOM, *SPECIAL}
    assert set(possible(9)) == {*SHAPES, RANDOM}
    assert possible(1) == ()
    assert "majority-ring" not in possible(3)
    assert "one-way-majority-ring" in possible(3)
    assert {name for name in SHAPES if aim(name) == "leader"} == {
        f"{way}{name}"
        for way in ("", ONE_WAY)
        for name in ("leader", "leader-minority", "leader-majority")
    }
