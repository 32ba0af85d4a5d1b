"""Slow and lossy links."""

from __future__ import annotations

import asyncio
import random

import pytest

from harness.core.cluster import Link, LinkBehaviour
from harness.core.errors import UsageError
from harness.core.faults import FaultSpec
from harness.core.protocols import Nemesis
from harness.core.values import Value
from nemesis.packet import Corrupt, Duplicate, Loss, Rate, Reorder, Slow
from tests.fakes import FakeCluster, FakeTarget, context, run
from tests.unit.nemesis.whole import Course, course

ORDER = ("n3", "n1", "n2", "n5", "n4")


def slow(where: str) -> dict[str, Value]:
    return {"where": where, "order": ORDER, "delay_ms": 50, "jitter_ms": 20}


def lossy(where: str) -> dict[str, Value]:
    return {"where": where, "order": ORDER, "percent": 20}


def treated(nemesis: Nemesis, params: dict[str, Value], cluster: FakeCluster) -> Course:
    return run(course(nemesis, params, cluster, FakeTarget(cluster, crowned="n2")))


@pytest.mark.parametrize(
    ("where", "words", "count"),
    [
        ("all", "all links 50±20 ms", 20),
        ("one", "n3 50±20 ms", 8),
        ("leader", "n2 50±20 ms (leader was n2)", 8),
        ("one-way", "n3 50±20 ms (what it sends)", 4),
    ],
)
def test_slow(where: str, words: str, count: int) -> None:
    cluster = FakeCluster()
    seen: set[Link] = set()
    plain = cluster.network.shape

    async def shape(owner: str, links: dict[Link, object]) -> None:
        seen.update(links)
        await plain(owner, links)  # type: ignore[arg-type]

    cluster.network.shape = shape  # type: ignore[method-assign,assignment]
    done = treated(Slow(), slow(where), cluster)
    assert done.resolved.words == words
    assert done.resolved.data.get("leader") == ("n2" if where == "leader" else None)
    assert len(seen) == count
    assert done.bit.holds, done.bit.words
    assert "round trip 0.2 → " in done.bit.words
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("all", "all links 20 % lost"),
        ("one", "n3 20 % lost"),
        ("leader", "n2 20 % lost (leader was n2)"),
        ("one-way", "n3 20 % lost (what it sends)"),
    ],
)
def test_loss(where: str, words: str) -> None:
    cluster = FakeCluster()
    done = treated(Loss(), lossy(where), cluster)
    assert done.resolved.words == words
    assert done.bit.holds, done.bit.words
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()


@pytest.mark.parametrize(
    ("nemesis", "params", "words", "proof"),
    [
        (Duplicate(), {"percent": 20, "late_ms": 90}, "20 % duplicated, 90 ms later", "duplicated"),
        (Reorder(), {"percent": 20, "late_ms": 90}, "20 % reordered, 90 ms later", "reordered"),
        (Corrupt(), {"percent": 20}, "20 % corrupted", "corrupted"),
        (Rate(), {"kbit_per_s": 64}, "64 kbit/s", "limited"),
    ],
)
def test_others(nemesis: Nemesis, params: dict[str, Value], words: str, proof: str) -> None:
    cluster = FakeCluster()
    done = treated(nemesis, {"where": "one", "order": ORDER, **params}, cluster)
    assert done.resolved.words == f"n3 {words}"
    assert done.bit.holds, done.bit.words
    assert done.bit.words.endswith(f" packets {proof}")
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()


EVERY: list[tuple[Nemesis, dict[str, Value]]] = [
    (Slow(), slow("one")),
    (Loss(), lossy("one")),
    (Duplicate(), {**lossy("one"), "late_ms": 100}),
    (Reorder(), {**lossy("one"), "late_ms": 100}),
    (Corrupt(), lossy("one")),
    (Rate(), {"where": "one", "order": ORDER, "kbit_per_s": 64}),
]


@pytest.mark.parametrize(("nemesis", "params"), EVERY)
def test_a_network_that_ignores_it(nemesis: Nemesis, params: dict[str, Value]) -> None:
    cluster = FakeCluster()
    cluster.network.deaf = True
    done = treated(nemesis, params, cluster)
    assert not done.bit.holds
    assert done.healed.holds


@pytest.mark.parametrize(("nemesis", "params"), EVERY)
def test_a_network_that_does_not_heal(nemesis: Nemesis, params: dict[str, Value]) -> None:
    cluster = FakeCluster()
    cluster.network.sticky = True
    done = treated(nemesis, params, cluster)
    assert done.bit.holds, done.bit.words
    assert not done.healed.holds


def test_few_packets_are_lost_by_sending_more() -> None:
    cluster = FakeCluster()
    cluster.network.idle = True
    done = treated(Loss(), lossy("one-way"), cluster)
    assert done.bit.holds, done.bit.words
    bursts = done.bit.figures["bursts"]
    assert isinstance(bursts, int)
    assert bursts > 0


@pytest.mark.parametrize("cut_at", ["before", "during", "after"])
def test_slow_links_that_are_cut_as_well(cut_at: str) -> None:
    """What cannot be timed is counted."""
    cluster = FakeCluster()

    async def cut() -> None:
        drops = {node: frozenset(ORDER) - {node} for node in ORDER}
        await cluster.network.cut("P1", drops)

    async def story() -> None:
        fault = Slow().fault(FaultSpec("slow", slow("all")))
        where = context(cluster)
        if cut_at == "before":
            await cut()
        await fault.begin(where)
        await asyncio.sleep(1)
        if cut_at == "before":
            await cluster.network.cut("P1", {})
        if cut_at == "during":
            await cut()
        await asyncio.sleep(1)
        bit = await fault.prove(where)
        assert bit.holds, bit.words
        if cut_at == "after":
            await cut()
        healed = await fault.end(where)
        assert healed.holds, healed.words
        assert not cluster.network.shapes

    run(story())


@pytest.mark.parametrize(("nemesis", "params"), [(Slow(), slow("all")), (Loss(), lossy("all"))])
def test_two_at_once_do_not_heal_each_other(nemesis: Nemesis, params: dict[str, Value]) -> None:
    cluster = FakeCluster()

    async def story() -> None:
        first, second = (nemesis.fault(FaultSpec(nemesis.name, params)) for _ in range(2))
        one, two = context(cluster, name="X1"), context(cluster, name="X2")
        await first.begin(one)
        await second.begin(two)
        await asyncio.sleep(1)
        proofs = [await first.prove(one), await first.end(one), await second.prove(two)]
        assert cluster.network.shapes.keys() == {"X2"}
        proofs.append(await second.end(two))
        for proof in proofs:
            assert proof.holds, proof.words
        assert cluster.is_whole()

    run(story())


@pytest.mark.parametrize("broken", ["round_trip", "shaped", "shape"])
def test_an_injection_that_fails_leaves_nothing(broken: str) -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Slow().fault(FaultSpec("slow", slow("one")))
        cluster.network.broken = {broken}
        with pytest.raises(OSError, match="broken"):
            await fault.begin(context(cluster))
        cluster.network.broken = set()
        assert (await fault.end(context(cluster))).holds
        assert cluster.is_whole()

    run(story())


@pytest.mark.parametrize("nemesis", [Slow(), Loss()])
def test_what_cannot_be(nemesis: Nemesis) -> None:
    with pytest.raises(UsageError, match="at least 2 nodes"):
        nemesis.plan(random.Random(1), ("n1",), 60 * 10**9, None)
    with pytest.raises(UsageError, match="known: all, one, leader, one-way"):
        nemesis.plan(random.Random(1), ORDER, 60 * 10**9, "downhill")
    with pytest.raises(UsageError, match="unknown place"):
        nemesis.fault(FaultSpec(nemesis.name, slow("downhill")))
    with pytest.raises(UsageError, match="should be a whole number"):
        nemesis.fault(FaultSpec(nemesis.name, {"where": "all", "order": ORDER}))


def test_links_that_had_been_slower_still_are_no_witness() -> None:
    """Something else delays all of them when it begins, and is over soon after."""
    cluster = FakeCluster()
    links = cluster.network.links()

    async def story() -> None:
        where = context(cluster)
        fault = Slow().fault(FaultSpec("slow", slow("one")))
        await cluster.network.shape("else", dict.fromkeys(links, LinkBehaviour(400_000_000)))
        await fault.begin(where)
        await cluster.network.shape("else", {})
        await asyncio.sleep(1)
        bit = await fault.prove(where)
        assert bit.holds, bit.words
        assert (await fault.end(where)).holds

    run(story())
