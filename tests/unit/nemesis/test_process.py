"""Kills and pauses: whom they hit, what they prove, and how they meet each other."""

from __future__ import annotations

import asyncio
import random

import pytest

from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.faults import FaultSpec
from harness.core.protocols import Nemesis
from harness.core.units import SECOND
from harness.core.values import Value
from nemesis.process import Kill, Pause, Power
from tests.fakes import FakeCluster, FakeProcesses, FakeTarget, context, run
from tests.unit.nemesis.whole import Course, course

ORDER = ("n3", "n1", "n2", "n5", "n4")


def aim(who: str, order: tuple[str, ...] = ORDER, gap_ms: int = 0) -> dict[str, Value]:
    return {"who": who, "order": order, "gap_ms": gap_ms}


def hit(
    nemesis: Nemesis, who: str, cluster: FakeCluster, target: FakeTarget | None = None
) -> Course:
    return run(course(nemesis, aim(who), cluster, target))


@pytest.mark.parametrize(
    ("who", "nodes"),
    [
        ("one", ("n3",)),
        ("leader", ("n2",)),
        ("minority", ("n3", "n1")),
        ("majority", ("n3", "n1", "n2")),
        ("all", ORDER),
    ],
)
@pytest.mark.parametrize("nemesis", [Kill(), Pause()])
def test_whom_it_hits(nemesis: Nemesis, who: str, nodes: tuple[str, ...]) -> None:
    cluster = FakeCluster()
    before = {node: state.pid for node, state in cluster.processes.states.items()}
    done = hit(nemesis, who, cluster, FakeTarget(cluster, crowned="n2"))
    assert done.resolved.data["nodes"] == nodes
    assert done.resolved.data.get("leader") == ("n2" if who == "leader" else None)
    assert ("leader" in done.resolved.data) == (who == "leader")
    assert done.bit.holds, done.bit.words
    assert done.healed.holds, done.healed.words
    assert cluster.is_whole()
    after = {node: state.pid for node, state in cluster.processes.states.items()}
    changed = {node for node in before if before[node] != after[node]}
    assert changed == (set(nodes) if nemesis.name == "kill" else set())


def test_words() -> None:
    cluster = FakeCluster()
    target = FakeTarget(cluster, crowned="n4")
    assert hit(Kill(), "leader", cluster, target).resolved.words == "n4 SIGKILL (leader was n4)"
    assert hit(Pause(), "minority", cluster).resolved.words == "n3 n1 SIGSTOP (minority)"


def test_nobody_leads() -> None:
    cluster = FakeCluster()
    done = hit(Kill(), "leader", cluster, FakeTarget(cluster, anarchy=True))
    assert done.resolved.data["nodes"] == ("n3",)
    assert done.resolved.data["leader"] is None


def test_a_kill_that_does_not_kill() -> None:
    cluster = FakeCluster()
    cluster.processes.immortal = {"n3"}

    async def story() -> None:
        fault = Kill().fault(FaultSpec("kill", aim("minority")))
        with pytest.raises(EnvironmentFailure, match="n3 still runs"):
            await fault.begin(context(cluster))
        assert (await fault.end(context(cluster))).holds
        assert cluster.is_whole()

    run(story())


def test_a_server_that_comes_back_before_its_time() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Kill().fault(FaultSpec("kill", aim("one")))
        await fault.begin(context(cluster))
        await cluster.processes.start("n3")
        bit = await fault.prove(context(cluster))
        assert not bit.holds
        assert bit.words == "n3 runs before its time"
        assert (await fault.end(context(cluster))).holds

    run(story())


def test_a_server_that_does_not_come_back() -> None:
    cluster = FakeCluster()
    cluster.processes.barren = {"n3"}
    done = hit(Kill(), "one", cluster)
    assert done.bit.holds
    assert not done.healed.holds
    assert done.healed.words == "started, but not there: n3"


def test_a_restart_that_fails_spares_the_others() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Kill().fault(FaultSpec("kill", aim("minority")))
        where = context(cluster)
        await fault.begin(where)
        cluster.processes.broken = {"start"}
        failed = await fault.end(where)
        assert not failed.holds
        assert failed.words == "not started: n3: start is broken; n1: start is broken"
        cluster.processes.broken = set()
        assert (await fault.end(where)).holds
        assert cluster.is_whole()

    run(story())


def test_a_pause_that_does_not_pause() -> None:
    cluster = FakeCluster()
    cluster.processes.sleepless = {"n3"}

    async def story() -> None:
        fault = Pause().fault(FaultSpec("pause", aim("minority")))
        with pytest.raises(EnvironmentFailure, match="n3 runs on"):
            await fault.begin(context(cluster))
        assert (await fault.end(context(cluster))).holds
        assert cluster.is_whole()

    run(story())


def test_a_pause_that_somebody_ended() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Pause().fault(FaultSpec("pause", aim("minority")))
        await fault.begin(context(cluster))
        await cluster.processes.resume("n1")
        bit = await fault.prove(context(cluster))
        assert not bit.holds
        assert bit.words == "n1 ran before its time"
        assert (await fault.end(context(cluster))).holds

    run(story())


def test_a_pause_that_does_not_end() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Pause().fault(FaultSpec("pause", aim("one")))
        await fault.begin(context(cluster))
        cluster.processes.broken = {"resume"}
        healed = await fault.end(context(cluster))
        assert not healed.holds
        assert healed.words == "n3 still stopped: n3: resume is broken"

    run(story())


def test_killed_while_paused() -> None:
    """The pause counts, the kill counts, and the server runs in the end."""
    cluster = FakeCluster()

    async def story() -> None:
        pause = Pause().fault(FaultSpec("pause", aim("one")))
        kill = Kill().fault(FaultSpec("kill", aim("one")))
        one, two = context(cluster, name="Z1"), context(cluster, name="K1")
        await pause.begin(one)
        resolved = await kill.begin(two)
        assert resolved.data["nodes"] == ("n3",)
        bits = [await pause.prove(one), await kill.prove(two)]
        assert bits[0].words == "stopped, then killed: n3"
        heals = [await pause.end(one), await kill.end(two)]
        for proof in (*bits, *heals):
            assert proof.holds, proof.words
        assert cluster.is_whole()

    run(story())


def test_a_pause_looks_for_a_server_that_runs() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        kill = Kill().fault(FaultSpec("kill", aim("minority")))
        pause = Pause().fault(FaultSpec("pause", aim("one")))
        one, two = context(cluster, name="K1"), context(cluster, name="Z1")
        await kill.begin(one)
        assert (await pause.begin(two)).data["nodes"] == ("n2",)
        for proof in (await pause.prove(two), await kill.end(one), await pause.end(two)):
            assert proof.holds, proof.words
        assert cluster.is_whole()

    run(story())


def test_fewer_are_there_than_were_meant() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        kill = Kill().fault(FaultSpec("kill", aim("majority")))
        pause = Pause().fault(FaultSpec("pause", aim("all")))
        await kill.begin(context(cluster, name="K1"))
        resolved = await pause.begin(context(cluster, name="Z1"))
        assert resolved.words == "n5 n4 SIGSTOP (all: no more could be hit)"

    run(story())


def test_a_pause_waits_until_a_server_runs() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        kill = Kill().fault(FaultSpec("kill", aim("all")))
        pause = Pause().fault(FaultSpec("pause", aim("leader")))
        one, two = context(cluster, name="K1"), context(cluster, name="Z1")
        await kill.begin(one)
        waiting = asyncio.create_task(pause.begin(two))
        await asyncio.sleep(3)
        assert not waiting.done()
        await kill.end(one)
        assert (await waiting).data["leader"] == "n1"
        assert (await pause.end(two)).holds
        assert cluster.is_whole()

    run(story())


def test_nobody_is_left_to_be_paused() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        kill = Kill().fault(FaultSpec("kill", aim("all")))
        pause = Pause().fault(FaultSpec("pause", aim("one")))
        await kill.begin(context(cluster, name="K1"))
        with pytest.raises(EnvironmentFailure, match="no server is running"):
            await pause.begin(context(cluster, name="Z1"))
        assert (await pause.end(context(cluster, name="Z1"))).holds

    run(story())


def test_one_kill_does_not_start_what_another_holds_down() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        nemesis = Kill()
        first = nemesis.fault(FaultSpec("kill", aim("minority", gap_ms=2000)))
        second = nemesis.fault(FaultSpec("kill", aim("one")))
        one, two = context(cluster, name="K1"), context(cluster, name="K2")
        await first.begin(one)
        ending = asyncio.create_task(first.end(one))
        await asyncio.sleep(1)
        # n3 is back, n1 is still down for the first: the second finds n3.
        assert (await second.begin(two)).data["nodes"] == ("n3",)
        healed = await ending
        assert healed.holds, healed.words
        assert cluster.processes.states["n3"].state == "gone"
        assert (await second.prove(two)).holds
        assert (await second.end(two)).holds
        assert cluster.is_whole()

    run(story())


def test_nodes_come_back_one_by_one() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        fault = Kill().fault(FaultSpec("kill", aim("all", gap_ms=500)))
        await fault.begin(context(cluster))
        ending = asyncio.create_task(fault.end(context(cluster)))
        await asyncio.sleep(1.25)
        up = [node for node in ORDER if cluster.processes.states[node].state == "running"]
        assert up == ["n3", "n1", "n2"]
        assert (await ending).holds
        assert cluster.is_whole()

    run(story())


@pytest.mark.parametrize("nemesis", [Kill(), Pause()])
def test_what_cannot_be(nemesis: Nemesis) -> None:
    import random

    rng, long = random.Random(1), 60 * 10**9
    with pytest.raises(UsageError, match="minority needs at least 3 nodes, not 2"):
        nemesis.plan(rng, ("n1", "n2"), long, "minority")
    with pytest.raises(UsageError, match="known: one, leader"):
        nemesis.plan(rng, ("n1", "n2"), long, "youngest")
    with pytest.raises(UsageError, match="unknown role"):
        nemesis.fault(FaultSpec(nemesis.name, aim("youngest")))
    assert nemesis.plan(rng, ("n1",), long, None)


class Machines(FakeProcesses):
    """Servers on machines that lose seven bytes with their power."""

    def __init__(self, servers: FakeProcesses) -> None:
        super().__init__(states=servers.states)
        self.dark: list[str] = []

    async def power_off(self, node: str) -> int:
        self.dark.append(node)
        await self.kill(node)
        return 7


def test_a_power_loss_tells_what_was_lost() -> None:
    cluster = FakeCluster()
    machines = cluster.processes = Machines(cluster.processes)
    done = hit(Power(), "minority", cluster)
    assert done.resolved.words == "n3 n1 power lost (minority)"
    assert done.bit.holds
    assert done.bit.words.endswith("; 14 unsynced bytes lost")
    assert done.bit.figures["lost_bytes"] == 14
    assert done.healed.holds, done.healed.words
    assert machines.dark == ["n3", "n1"]


def test_machines_that_cannot_lose_their_power() -> None:
    cluster = FakeCluster()

    async def tried() -> None:
        fault = Power().fault(FaultSpec("power", aim("one")))
        with pytest.raises(EnvironmentFailure, match="cannot lose their power"):
            await fault.begin(context(cluster))

    run(tried())


ROLLING: dict[str, Value] = {**aim("all", gap_ms=100), "pause_ms": 200}


def test_everybody_stands_still_in_turn() -> None:
    cluster = FakeCluster()
    most = 0

    async def story() -> Course:
        nonlocal most
        rolling = asyncio.create_task(course(Pause(), ROLLING, cluster))
        while not rolling.done():
            states = [state.state for state in cluster.processes.states.values()]
            most = max(most, states.count("stopped"))
            await asyncio.sleep(0.02)
        return rolling.result()

    done = run(story())
    assert done.resolved.words == "n3 n1 n2 n5 n4 SIGSTOP in turn, 200 ms each"
    assert done.bit.holds, done.bit.words
    assert done.bit.words == "stood still in turn: n3 n1 n2 n5 n4"
    assert done.healed.holds
    assert most == 1
    assert cluster.is_whole()


def test_a_rolling_pause_spares_who_is_down_and_leaves_nobody_behind() -> None:
    cluster = FakeCluster()

    async def story() -> None:
        where = context(cluster)
        where.claims.of("down").take("K1", ("n1",))
        await cluster.processes.kill("n1")
        fault = Pause().fault(FaultSpec("pause", ROLLING))
        await fault.begin(where)
        await asyncio.sleep(3)
        bit = await fault.prove(where)
        assert bit.holds, bit.words
        assert bit.words.endswith("; spared, as down or paused: n1")
        assert (await fault.end(where)).holds
        # One that is ended in somebody's turn.
        fault = Pause().fault(FaultSpec("pause", ROLLING))
        await fault.begin(where)
        await asyncio.sleep(0.1)
        assert cluster.processes.states["n3"].state == "stopped"
        assert (await fault.end(where)).holds
        assert cluster.processes.states["n3"].state == "running"
        assert not where.claims.of("paused").of_others("")

    run(story())


def test_a_rolling_pause_of_somebody_who_does_not_stop() -> None:
    cluster = FakeCluster()
    cluster.processes.sleepless = {"n2"}
    done = run(course(Pause(), ROLLING, cluster))
    assert not done.bit.holds
    assert done.bit.words == "not paused: n2: runs on"
    assert done.healed.holds


@pytest.mark.parametrize("nodes", [1, 3, 5])
def test_a_rolling_pause_takes_all_of_its_time(nodes: int) -> None:
    names = tuple(f"n{number + 1}" for number in range(nodes))
    for step in Pause().plan(random.Random(1), names, 60 * SECOND, "rolling"):
        gap, pause = step.fault.params["gap_ms"], step.fault.params["pause_ms"]
        assert isinstance(gap, int)
        assert isinstance(pause, int)
        assert 0 < pause < pause + gap
        assert abs((pause + gap) * nodes - step.duration_ns / 1e6) <= nodes
    # It is an addition: without its name the others are as they were.
    plain = Pause().plan(random.Random(1), names, 60 * SECOND, None)
    assert not any("pause_ms" in step.fault.params for step in plain)
