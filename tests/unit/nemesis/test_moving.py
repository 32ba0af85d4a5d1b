"""Partitions that move, that are told, and those of clients."""

from __future__ import annotations

import random

import pytest

from harness.core.errors import UsageError
from harness.core.faults import FaultSpec
from harness.core.units import SECOND
from harness.core.values import Value
from nemesis.partition import SPECIAL, Partition
from tests.fakes import FakeCluster, FakeTarget, context, run
from tests.unit.nemesis.whole import course

ORDER = ("n3", "n1", "n2", "n5", "n4")
FLAPS: dict[str, Value] = {
    "shape": "leader",
    "order": ORDER,
    "way": "both",
    "cut_ms": (200, 90),
    "whole_ms": (100, 300),
}
SWIZZLE: dict[str, Value] = {
    "shape": "swizzle",
    "order": ("n2", "n4"),
    "back": ("n2", "n4"),
    "gap_ms": 100,
}


def clients(who: str) -> dict[str, Value]:
    return {"shape": "clients", "order": ORDER, "who": who}


@pytest.mark.parametrize(
    ("params", "words", "proof"),
    [
        (FLAPS, "n2 | n3 n1 n5 n4 (leader was n2), flapping", "times"),
        (SWIZZLE, "n2 n4 one by one (back: n2 n4; leader was n2)", "no probe passed 14 links"),
        (clients("one"), "clients | n3", "no node answers one"),
        (clients("leader"), "clients | n2 (leader was n2)", "packets of clients dropped"),
        (clients("minority"), "clients | n3 n1", "packets of clients dropped"),
        (
            {"shape": "one", "order": ORDER, "way": "both", "reject": True},
            "n3 | n1 n2 n5 n4 (leader was n2), by reset",
            "packets dropped",
        ),
    ],
)
def test_it_bites_and_heals(params: dict[str, Value], words: str, proof: str) -> None:
    cluster = FakeCluster()
    target = FakeTarget(cluster, crowned="n2")
    done = run(course(Partition(), params, cluster, target))
    assert done.resolved.words == words
    assert done.bit.holds, done.bit.words
    assert proof in done.bit.words
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()


@pytest.mark.parametrize("params", [FLAPS, clients("one")])
def test_a_network_that_ignores_it(params: dict[str, Value]) -> None:
    cluster = FakeCluster()
    cluster.network.deaf = True
    assert not run(course(Partition(), params, cluster)).bit.holds


def test_clients_that_stay_away() -> None:
    cluster = FakeCluster()
    cluster.network.sticky = True
    done = run(course(Partition(), clients("one"), cluster, FakeTarget(cluster)))
    assert done.bit.holds
    assert done.healed.words == "clients do not reach n3"
    assert not done.healed.holds


def test_a_swizzle_comes_and_goes_one_by_one() -> None:
    cluster = FakeCluster()
    seen: list[tuple[bool, bool]] = []

    async def story() -> None:
        where = context(cluster, FakeTarget(cluster))
        real = cluster.network.cut

        async def cut(owner: str, drops: object, *, reject: bool = False) -> None:
            await real(owner, drops, reject=reject)  # type: ignore[arg-type]
            seen.append(tuple(cluster.network.is_cut((node, "n1")) for node in ("n2", "n4")))  # type: ignore[arg-type]

        cluster.network.cut = cut  # type: ignore[method-assign]
        fault = Partition().fault(FaultSpec("partition", SWIZZLE))
        await fault.begin(where)
        assert (await fault.end(where)).holds

    run(story())
    assert seen == [(True, False), (True, True), (False, True), (False, False)]


@pytest.mark.parametrize("narrowing", list(SPECIAL))
@pytest.mark.parametrize("nodes", [2, 3, 5])
def test_plans_are_faults(narrowing: str, nodes: int) -> None:
    if narrowing == "swizzle" and nodes < 5:
        with pytest.raises(UsageError, match="swizzle needs at least 5 nodes"):
            Partition().plan(random.Random(3), ORDER[:nodes], 60 * SECOND, narrowing)
        return
    steps = Partition().plan(random.Random(3), ORDER[:nodes], 60 * SECOND, narrowing)
    assert len(steps) >= 3
    for step in steps:
        Partition().fault(step.fault)


def test_what_is_only_done_by_name() -> None:
    steps = Partition().plan(random.Random(3), ORDER, 600 * SECOND, None)
    assert not {step.fault.params["shape"] for step in steps} & set(SPECIAL)


def test_what_cannot_be() -> None:
    with pytest.raises(UsageError, match="name the same nodes"):
        Partition().fault(FaultSpec("partition", {**SWIZZLE, "back": ("n2", "n1")}))
    with pytest.raises(UsageError, match="unknown role 'some'"):
        Partition().fault(FaultSpec("partition", clients("some")))
