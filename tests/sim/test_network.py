"""Simulated links: connections that behave as TCP does, and what may be done to them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.cluster import LinkBehaviour
from harness.runtime.sim.network import (
    DIAL_NS,
    LATENCY_NS,
    PAUSE_NS,
    RETRY_NS,
    SILENCE_NS,
)
from tests.sim.net import MS, Net, encode

SOON_MS = 5
"""A message that nothing is done to has come by then, but for one in a million million."""

BEHAVIOURS = st.builds(
    LinkBehaviour,
    delay_ns=st.integers(0, 100 * MS),
    jitter_ns=st.integers(0, 50 * MS),
    loss=st.sampled_from((0.0, 0.1, 0.5)),
    bytes_per_s=st.sampled_from((0, 1_000, 100_000)),
)


# -- what a connection carries ------------------------------------------------------------------


@given(
    st.integers(0, 100),
    BEHAVIOURS,
    BEHAVIOURS,
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=30),
)
def test_a_connection_keeps_order_and_loses_nothing(
    seed: int, there: LinkBehaviour, back: LinkBehaviour, sends: list[tuple[int, bool]]
) -> None:
    """Each direction has its own delay, loss and rate, and none of the other's."""
    with Net(seed) as net:
        net.shape(n1_n2=there, n2_n1=back)
        sent: list[int] = []
        for number, (pause_ms, forth) in enumerate(sends):
            net.pass_ms(pause_ms)
            sent.append(sum(pause for pause, _ in sends[: number + 1]) * MS)
            net.send(*(("n1", "n2") if forth else ("n2", "n1")), number)
        net.pass_ms(60_000)
        for forth, end, peer, behaviour in (
            (True, net.ends["n2"], "n1", there),
            (False, net.ends["n1"], "n2", back),
        ):
            came, times = end.messages(peer), end.times(peer)
            wanted = [number for number, (_, way) in enumerate(sends) if way is forth]
            if behaviour.bytes_per_s:
                # Where the sender's buffer is full nothing is sent; what is, is in order.
                assert came == sorted(set(came))
                assert set(came) <= set(wanted)
                assert came[:1] == wanted[:1]
                least = 1_000_000_000 // behaviour.bytes_per_s
                assert all(two - one >= least for one, two in pairwise(times))
            else:
                assert came == wanted
            least = LATENCY_NS + max(0, behaviour.delay_ns - behaviour.jitter_ns)
            assert all(at >= sent[it] + least for it, at in zip(came, times, strict=True))
        assert net.ends["n3"].came == []
        assert not any(end.broke for end in net.ends.values())


def test_a_message_takes_some_microseconds_and_now_and_then_more() -> None:
    with Net() as net:
        for number in range(500):
            net.send("n1", "n2", number)
            net.pass_ms(SOON_MS)
        end = net.ends["n2"]
        assert end.messages("n1") == list(range(500))
        took = sorted(at - number * SOON_MS * MS for number, at in enumerate(end.times("n1")))
        assert took[0] >= LATENCY_NS
        assert took[250] < 2 * LATENCY_NS
        assert took[-1] > 3 * LATENCY_NS


def test_nothing_is_sent_without_a_connection() -> None:
    with Net(connected=False) as net:
        net.send("n1", "n2", "early")
        net.network.dial("n1")
        net.pass_ms(SOON_MS)
        net.send("n1", "n2", "late")
        net.send("n2", "n1", "the other way nobody dialled")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == ["late"]
        assert net.ends["n1"].came == []


def test_a_behaviour_is_of_its_link_and_of_its_time() -> None:
    with Net() as net:
        net.shape(n1_n2=LinkBehaviour(delay_ns=50 * MS))
        net.send("n1", "n2", "slow")
        net.send("n2", "n1", "quick")
        net.send("n1", "n3", "quick")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].came == []
        assert net.ends["n1"].messages("n2") == net.ends["n3"].messages("n1") == ["quick"]
        net.pass_ms(60)
        assert net.ends["n2"].messages("n1") == ["slow"]
        net.shape()
        net.send("n1", "n2", "again")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == ["slow", "again"]


def test_loss_delays_what_is_lost_and_what_is_behind_it() -> None:
    with Net(3) as net:
        net.shape(n1_n2=LinkBehaviour(loss=0.2))
        for number in range(100):
            net.send("n1", "n2", number)
            net.pass_ms(1)
        net.pass_ms(30_000)
        end = net.ends["n2"]
        assert end.messages("n1") == list(range(100))
        late = [at - number * MS for number, at in enumerate(end.times("n1"))]
        assert max(late) > RETRY_NS
        assert min(late) < SOON_MS * MS
        assert net.loop.run_until_complete(net.network.shaped())["n1", "n2"].lost >= 5


# -- cuts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("drops", [{"n2": "n1"}, {"n2": "n1", "n1": "n2"}])
def test_a_connection_stalls_and_goes_on_with_the_next_retransmission(
    drops: dict[str, str],
) -> None:
    with Net() as net:
        net.cut(**drops)
        net.send("n1", "n2", 1, 2)
        net.pass_ms(50)
        net.send("n1", "n2", 3)
        net.cut()
        # Healed, but nobody knows: what is sent now waits behind what was sent before.
        net.send("n1", "n2", 4)
        net.pass_ms(RETRY_NS / MS - 50 - 1)
        assert net.ends["n2"].came == []
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == [1, 2, 3, 4]
        assert net.ends["n2"].times("n1")[0] >= RETRY_NS
        net.pass_ms(2 * SILENCE_NS / MS)
        assert not any(end.broke for end in net.ends.values())
        assert ("n1", "n2") in net.dropped()


def test_a_cut_takes_what_is_on_its_way_and_it_comes_again_in_order() -> None:
    with Net() as net:
        net.shape(n1_n2=LinkBehaviour(delay_ns=20 * MS))
        net.send("n1", "n2", 1)
        net.pass_ms(15)
        net.send("n1", "n2", 2)
        net.cut(n2="n1")
        net.pass_ms(10)
        # The first has met the cut, the second and the third have not, and wait for it.
        net.cut()
        net.send("n1", "n2", 3)
        net.pass_ms(100)
        assert net.ends["n2"].came == []
        assert net.dropped() == {("n1", "n2"): 1}
        net.pass_ms(RETRY_NS / MS)
        assert net.ends["n2"].messages("n1") == [1, 2, 3]
        assert not any(end.broke for end in net.ends.values())


@given(
    st.integers(0, 100),
    BEHAVIOURS,
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(("send", "cut", "heal"))), max_size=30),
)
def test_whatever_is_cut_and_healed_a_connection_keeps_order(
    seed: int, behaviour: LinkBehaviour, steps: list[tuple[int, str]]
) -> None:
    """Nothing comes twice, and nothing is missing in the middle, until the connection breaks."""
    with Net(seed) as net:
        net.shape(n1_n2=replace(behaviour, bytes_per_s=0))
        sent = []
        for number, (pause_ms, step) in enumerate(steps):
            net.pass_ms(pause_ms)
            if step == "send":
                net.send("n1", "n2", number)
                sent.append(number)
            else:
                net.cut(**({"n2": "n1"} if step == "cut" else {}))
        net.cut()
        net.pass_ms(60_000)
        came = net.ends["n2"].messages("n1")
        if net.ends["n1"].broke:
            assert came == sorted(set(came))
        else:
            assert came == sent


def test_a_server_that_is_back_does_not_hear_what_was_sent_to_the_one_before() -> None:
    """The connection was to another process: what comes on it is answered with a reset."""
    with Net() as net:
        net.cut(n1="n2", n2="n1")
        net.send("n1", "n2", "to the first")
        net.network.hang_up("n2")
        net.network.dial("n2")
        net.cut()
        net.pass_ms(RETRY_NS / MS + SOON_MS)
        assert net.ends["n2"].came == []
        assert [peer for _, peer in net.ends["n1"].broke] == ["n2"]
        net.pass_ms(PAUSE_NS / MS)
        net.send("n1", "n2", "to the second")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == ["to the second"]


def test_the_pause_between_retransmissions_doubles() -> None:
    """Whole again right after the first one: the next comes too late, the sender gave up."""
    with Net() as net:
        net.cut(n2="n1")
        net.send("n1", "n2", "lost")
        net.pass_ms(RETRY_NS / MS + 1)
        net.cut()
        net.pass_ms(SILENCE_NS / MS - RETRY_NS / MS - 2)
        assert net.ends["n2"].came == []
        assert net.ends["n1"].broke == []
        net.pass_ms(2)
        ((at, peer),) = net.ends["n1"].broke
        assert (at, peer) == (SILENCE_NS, "n2")
        # It dials again, and what was on its way is lost.
        net.pass_ms(PAUSE_NS / MS)
        net.send("n1", "n2", "new")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == ["new"]


def test_a_cut_of_the_way_back_lets_messages_through_until_the_sender_gives_up() -> None:
    with Net() as net:
        net.cut(n1="n2")
        net.send("n1", "n2", "heard")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == ["heard"]
        net.pass_ms(SILENCE_NS / MS)
        assert net.ends["n1"].broke == [(SILENCE_NS, "n2")]
        assert net.ends["n2"].broke == []
        net.send("n1", "n2", "nobody is connected")
        net.pass_ms(1_000)
        assert net.ends["n2"].messages("n1") == ["heard"]
        assert set(net.dropped()) == {("n2", "n1")}


def test_an_acknowledgement_that_comes_late_saves_the_connection() -> None:
    with Net() as net:
        net.cut(n1="n2")
        net.send("n1", "n2", "heard")
        net.pass_ms(RETRY_NS / MS / 2)
        net.cut()
        net.pass_ms(1_000)
        assert not any(end.broke for end in net.ends.values())
        assert net.ends["n2"].messages("n1") == ["heard"]


def test_after_a_long_cut_somebody_dials_again_until_it_is_answered() -> None:
    with Net() as net:
        net.cut(n2="n1", n1="n2")
        net.send("n1", "n2", "lost")
        net.pass_ms(10_000)
        before = net.dropped()["n1", "n2"]
        net.pass_ms(2 * (DIAL_NS + PAUSE_NS) / MS)
        assert net.dropped()["n1", "n2"] > before
        net.cut()
        net.pass_ms((DIAL_NS + PAUSE_NS) / MS + SOON_MS)
        net.send("n1", "n2", "new")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == ["new"]
        assert len(net.ends["n1"].broke) == 1


def test_an_idle_connection_does_not_notice_a_cut() -> None:
    with Net() as net:
        net.cut(n2="n1 n3", n1="n2")
        net.pass_ms(10_000)
        net.cut()
        net.send("n1", "n2", "as ever")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == ["as ever"]
        assert not any(end.broke for end in net.ends.values())


@given(
    st.dictionaries(
        st.sampled_from(("n1", "n2", "n3")), st.sets(st.sampled_from(("n1", "n2", "n3")))
    ),
    st.dictionaries(
        st.sampled_from(("n1", "n2", "n3")), st.sets(st.sampled_from(("n1", "n2", "n3")))
    ),
)
def test_what_is_cut_is_the_union_of_all_wishes(
    one: dict[str, set[str]], two: dict[str, set[str]]
) -> None:
    links = [(a, b) for a in ("n1", "n2", "n3") for b in ("n1", "n2", "n3") if a != b]
    with Net() as net:
        for owner, wish in (("a", one), ("b", two)):
            net.cut(owner, **{node: " ".join(sorted(some - {node})) for node, some in wish.items()})
        for wishes in ([one, two], [two], []):
            wanted = {
                (source, node) for wish in wishes for node, some in wish.items() for source in some
            }
            passed = net.loop.run_until_complete(net.network.probe(links))
            assert passed == {link: link not in wanted for link in links}
            for source, target in links:
                trip = net.loop.run_until_complete(net.network.round_trip((source, target), 0.1))
                closed = {(source, target), (target, source)} & wanted
                assert (trip is None) is bool(closed)
                assert trip is None or trip >= 2 * LATENCY_NS
            net.cut("a" if len(wishes) == 2 else "b")


def test_only_packets_that_meet_a_cut_are_counted() -> None:
    with Net() as net:
        net.cut(n2="n1")
        net.send("n1", "n3", "free")
        net.send("n3", "n1", "free")
        net.pass_ms(50)
        assert net.dropped() == {}
        net.send("n1", "n2", 1, 2, 3)
        net.pass_ms(SOON_MS)
        assert net.dropped() == {("n1", "n2"): 3}
        net.loop.run_until_complete(net.network.probe([("n1", "n2"), ("n2", "n3")]))
        assert net.dropped()["n1", "n2"] >= 4


def test_a_stranger_is_refused_and_changes_nothing() -> None:
    with Net() as net:
        net.cut(n2="n1")
        with pytest.raises(ValueError, match="not of this cluster: n9"):
            net.cut("b", n1="n9")
        with pytest.raises(ValueError, match="not of this cluster: n8"):
            net.cut("b", n8="n1")
        with pytest.raises(ValueError, match="not of this cluster: n7"):
            net.shape("b", n1_n7=LinkBehaviour(loss=1.0))
        probed = net.loop.run_until_complete(net.network.probe([("n1", "n2"), ("n3", "n1")]))
        assert list(probed.values()) == [False, True]


# -- ends that end ------------------------------------------------------------------------------


def test_a_server_that_ends_resets_the_connections_to_it() -> None:
    with Net() as net:
        net.send("n1", "n2", "on its way")
        net.ends["n1"].up = False
        net.network.hang_up("n1")
        net.pass_ms(SOON_MS)
        # What it had sent is lost with it, and the others learn of its end.
        assert net.ends["n2"].came == []
        assert [peer for _, peer in net.ends["n2"].broke] == ["n1"]
        assert [peer for _, peer in net.ends["n3"].broke] == ["n1"]
        assert net.ends["n1"].broke == []
        net.send("n2", "n1", "nobody is there")
        net.pass_ms(1_000)
        assert net.ends["n1"].came == []

        net.ends["n1"].up = True
        net.network.dial("n1")
        net.pass_ms(PAUSE_NS / MS + SOON_MS)
        net.send("n1", "n2", "back")
        net.send("n2", "n1", "welcome")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == ["back"]
        assert net.ends["n1"].messages("n2") == ["welcome"]


def test_a_reset_does_not_pass_a_cut() -> None:
    with Net() as net:
        net.cut(n2="n1")
        net.ends["n1"].up = False
        net.network.hang_up("n1")
        net.pass_ms(SILENCE_NS / MS - 1)
        assert net.ends["n2"].broke == []
        assert len(net.ends["n3"].broke) == 1
        net.pass_ms(2)
        assert net.ends["n2"].broke == [(SILENCE_NS, "n1")]


def test_who_does_not_listen_is_dialled_again() -> None:
    with Net(connected=False) as net:
        net.ends["n2"].up = False
        net.network.dial("n1")
        net.pass_ms(1_000)
        net.ends["n2"].up = True
        net.send("n1", "n2", "not yet")
        net.pass_ms(PAUSE_NS / MS + SOON_MS)
        net.send("n1", "n2", "now")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == ["now"]


# -- faults of messages -------------------------------------------------------------------------


def test_messages_are_dropped_for_good() -> None:
    with Net() as net:
        net.shape(n1_n2=LinkBehaviour(drop=0.5))
        net.send("n1", "n2", *range(200))
        net.pass_ms(5_000)
        came = net.ends["n2"].messages("n1")
        assert came == sorted(came)
        assert 40 < len(came) < 160
        assert not net.ends["n1"].broke
        net.shape()
        net.send("n1", "n2", "whole")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == [*came, "whole"]


def test_messages_come_twice() -> None:
    with Net() as net:
        net.shape(n1_n2=LinkBehaviour(duplicate=1.0, late_ns=20 * MS))
        for number in range(50):
            net.send("n1", "n2", number)
            net.pass_ms(SOON_MS)
        net.pass_ms(2_000)
        came = net.ends["n2"].messages("n1")
        assert sorted(came) == sorted([*range(50), *range(50)])
        # The first of each comes in its place, the second behind others.
        assert list(dict.fromkeys(came)) == list(range(50))
        assert came != sorted(came)


def test_messages_overtake_each_other() -> None:
    with Net() as net:
        net.shape(n1_n2=LinkBehaviour(reorder=0.5, late_ns=20 * MS))
        net.send("n1", "n2", *range(50))
        net.pass_ms(2_000)
        came = net.ends["n2"].messages("n1")
        assert came != sorted(came)
        assert sorted(came) == list(range(50))


@pytest.mark.parametrize("taken", [False, True])
def test_damage_ends_a_connection_unless_it_is_taken_for_a_message(taken: bool) -> None:
    with Net() as net:
        net.ends["n2"].takes_damage = taken
        net.shape(n1_n2=LinkBehaviour(corrupt=1.0))
        net.send("n1", "n2", "sixteen letters.")
        net.pass_ms(SOON_MS)
        ((peer, data),) = net.ends["n2"].noise
        assert peer == "n1"
        assert len(data) == 16
        assert data != b"sixteen letters."
        assert net.ends["n2"].came == []
        assert [it for _, it in net.ends["n1"].broke] == ([] if taken else ["n2"])
        counts = net.loop.run_until_complete(net.network.shaped())
        assert {link for link, count in counts.items() if count.corrupted} == {("n1", "n2")}
        assert net.network.swallowed == int(taken)


@pytest.mark.parametrize("delay_ms", [3, 100])
def test_what_was_on_its_way_on_a_broken_connection_never_arrives(delay_ms: int) -> None:
    with Net() as net:
        net.shape(n1_n2=LinkBehaviour(delay_ns=delay_ms * MS))
        net.send("n1", "n2", "old")
        net.network.hang_up("n2")
        net.network.dial("n2")
        net.pass_ms(1_000)
        assert net.ends["n2"].came == []


# -- packets of our own -------------------------------------------------------------------------


def test_a_probe_that_is_not_answered_takes_its_time() -> None:
    async def took(*links: tuple[str, str]) -> int:
        began_ns = net.loop.monotonic_ns()
        await net.network.probe(links, 0.3)
        return net.loop.monotonic_ns() - began_ns

    with Net() as net:
        net.cut(n2="n1")
        assert net.loop.run_until_complete(took(("n2", "n1"))) < SOON_MS * MS
        assert net.loop.run_until_complete(took(("n2", "n1"), ("n1", "n2"))) == 300 * MS


def test_a_round_trip_pays_both_ways() -> None:
    with Net() as net:
        net.shape(n1_n2=LinkBehaviour(delay_ns=30 * MS), n2_n1=LinkBehaviour(delay_ns=50 * MS))
        for link in (("n1", "n2"), ("n2", "n1")):
            trip = net.loop.run_until_complete(net.network.round_trip(link))
            assert trip is not None
            assert 80 * MS < trip < 90 * MS
        assert net.loop.run_until_complete(net.network.round_trip(("n1", "n2"), 0.07)) is None


def test_two_wishes_at_once() -> None:
    async def both() -> None:
        await asyncio.gather(
            net.network.cut("a", {"n2": frozenset({"n1"})}),
            net.network.cut("b", {"n3": frozenset({"n1"})}),
        )

    with Net() as net:
        net.loop.run_until_complete(both())
        net.send("n1", "n2", 1)
        net.send("n1", "n3", 1)
        net.pass_ms(SOON_MS)
        assert not net.ends["n2"].came
        assert not net.ends["n3"].came


# -- between two messages -----------------------------------------------------------------------


def caught(net: Net, nodes: str, messages: int, timeout_ms: int, *sends: str) -> str | None:
    """Who is cut off; ``n1-n2`` sends a number over that link, each a millisecond after another."""

    async def story() -> str | None:
        cutting = net.network.cut_after("a", nodes.split(), messages, timeout_ms / 1000)
        waiting = asyncio.create_task(cutting)
        for number, link in enumerate(sends, start=1):
            await asyncio.sleep(0.001)
            source, target = link.split("-")
            net.network.send(source, target, number, encode)
        return await waiting

    return net.loop.run_until_complete(story())


@pytest.mark.parametrize("messages", [0, 1, 2, 5])
def test_so_many_messages_come_and_the_next_does_not(messages: int) -> None:
    with Net() as net:
        net.ends["n1"].leading = True
        assert caught(net, "n1 n2 n3", messages, 100, *["n1-n2"] * 8) == "n1"
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == list(range(1, messages + 1))
        assert net.dropped()["n1", "n2"] == 8 - messages
        net.send("n2", "n3", "others hear each other")
        net.send("n3", "n1", "nobody reaches it")
        net.pass_ms(SOON_MS)
        assert net.ends["n3"].messages("n2") and not net.ends["n1"].came
        net.cut()
        net.pass_ms(2 * RETRY_NS / MS)
        # As from any other cut, a connection that outlives it brings the rest.
        assert net.ends["n2"].messages("n1") == list(range(1, 9))


def test_messages_that_follow_each_other_at_once_are_told_apart() -> None:
    with Net() as net:
        net.ends["n1"].leading = True
        net.send("n1", "n2", *range(20))
        assert caught(net, "n1", 7, 100) == "n1"
        assert net.ends["n2"].messages("n1") == list(range(7))


def test_each_link_counts_for_itself_and_only_what_a_leader_sends() -> None:
    with Net() as net:
        net.ends["n1"].leading = True
        sends = ("n1-n2", "n2-n3", "n1-n3", "n2-n3", "n1-n2", "n2-n3", "n1-n3", "n1-n3", "n1-n2")
        assert caught(net, "n1 n2", 2, 100, *sends) == "n1"
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == [1, 5]
        assert net.ends["n3"].messages("n1") == [3, 7]
        assert net.ends["n3"].messages("n2") == [2, 4, 6]


def test_nobody_is_cut_off_who_is_not_meant_or_when_time_is_up() -> None:
    with Net() as net:
        net.ends["n1"].leading = True
        assert caught(net, "n2 n3", 0, 10, "n1-n2", "n2-n3") is None
        assert caught(net, "n1", 2, 10, "n1-n2", "n1-n2") is None
        net.send("n1", "n2", "later")
        net.pass_ms(SOON_MS)
        assert net.ends["n2"].messages("n1") == [1, 1, 2, "later"]
        assert net.dropped() == {}


def test_what_meets_another_cut_does_not_count() -> None:
    with Net() as net:
        net.ends["n1"].leading = True
        net.cut("b", n2="n1")
        assert caught(net, "n1", 0, 10, "n1-n2", "n1-n2") is None
