"""What several owners want, as one state of the network; servers by their command."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.cluster import ClockSkew, Link, LinkBehaviour, LinkCounts, ServerSpec
from harness.core.errors import EnvironmentFailure
from harness.runtime.hands import Clocks, Network, Processes, added, lacking, united
from tests.unit.agent.test_wire import FakeWire, speaking

NODES = ("n1", "n2", "n3")
nodes = st.sampled_from(NODES)
drops = st.dictionaries(nodes, st.frozensets(nodes))
behaviours = st.builds(
    LinkBehaviour,
    delay_ns=st.integers(0, 5),
    jitter_ns=st.integers(0, 5),
    loss=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    corrupt=st.sampled_from([0.0, 0.25, 1.0]),
    late_ns=st.integers(0, 5),
    bytes_per_s=st.integers(0, 5),
)
shapes = st.dictionaries(st.tuples(nodes, nodes), behaviours)


@given(st.lists(drops))
def test_a_link_is_cut_when_anybody_wants_it(wishes: list[dict[str, frozenset[str]]]) -> None:
    links = united(wishes)
    for source in NODES:
        for to in NODES:
            wanted = any(source in wish.get(to, ()) for wish in wishes)
            assert ((source, to) in links) == (wanted and source != to)


@given(st.lists(shapes))
def test_behaviours_add_up(wishes: list[dict[Link, LinkBehaviour]]) -> None:
    total = added(wishes)
    for link in [(source, to) for source in NODES for to in NODES]:
        here = [wish[link] for wish in wishes if link in wish]
        kept = sound = 1.0
        for one in here:
            kept *= 1 - one.loss
            sound *= 1 - one.corrupt
        expected = LinkBehaviour(
            sum(one.delay_ns for one in here),
            sum(one.jitter_ns for one in here),
            1 - kept,
            corrupt=1 - sound,
            late_ns=max((one.late_ns for one in here), default=0),
            bytes_per_s=min((one.bytes_per_s for one in here if one.bytes_per_s), default=0),
        )
        if link[0] == link[1] or expected == LinkBehaviour():
            assert link not in total
        else:
            assert total[link] == expected


def asked(wire: FakeWire, op: str) -> list[dict[str, Any]]:
    return [request for request in wire.asked if request["op"] == op]


def test_every_change_says_the_whole_state() -> None:
    async def body() -> None:
        wire = FakeWire()
        async with speaking(wire) as agent:
            network = Network(agent, NODES, "nft", "netem")
            await network.cut("a", {"n1": frozenset({"n2"})})
            await network.cut("b", {"n1": frozenset({"n2", "n3"})})
            await network.cut("a", {})
            await network.cut("b", {})
            await network.cut("b", {})
            await network.cut("c", {"n1": frozenset({"n2", "n3"}), "n2": frozenset({"clients"})})
            await network.cut("d", {"n1": frozenset({"n2"}), "n3": frozenset({"n1"})}, reject=True)
            await network.cut("c", {})
            await network.shape("a", {("n1", "n2"): LinkBehaviour(5, 1, 0.5)})
        first, second = ["n2", "n1"], ["n3", "n1"]
        cuts = [(request["links"], request["rejected"]) for request in asked(wire, "cut")]
        assert [links for links, _ in cuts[:5]] == [
            [first],
            [first, second],
            [first, second],
            [],
            [],
        ]
        silent = [["clients", "n2"], first, second]
        # What anybody wants dropped in silence is.
        assert cuts[5:] == [(silent, []), (silent, [["n1", "n3"]]), ([], [["n1", "n3"], first])]
        behaviour = {"delay_ns": 5, "jitter_ns": 1, "loss": 0.5}
        assert [request["links"] for request in asked(wire, "shape")] == [[["n1", "n2", behaviour]]]

    asyncio.run(body())


def test_a_stranger_changes_nothing() -> None:
    async def body() -> None:
        wire = FakeWire()
        async with speaking(wire) as agent:
            network = Network(agent, NODES, "nft", "netem")
            with pytest.raises(ValueError, match="not of this cluster: n4, n9"):
                await network.cut("a", {"n9": frozenset({"n1", "n4"})})
            with pytest.raises(ValueError, match="not of this cluster: n9"):
                await network.shape("a", {("n1", "n9"): LinkBehaviour(1)})
            await network.cut("b", {})
        assert [request["links"] for request in asked(wire, "cut")] == [[]]

    asyncio.run(body())


def test_counts_by_link() -> None:
    answers: Mapping[str, object] = {
        "dropped": {"links": [["n1", "n2", 4]]},
        "shaped": {"links": [["n1", "n2", 4, 2, 0, 0, 0, 1]]},
        "probe": {"links": [["n1", "n2"]]},
        "round_trip": {"ns": None},
    }

    async def body() -> None:
        async with speaking(FakeWire(lambda request: answers[request["op"]])) as agent:
            network = Network(agent, NODES, "nft", "netem")
            assert await network.dropped() == {("n1", "n2"): 4}
            assert await network.shaped() == {("n1", "n2"): LinkCounts(4, 2, limited=1)}
            links = [("n1", "n2"), ("n2", "n1")]
            assert await network.probe(links) == {links[0]: True, links[1]: False}
            assert await network.round_trip(("n1", "n2")) is None

    asyncio.run(body())


def test_starts_are_counted_and_a_running_server_is_left_alone() -> None:
    async def body() -> None:
        running: set[str] = set()

        def answer(request: dict[str, Any]) -> object:
            node = request["node"]
            match request["op"]:
                case "kill":
                    running.discard(node)
                case "state":
                    state = "running" if node in running else "gone"
                    return {"state": state, "pid": 7 if node in running else None}
            return {}

        spawned: list[tuple[str, ServerSpec]] = []

        async def spawn(node: str, spec: ServerSpec) -> None:
            spawned.append((node, spec))
            await asyncio.sleep(0)
            running.add(node)

        async with speaking(FakeWire(answer)) as agent:
            processes = Processes(agent, NODES, spawn)
            spec = ServerSpec(("server",))
            await processes.launch("n1", spec)
            await asyncio.gather(processes.start("n1"), processes.start("n1"))
            assert spawned == [("n1", spec)]
            await processes.kill("n1")
            await asyncio.gather(processes.start("n1"), processes.start("n1"))
            assert spawned == [("n1", spec)] * 2
            state = await processes.state("n1")
            assert (state.state, state.pid, state.starts) == ("running", 7, 2)
            with pytest.raises(EnvironmentFailure, match="n2 was never launched"):
                await processes.start("n2")

    asyncio.run(body())


def test_a_skew_is_told_in_full() -> None:
    async def body() -> None:
        wire = FakeWire()
        async with speaking(wire) as agent:
            await Clocks(agent).skew("n1", ClockSkew(offset_ns=-5, rate=1.1))
        [request] = asked(wire, "clock")
        assert {key: request[key] for key in request if key not in ("id", "op")} == {
            "node": "n1",
            "offset_ns": -5,
            "rate": 1.1,
            "monotonic_rate": 1.0,
            "strobe_ns": 0,
            "strobe_period_ns": 0,
        }

    asyncio.run(body())


@pytest.mark.parametrize(
    ("capability", "reason"),
    [
        ("kill", None),
        ("pause", None),
        ("clock", None),
        ("partition", None),
        ("slow", "no netem; no queue"),
        ("loss", "no netem; no queue"),
        ("rate", "no netem; no queue"),
        ("corrupt", "no queue"),
        ("reject", None),
        ("resources", "no CAP_SYS_RESOURCE"),
        ("cpu", None),
        ("memory", None),
        ("files", "no CAP_SYS_RESOURCE"),
        ("earthquake", "no runtime here knows how to do 'earthquake'"),
    ],
)
def test_what_is_lacking(capability: str, reason: str | None) -> None:
    abilities = {"nft": "no nft", "iptables": None, "netem": "no netem", "nfqueue": "no queue"}
    abilities |= {"limits": None, "prlimit": "no CAP_SYS_RESOURCE"}
    assert lacking(capability, abilities) == reason
