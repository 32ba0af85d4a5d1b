"""Rules that lead packets to the queue."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.agent import queueing, shaping
from harness.agent.machines import Behaviour
from harness.agent.tools import ToolFailed
from tests.unit.agent.restore import fresh, restore, verdict

SOURCES = [f"10.0.0.{number}" for number in range(1, 5)]
changes = st.lists(st.sets(st.sampled_from(SOURCES)), max_size=4)


@given(changes)
def test_iptables_queues_exactly_the_named_senders(wanted: list[set[str]]) -> None:
    rules = queueing.IptablesRules("iptables-legacy")
    tables = fresh()
    restore(tables, rules.build())
    for sources in wanted:
        restore(tables, rules.change(sorted(sources)))
        assert {s for s in SOURCES if verdict(tables["mangle"], s) == "NFQUEUE"} == sources
    assert all("--queue-bypass" in it for it in tables["mangle"][queueing.CHAIN])
    restore(tables, rules.remove())
    assert tables == fresh()


def test_nft_queues_exactly_the_named_senders() -> None:
    rules = queueing.NftRules()
    assert 'iifname != "lo" ip saddr @shaped queue num 7411 bypass' in rules.build()
    assert rules.change([]) == "flush set ip quorum_shape shaped\n"
    assert rules.change(SOURCES[:2]) == (
        "flush set ip quorum_shape shaped\n"
        "add element ip quorum_shape shaped { 10.0.0.1, 10.0.0.2 }\n"
    )


def test_the_first_way_that_works_is_taken() -> None:
    tried: list[queueing.Rules] = []

    def third(rules: queueing.Rules) -> None:
        tried.append(rules)
        if len(tried) < 3:
            raise ToolFailed("not this one")

    assert queueing.first_of(third) is tried[2]


def test_when_no_way_works_every_reason_is_said_once() -> None:
    reasons = iter(("no nft", "no iptables", "no iptables", "no module"))

    def never(_: queueing.Rules) -> None:
        raise ToolFailed(next(reasons))

    with pytest.raises(ToolFailed, match="no nft; no iptables; no module") as caught:
        queueing.first_of(never)
    assert str(caught.value).count("iptables") == 1


def test_what_netem_does_not_count_is_queued() -> None:
    slow = Behaviour(5, 1, 0.5, bytes_per_s=9)
    assert shaping.split(slow) == (slow, Behaviour())
    odd = Behaviour(duplicate=0.5, reorder=0.25, corrupt=0.125, late_ns=7)
    assert shaping.split(odd) == (Behaviour(), odd)
    both = Behaviour(5, 1, 0.5, 0.5, 0.0, 0.0, 7, 9)
    assert shaping.split(both) == (slow, Behaviour(duplicate=0.5, late_ns=7))


def test_the_helper_is_told_what_is_not_nothing() -> None:
    assert queueing.told(Behaviour(5, 0, 0.5)) == {"delay_ns": 5, "loss": 0.5}
