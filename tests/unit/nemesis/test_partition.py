"""Partitions: what they cut, and that their proofs notice when they do not."""

from __future__ import annotations

import asyncio

import pytest

from harness.core.errors import UsageError
from harness.core.faults import FaultSpec
from harness.core.values import Record, Value
from nemesis.partition import Partition
from tests.fakes import FakeCluster, FakeTarget, context, run
from tests.unit.nemesis.whole import Course, course

ORDER = ("n3", "n1", "n2", "n5", "n4")


def cut(
    shape: str, cluster: FakeCluster, target: FakeTarget | None = None, way: str = "both"
) -> Course:
    params: dict[str, Value] = {"shape": shape, "order": ORDER, "way": way}
    return run(course(Partition(), params, cluster, target))


def drops(done: Course) -> dict[str, Value]:
    found = done.resolved.data["drops"]
    assert isinstance(found, Record)
    return dict(found.items)


def test_the_leader_is_cut_off_and_comes_back() -> None:
    cluster = FakeCluster()
    done = cut("leader", cluster, FakeTarget(cluster, crowned="n2"))
    assert done.resolved.words == "n2 | n3 n1 n5 n4 (leader was n2)"
    assert done.resolved.data["leader"] == "n2"
    assert done.resolved.data["groups"] == (("n2",), ("n3", "n1", "n5", "n4"))
    assert drops(done) == {
        "n1": ("n2",),
        "n2": ("n1", "n3", "n4", "n5"),
        "n3": ("n2",),
        "n4": ("n2",),
        "n5": ("n2",),
    }
    assert done.bit.holds, done.bit.words
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()


def test_one_way_means_one_way() -> None:
    cluster = FakeCluster()
    done = cut("one-way-leader", cluster, FakeTarget(cluster, crowned="n2"), way="out")
    assert done.resolved.words == ("n2 | n3 n1 n5 n4 (one way: n2 cannot send; leader was n2)")
    assert drops(done) == dict.fromkeys(("n1", "n3", "n4", "n5"), ("n2",))
    assert done.bit.holds, done.bit.words
    assert done.healed.holds, done.healed.words


def test_a_fault_that_does_not_ask_for_the_leader_says_nothing_of_it_as_data() -> None:
    cluster = FakeCluster()
    done = cut("halves", cluster, FakeTarget(cluster, crowned="n2"))
    assert done.resolved.words == "n3 n1 | n2 n5 n4 (leader was n2)"
    assert "leader" not in done.resolved.data


def test_nobody_leads() -> None:
    """It waits, takes the first of the order, and says that it was not the leader."""
    cluster = FakeCluster()
    done = cut("leader", cluster, FakeTarget(cluster, anarchy=True))
    assert done.resolved.data["leader"] is None
    assert done.resolved.words == "n3 | n1 n2 n5 n4"
    assert done.bit.holds


def test_the_leader_is_never_the_bridge() -> None:
    cluster = FakeCluster()
    done = cut("bridge", cluster, FakeTarget(cluster, crowned="n4"))
    assert done.resolved.words == "n4 n3 | n1 n2 (n5 reaches both; leader was n4)"
    assert "leader" not in done.resolved.data


def test_a_leader_that_is_elected_while_the_fault_waits() -> None:
    cluster = FakeCluster()
    target = FakeTarget(cluster, anarchy=True)

    async def story() -> Course:
        async def elect() -> None:
            await asyncio.sleep(1.5)
            target.anarchy, target.crowned = False, "n5"

        election = asyncio.create_task(elect())
        params: dict[str, Value] = {"shape": "leader", "order": ORDER, "way": "both"}
        done = await course(Partition(), params, cluster, target)
        await election
        return done

    assert run(story()).resolved.data["leader"] == "n5"


def test_a_network_that_ignores_the_cut() -> None:
    cluster = FakeCluster()
    cluster.network.deaf = True
    done = cut("one", cluster)
    assert not done.bit.holds
    assert "packets still pass" in done.bit.words
    assert done.healed.holds


def test_a_single_leak() -> None:
    cluster = FakeCluster()
    cluster.network.leaks = {("n1", "n3")}
    done = cut("one", cluster)
    assert not done.bit.holds
    assert done.bit.words == "packets still pass n1→n3"


def test_more_is_cut_than_was_asked_for() -> None:
    cluster = FakeCluster()
    cluster.network.dead = {("n5", "n4")}
    done = cut("one", cluster)
    assert not done.bit.holds
    assert done.bit.words == "cut more than was asked for: n5→n4"


def test_a_system_that_sends_nothing_over_the_links() -> None:
    """The cut works, but the system talks some other way: nobody was hurt."""
    cluster = FakeCluster()
    cluster.network.idle = True
    done = cut("one", cluster)
    assert not done.bit.holds
    assert done.bit.words == "no packet of the system met the cut"


def test_a_cut_that_does_not_heal() -> None:
    cluster = FakeCluster()
    cluster.network.sticky = True
    done = cut("one", cluster)
    assert done.bit.holds
    assert not done.healed.holds
    assert "no packet passes" in done.healed.words


def test_lossy_links_do_not_disturb_the_proofs() -> None:
    cluster = FakeCluster()

    async def story() -> Course:
        from harness.core.cluster import LinkBehaviour

        some = {link: LinkBehaviour(loss=0.3) for link in cluster.network.links()}
        await cluster.network.shape("other", some)
        params: dict[str, Value] = {"shape": "halves", "order": ORDER, "way": "both"}
        return await course(Partition(), params, cluster)

    done = run(story())
    assert done.bit.holds, done.bit.words
    assert done.healed.holds, done.healed.words


def test_two_at_once_do_not_heal_each_other() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        nemesis = Partition()
        first = nemesis.fault(
            FaultSpec("partition", {"shape": "one", "order": ORDER, "way": "both"})
        )
        other = ("n1", "n3", "n2", "n4", "n5")
        second = nemesis.fault(
            FaultSpec("partition", {"shape": "one", "order": other, "way": "both"})
        )
        one, two = context(cluster, name="P1"), context(cluster, name="P2")
        await first.begin(one)
        await asyncio.sleep(1)
        await second.begin(two)
        await asyncio.sleep(1)
        proofs = [await first.prove(one), await second.prove(two)]
        healed = await first.end(one)
        assert cluster.network.is_cut(("n1", "n3"))
        assert not cluster.network.is_cut(("n3", "n2"))
        await asyncio.sleep(1)
        late = await second.prove(two)
        rest = await second.end(two)
        for proof in (*proofs, healed, late, rest):
            assert proof.holds, proof.words
        assert cluster.is_whole()

    run(story())


@pytest.mark.parametrize("broken", ["dropped", "cut"])
def test_an_injection_that_fails_leaves_nothing(broken: str) -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Partition().fault(
            FaultSpec("partition", {"shape": "one", "order": ORDER, "way": "both"})
        )
        cluster.network.broken = {broken}
        with pytest.raises(OSError, match="broken"):
            await fault.begin(context(cluster))
        cluster.network.broken = set()
        healed = await fault.end(context(cluster))
        assert healed.holds, healed.words
        assert cluster.is_whole()

    run(story())


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"order": ORDER}, "shape should be a text"),
        ({"shape": "sphere", "order": ORDER}, "unknown shape 'sphere'"),
        ({"shape": "one", "order": "n1"}, "order should be a list of names"),
        ({"shape": "one", "order": ORDER, "way": "up"}, "way should be both, out or in"),
        ({"shape": "random", "order": ORDER, "links": ("n1",)}, "links should be a list of links"),
    ],
)
def test_damaged_parameters(params: dict[str, Value], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Partition().fault(FaultSpec("partition", params))


@pytest.mark.parametrize(
    ("shape", "nodes", "least"),
    [("one", 1, 2), ("bridge", 2, 3), ("majority-ring", 3, 4), ("one-way-majority-ring", 2, 3)],
)
def test_shapes_that_so_few_nodes_cannot_have(shape: str, nodes: int, least: int) -> None:
    import random

    names = tuple(f"n{number}" for number in range(nodes))
    with pytest.raises(UsageError, match=f"needs at least {least} nodes, not {nodes}"):
        Partition().plan(random.Random(1), names, 60 * 10**9, shape)
