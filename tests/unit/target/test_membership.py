"""Configurations: one step from each to the next, and what follows from the last one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target.raft.membership import Configuration, Member, Membership, decoded, encoded
from target.raft.messages import CONFIG, Entry, Snapshot
from target.raft.quorum import majority

NAMES = ("n1", "n2", "n3", "n4", "n5")
members = st.lists(
    st.builds(Member, st.sampled_from(NAMES), st.integers(0, 1 << 62), st.booleans()),
    max_size=5,
    unique_by=lambda member: member.name,
).map(tuple)
changes = st.tuples(st.sampled_from(("learner", "promote", "remove")), st.sampled_from(NAMES))


def entry(index: int, *told: Member) -> Entry:
    return Entry(index, 1, CONFIG, encoded(Configuration(index, told)))


def founded(*names: str, identity: int = 0) -> Membership:
    return Membership("n1", identity, names, Snapshot(), ())


@given(st.integers(0, 1 << 62), members)
def test_there_and_back(index: int, told: tuple[Member, ...]) -> None:
    config = Configuration(index, told)
    assert decoded(encoded(config)) == config


@given(st.lists(changes, max_size=20))
def test_majorities_of_neighbours_share_a_node(steps: list[tuple[str, str]]) -> None:
    membership = founded(*NAMES[:3])
    for index, (action, name) in enumerate(steps, 1):
        before = membership.voters
        changed = membership.changed(action, name, 0)
        if not isinstance(changed, tuple):
            continue
        membership.use(entry(index, *changed))
        after = membership.voters
        assert after, "nobody could ever be elected again"
        for one in itertools.combinations(before, majority(len(before))):
            for other in itertools.combinations(after, majority(len(after))):
                assert set(one) & set(other), (before, after)


@given(st.lists(st.tuples(st.sampled_from(("use", "truncate", "compact")), members), max_size=20))
def test_the_last_one_in_the_log_is_in_force(steps: list[tuple[str, tuple[Member, ...]]]) -> None:
    """Against a list of all entries, looked through anew at every step."""
    membership = founded("n1", "n2")
    log = [Configuration(0, (Member("n1"), Member("n2")))]
    base = last = 0
    for action, told in steps:
        match action:
            case "use":
                last += 2
                log.append(Configuration(last, told))
                membership.use(entry(last, *told))
            case "truncate" if last > base:
                cut = membership.truncate(last)
                assert cut == (log[-1].index == last)
                log = [config for config in log if config.index < last]
                last -= 1
            case _:
                base = (base + last + 1) // 2
                held = [config for config in log if config.index <= base][-1]
                assert decoded(membership.compact(base)) == held
        assert membership.current == log[-1]
        assert membership.voters == tuple(it.name for it in log[-1].members if it.voter)


def test_what_is_refused_and_what_is_done_already() -> None:
    membership = founded("n1", "n2")
    assert membership.changed("promote", "n3", 0) == "no_member"
    assert membership.changed("promote", "n2", 0) is None
    assert membership.changed("remove", "n3", 0) is None
    membership.use(entry(5, Member("n1", 7), Member("n2", 8, voter=False)))
    assert membership.changed("remove", "n1", 0) == "last_voter"
    assert membership.changed("learner", "n1", 7) == "last_voter"
    assert membership.changed("learner", "n2", 8) is None
    assert membership.changed("learner", "n2", 9) == "member_exists"
    assert membership.changed("remove", "n2", 0) == (Member("n1", 7),)


def test_only_who_it_was_is_counted() -> None:
    membership = founded("n1", "n2", "n3", identity=7)
    assert not membership.settled
    assert membership.counts("n2", 8), "nobody knows yet who it is"
    told = membership.identified(membership.current.members, {"n2": 8, "n3": 0})
    assert told == (Member("n1", 7), Member("n2", 8), Member("n3", 0))
    membership.use(entry(2, Member("n1", 7), Member("n2", 8), Member("n3", 9, voter=False)))
    assert membership.settled
    assert membership.counts("n2", 8)
    assert not membership.counts("n2", 9)
    assert not membership.counts("n3", 9), "a learner"
    assert not membership.counts("n4", 0), "a stranger"


@pytest.mark.parametrize(
    ("told", "voting"),
    [(Member("n1", 7), True), (Member("n1"), True), (Member("n1", 8), False)],
)
def test_a_node_votes_under_its_own_identity(told: Member, voting: bool) -> None:
    membership = founded("n1", "n2", identity=7)
    membership.use(entry(2, told, Member("n2", 1)))
    assert membership.voting == voting


def test_who_was_removed_may_lead_until_that_is_committed() -> None:
    membership = founded("n1", "n2")
    membership.use(entry(2, Member("n2")))
    membership.use(entry(3, Member("n2"), Member("n1", 0, voter=False)))
    assert not membership.voting
    assert membership.may_stand(commit=1)
    assert not membership.may_stand(commit=2)
