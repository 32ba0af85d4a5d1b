"""What more than half means, against counting by hand."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from target.raft import quorum


def test_any_two_majorities_share_a_node_and_nothing_smaller_does() -> None:
    for voters in range(1, 8):
        size = quorum.majority(voters)
        sets = list(itertools.combinations(range(voters), size))
        assert all(set(one) & set(other) for one in sets for other in sets)
        smaller = list(itertools.combinations(range(voters), size - 1))
        assert any(not set(one) & set(other) for one in smaller for other in smaller)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=9))
def test_reached_is_the_greatest_that_enough_have(values: list[int]) -> None:
    size = quorum.majority(len(values))
    dumb = max(number for number in range(21) if sum(value >= number for value in values) >= size)
    assert quorum.reached(values, size) == dumb


@given(st.integers(1, 7), st.data())
def test_tally_looks_at_every_way_the_rest_can_vote(voters: int, data: st.DataObject) -> None:
    names = [f"n{number}" for number in range(voters)]
    voted = data.draw(st.lists(st.sampled_from(names), unique=True))
    votes = {name: data.draw(st.booleans()) for name in voted}
    size = quorum.majority(voters)
    open_ = voters - len(votes)
    ends = {sum(votes.values()) + more >= size for more in range(open_ + 1)}
    assert quorum.tally(votes, voters, size) == (ends.pop() if len(ends) == 1 else None)
