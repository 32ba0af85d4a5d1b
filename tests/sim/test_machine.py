"""A simulated machine: what a server meets when it is killed, stopped, started, and lied to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.core.cluster import ClockSkew, DiskTrouble
from harness.core.simulation import Host
from harness.core.units import MILLISECOND
from harness.runtime.sim.loop import SimLoop
from harness.runtime.sim.machine import BOOT_NS, SYNC_NS, TURN_NS, Clocks, SimMachine
from harness.runtime.sim.network import SimNetwork

MS = MILLISECOND
BOOT_MS = BOOT_NS / MS
NODES = ("n1", "n2")


@dataclass
class Server:
    """Notes what it is called with."""

    host: Host
    seen: list[tuple[Any, ...]] = field(default_factory=list)
    on_wake: Callable[[Server], None] | None = None
    broken: bool = False

    def note(self, *words: Any) -> None:
        self.seen.append(words)

    def start(self) -> None:
        if self.broken:
            raise ValueError("log-1: damaged at byte 7")
        self.note("start")

    def receive(self, peer: str, message: object) -> None:
        self.note("receive", peer, message)

    def decode(self, data: bytes) -> object:
        if data.startswith(b"!"):
            raise ValueError("not a frame")
        return data.decode()

    def lost(self, peer: str) -> None:
        self.note("lost", peer)

    def request(
        self,
        method: str,
        path: str,
        body: bytes,
        answer: Callable[[int, Mapping[str, object]], None],
    ) -> None:
        self.note("request", path)
        if path == "/twice":
            answer(200, {"answer": 1})
            answer(200, {"answer": 2})
        elif path != "/never":
            answer(200, {"path": path})

    def leads(self) -> bool:
        return False

    def wake(self) -> None:
        self.note("wake", self.host.true_ns())
        if self.on_wake is not None:
            self.on_wake(self)

    def stop(self) -> None:
        self.note("stop")

    def abandon(self) -> None:
        self.note("abandon")

    def words(self) -> list[Any]:
        """All but the wakes, which say when they were."""
        return [words for words in self.seen if words[0] != "wake"]

    def wakes(self) -> list[int]:
        """When it was woken."""
        return [words[1] for words in self.seen if words[0] == "wake"]


class World:
    """Two machines; ``servers[node]`` are those that were started there, one a start."""

    def __init__(self, folder: Path) -> None:
        self.loop = SimLoop()
        self.network = SimNetwork(self.loop, NODES, 1)
        self.servers: dict[str, list[Server]] = {node: [] for node in NODES}
        self.broken = False
        self.machines = {}
        for node in NODES:
            (folder / node).mkdir()
            self.machines[node] = SimMachine(
                self.loop, self.network, self, node, NODES, folder / node, 1
            )

    def simulated(self, host: Host, rng: random.Random) -> Server:
        self.servers[host.node].append(Server(host, broken=self.broken))
        return self.servers[host.node][-1]

    def pass_ms(self, milliseconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(milliseconds / 1000))

    def up(self) -> tuple[SimMachine, Server]:
        """The first machine with its server running, the other one too, both connected."""
        for machine in self.machines.values():
            machine.start()
        self.pass_ms(BOOT_MS + 200)
        return self.machines["n1"], self.servers["n1"][-1]

    def ask(self, node: str, path: str) -> list[tuple[int, Mapping[str, object]]]:
        """A client's request; its answers, as they will have come."""
        answers: list[tuple[int, Mapping[str, object]]] = []
        self.machines[node].ask(
            "GET", path, b"", lambda status, data: answers.append((status, data))
        )
        return answers


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.loop.close()


# -- a process' life ----------------------------------------------------------------------------


def test_a_start_takes_a_while_and_is_counted(world: World) -> None:
    machine = world.machines["n1"]
    assert (machine.process().state, machine.process().pid) == ("gone", None)
    machine.start()
    machine.start()
    first = machine.process()
    assert (first.state, first.starts) == ("running", 1)
    world.pass_ms(BOOT_MS - 1)
    assert not machine.listening()
    assert world.servers["n1"][0].seen == []
    assert world.ask("n1", "/early") == [(0, {})]
    world.pass_ms(2)
    assert machine.listening()
    assert world.servers["n1"][0].words() == [("start",)]
    machine.kill()
    machine.start()
    second = machine.process()
    assert second.starts == 2
    assert second.pid not in (None, first.pid)
    assert len(world.servers["n1"]) == 2
    assert world.machines["n2"].process().starts == 0


def test_a_kill_ends_everything_that_was_under_way(world: World) -> None:
    machine, server = world.up()
    answers = world.ask("n1", "/never")
    done: list[str] = []
    server.host.wake_at(server.host.monotonic_ms() + 20)
    server.host.sync_then(lambda: done.append("synced"))
    world.pass_ms(TURN_NS / MS * 2)
    late = world.ask("n1", "/late")
    before = list(server.seen)
    machine.kill()
    assert server.seen == [*before, ("abandon",)]
    assert (machine.process().state, machine.listening()) == ("gone", False)
    # Clients see a reset, whether their request was looked at or not.
    assert answers == late == [(0, {})]
    world.pass_ms(1_000)
    assert server.seen == [*before, ("abandon",)]
    assert done == []
    assert ("lost", "n1") in world.servers["n2"][0].words()
    machine.start()
    world.pass_ms(1_000)
    assert server.seen == [*before, ("abandon",)]
    assert world.servers["n1"][1].words()[0] == ("start",)
    machine.kill()
    machine.kill()
    machine.resume()
    machine.pause()
    assert machine.process().state == "gone"


def test_what_was_sent_to_a_life_does_not_reach_the_next(world: World) -> None:
    machine, server = world.up()
    server.host.wake_at(server.host.monotonic_ms() + 300)
    done: list[str] = []
    server.host.sync_then(lambda: done.append("synced"))
    world.machines["n2"].send("n1", "old", _encode)
    machine.kill()
    machine.start()
    world.pass_ms(BOOT_MS + 1_000)
    second = world.servers["n1"][1]
    assert second.words() == [("start",)]
    assert len(second.wakes()) == 1
    assert done == []


def test_a_life_is_woken_when_it_asks_though_the_last_one_asked_for_the_same_time(
    world: World,
) -> None:
    machine, server = world.up()
    due_ms = server.host.monotonic_ms() + 500
    server.host.wake_at(due_ms)
    machine.kill()
    machine.start()
    world.pass_ms(BOOT_MS + 5)
    second = world.servers["n1"][1]
    second.seen.clear()
    second.host.wake_at(due_ms)
    world.pass_ms(1_000)
    assert len(second.wakes()) == 1


def test_an_orderly_stop_is_told_to_the_server(world: World) -> None:
    machine, server = world.up()
    machine.stop()
    assert server.words()[-1] == ("stop",)
    assert machine.process().state == "gone"
    assert ("abandon",) not in server.words()


def test_a_stop_of_one_that_stands_still_or_is_not_there_yet_is_its_end(world: World) -> None:
    """It is told, as it may hold what is not in its trace yet."""
    machine, server = world.up()
    machine.pause()
    machine.stop()
    assert ("stop",) not in server.words()
    assert server.words()[-1] == ("abandon",)
    machine.start()
    machine.stop()
    world.pass_ms(1_000)
    assert world.servers["n1"][1].seen == [("abandon",)]
    assert machine.process().state == "gone"


def test_a_server_that_cannot_start_says_why_and_is_gone(world: World) -> None:
    world.broken = True
    machine = world.machines["n1"]
    machine.start()
    world.pass_ms(BOOT_MS + 1)
    assert machine.process().state == "gone"
    log = (machine.home / "log.txt").read_text()
    assert "cannot start: log-1: damaged at byte 7" in log
    world.broken = False
    machine.start()
    world.pass_ms(BOOT_MS + 1)
    assert machine.listening()


def test_a_server_may_give_up(world: World) -> None:
    machine, server = world.up()
    answers = world.ask("n1", "/never")
    server.host.fail("the disk is full")
    assert machine.process().state == "gone"
    assert answers == [(0, {})]
    assert "gives up: the disk is full" in (machine.home / "log.txt").read_text()


# -- standing still -----------------------------------------------------------------------------


def test_a_paused_server_does_nothing_and_then_everything_in_order(world: World) -> None:
    machine, server = world.up()
    server.host.wake_at(server.host.monotonic_ms() + 5)
    server.host.sync_then(lambda: server.note("synced"))
    # It was about to have its turn.
    machine.arrive("n2", "first")
    machine.pause()
    machine.pause()
    assert machine.process().state == "stopped"
    before = list(server.seen)
    for number in range(3):
        world.machines["n2"].send("n1", number, _encode)
        world.pass_ms(5)
    answers = world.ask("n1", "/asked")
    world.pass_ms(200)
    assert server.seen == before
    assert answers == []
    # Its kernel goes on accepting.
    assert machine.listening()
    machine.resume()
    assert machine.process().state == "running"
    world.pass_ms(1)
    came = [words for words in server.seen[len(before) :] if words[0] != "wake"]
    peers = [words for words in came if words[0] == "receive"]
    assert peers == [("receive", "n2", it) for it in ("first", 0, 1, 2)]
    assert set(came) == {*peers, ("synced",), ("request", "/asked")}
    assert came[-1] == ("request", "/asked")
    assert answers == [(200, {"path": "/asked"})]
    assert len(server.wakes()) > sum(words[0] == "wake" for words in before)


def test_a_paused_server_can_be_killed(world: World) -> None:
    machine, server = world.up()
    machine.pause()
    answers = world.ask("n1", "/waits")
    machine.kill()
    assert machine.process().state == "gone"
    assert answers == [(0, {})]
    machine.resume()
    assert machine.process().state == "gone"
    world.pass_ms(100)
    assert server.words()[-1] == ("abandon",)
    machine.start()
    world.pass_ms(BOOT_MS + 1)
    assert machine.process().state == "running"
    assert world.servers["n1"][1].words() == [("start",)]


def test_a_pause_during_the_start_delays_it(world: World) -> None:
    machine = world.machines["n1"]
    machine.start()
    world.pass_ms(1)
    machine.pause()
    world.pass_ms(1_000)
    assert world.servers["n1"][0].seen == []
    assert not machine.listening()
    machine.resume()
    world.pass_ms(1)
    assert world.servers["n1"][0].words() == [("start",)]
    assert machine.listening()


def test_a_short_pause_during_the_start_changes_nothing(world: World) -> None:
    machine = world.machines["n1"]
    machine.start()
    machine.pause()
    world.pass_ms(1)
    machine.resume()
    world.pass_ms(BOOT_MS - 2)
    assert not machine.listening()
    world.pass_ms(2)
    assert world.servers["n1"][0].words() == [("start",)]


def test_a_server_killed_while_it_started_in_its_sleep_starts_once_more(world: World) -> None:
    machine = world.machines["n1"]
    machine.start()
    machine.pause()
    world.pass_ms(BOOT_MS + 10)
    machine.kill()
    machine.start()
    machine.resume()
    world.pass_ms(BOOT_MS + 1)
    assert world.servers["n1"][0].words() == [("abandon",)]
    assert world.servers["n1"][1].words() == [("start",)]


COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(("start", "kill", "power", "stop", "pause", "resume")), st.integers(0, 60)
    ),
    max_size=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(COMMANDS)
def test_any_order_of_commands_is_what_a_kernel_would_make_of_it(
    tmp_path_factory: pytest.TempPathFactory, commands: list[tuple[str, int]]
) -> None:
    """State and starts after each, and a server that is alive is started exactly once."""
    world = World(tmp_path_factory.mktemp("machines"))
    machine = world.machines["n1"]
    state, starts = "gone", 0
    for command, pause_ms in commands:
        match command, state:
            case "start", "gone":
                state, starts = "running", starts + 1
            case (("kill" | "power" | "stop"), _):
                state = "gone"
            case "pause", "running":
                state = "stopped"
            case "resume", "stopped":
                state = "running"
        if command == "power":
            machine.kill(power=True)
        else:
            getattr(machine, command)()
        assert (machine.process().state, machine.process().starts) == (state, starts)
        assert (machine.process().pid is None) is (state == "gone")
        world.pass_ms(pause_ms)
    assert len(world.servers["n1"]) == starts
    if state != "gone":
        machine.resume()
        world.pass_ms(BOOT_MS + 1)
        assert world.servers["n1"][-1].words() == [("start",)]
    for server in world.servers["n1"]:
        assert [words[0] for words in server.words()].count("start") <= 1
        ends = [words[0] for words in server.words() if words[0] in ("stop", "abandon")]
        assert len(ends) <= 1
        assert not ends or server.words()[-1][0] == ends[0]
    world.loop.close()


# -- power and disk -----------------------------------------------------------------------------


def test_a_kill_leaves_what_was_written_and_a_power_loss_takes_it(world: World) -> None:
    machine, server = world.up()
    files = server.host.files
    files.create("log", b"")
    files.append("log", b"synced")
    files.sync("log")
    server.host.sync_then(lambda: None)
    world.pass_ms(50)
    files.append("log", b" and not")
    assert machine.kill() == 0
    assert files.read("log") == b"synced and not"
    assert machine.disk.unsynced == len(b" and not")
    lost = []
    for _ in range(30):
        # What a crash left is durable; so there has to be something new to lose.
        machine.start()
        world.pass_ms(BOOT_MS + 1)
        files.append("log", b"more")
        before = files.read("log")
        unsynced = machine.disk.unsynced
        lost.append(machine.kill(power=True))
        assert 0 <= lost[-1] <= unsynced
        assert len(files.read("log")) == len(before) - lost[-1]
        assert files.read("log").startswith(b"synced")
        assert machine.disk.unsynced == 0
    assert 0 in lost
    assert max(lost) > 0


def test_a_sync_that_a_kill_interrupts_ends_all_the_same(world: World) -> None:
    """It is the kernel's by then; a machine without power ends none."""
    machine, server = world.up()
    files = server.host.files
    files.create("log", b"")
    for power in (False, True):
        files.append("log", b"words")
        files.sync("log")
        server.host.sync_then(lambda: None)
        assert machine.disk.unsynced == 5
        lost = machine.kill(power=power)
        assert machine.disk.unsynced == 0
        assert power or lost == 0
        machine.start()
        world.pass_ms(BOOT_MS + 1)


def test_a_sync_takes_its_time_and_a_slow_disk_more(world: World) -> None:
    machine, server = world.up()
    began: list[int] = []
    took: list[int] = []
    for slow_ns in (0, 300 * MS):
        machine.disk.trouble = DiskTrouble(slow_ns=slow_ns)
        for _ in range(20):
            began.append(server.host.true_ns())
            server.host.files.create("log", b"")
            server.host.files.append("log", b"words")
            server.host.files.sync("log")
            server.host.sync_then(lambda: took.append(server.host.true_ns() - began[-1]))
            world.pass_ms(SYNC_NS / MS / 2)
            assert machine.disk.unsynced == 5
            world.pass_ms(1_000)
            assert machine.disk.unsynced == 0
    quick, slow = took[:20], took[20:]
    assert min(quick) >= SYNC_NS
    assert max(quick) < 10 * MS
    assert len(set(quick)) > 1
    assert min(slow) >= SYNC_NS + 300 * MS


def test_at_a_low_rate_a_sync_takes_as_long_as_its_blocks(world: World) -> None:
    machine, server = world.up()
    machine.disk.trouble = DiskTrouble(bytes_per_s=81_920)
    took: list[int] = []
    for size in (5, 4096, 4097):
        began = server.host.true_ns()
        server.host.files.create("log", b"")
        server.host.files.append("log", bytes(size))
        server.host.files.sync("log")
        server.host.sync_then(lambda began=began: took.append(server.host.true_ns() - began))  # type: ignore[misc]
        world.pass_ms(1_000)
    for nanoseconds, blocks in zip(took, (1, 1, 2), strict=True):
        assert blocks * 50 * MS + SYNC_NS <= nanoseconds <= blocks * 50 * MS + 10 * MS
    assert machine.disk.counts.limited == 3


# -- turns --------------------------------------------------------------------------------------


def test_what_comes_together_is_handled_in_one_turn(world: World) -> None:
    machine, server = world.up()
    server.seen.clear()
    for number in range(3):
        machine.arrive("n2", number)
    answers = world.ask("n1", "/asked")
    world.pass_ms(1)
    assert [words[0] for words in server.seen] == ["receive"] * 3 + ["request", "wake"]
    assert answers == [(200, {"path": "/asked"})]


def test_a_request_is_answered_once(world: World) -> None:
    world.up()
    answers = world.ask("n1", "/twice")
    world.pass_ms(1)
    assert answers == [(200, {"answer": 1})]


def test_damage_is_decoded_or_told(world: World) -> None:
    machine, server = world.up()
    assert machine.damaged("n2", b"a message after all")
    assert not machine.damaged("n2", b"!!")
    world.pass_ms(1)
    assert server.words()[1:] == [("receive", "n2", "a message after all")]
    assert "dropped a connection from n2: not a frame" in (machine.home / "log.txt").read_text()
    machine.kill()
    assert not machine.damaged("n2", b"a message after all")


def test_a_server_is_woken_once_when_its_clock_shows_the_time(world: World) -> None:
    _, server = world.up()
    server.seen.clear()
    now_ms = server.host.monotonic_ms()
    server.host.wake_at(now_ms + 100)
    server.host.wake_at(now_ms + 50)
    server.host.wake_at(now_ms + 50)
    world.pass_ms(500)
    (woken_ns,) = server.wakes()
    assert 50 * MS - MS < woken_ns - now_ms * MS < 50 * MS + MS


# -- clocks -------------------------------------------------------------------------------------

SKEWS = st.builds(
    ClockSkew,
    offset_ns=st.integers(-60_000 * MS, 60_000 * MS),
    rate=st.sampled_from((0.5, 0.8, 1.0, 1.25, 2.0)),
    strobe_ns=st.sampled_from((0, 500 * MS)),
    strobe_period_ns=st.sampled_from((0, 100 * MS)),
    monotonic_rate=st.sampled_from((0.5, 1.0, 1.0, 2.0)),
)


@given(st.lists(st.tuples(SKEWS, st.integers(0, 10_000)), max_size=8))
def test_a_lying_clock_lies_as_it_was_told_to(steps: list[tuple[ClockSkew, int]]) -> None:
    loop = SimLoop()
    clocks = Clocks(loop)
    for skew, pause_ms in steps:
        before_ns = clocks.monotonic_ns()
        clocks.steer(skew)
        # Nothing makes the monotonic clock jump.
        assert clocks.monotonic_ns() == before_ns
        loop.run_until_complete(asyncio.sleep(pause_ms / 1000))
        elapsed_ns = pause_ms * MS
        pace = skew.rate * skew.monotonic_rate
        assert clocks.monotonic_ns() - before_ns == pytest.approx(elapsed_ns * pace, abs=2)
        wrong_ns = clocks.wall_ns() - loop.wall_ns() - skew.offset_ns
        drift_ns = (skew.rate - 1) * elapsed_ns
        strobes = (0, skew.strobe_ns) if skew.strobe_period_ns else (0,)
        period = skew.strobe_period_ns
        if period:
            strobes = (skew.strobe_ns * (elapsed_ns // period % 2),)
        assert any(wrong_ns - drift_ns == pytest.approx(strobe, abs=2) for strobe in strobes)
        # A clock that runs at another rate shows a later time sooner, or later.
        due_ms = clocks.monotonic_ns() // MS + 100
        loop.run_until_complete(asyncio.sleep((clocks.world_ns(due_ms) - loop.now_ns) / 1e9))
        assert 0 <= clocks.monotonic_ns() - due_ms * MS <= 10
        assert clocks.world_ns(due_ms) == loop.now_ns
    loop.close()


def test_a_timer_follows_a_clock_that_is_set_to_another_rate(world: World) -> None:
    machine, server = world.up()

    def again(woken: Server) -> None:
        woken.host.wake_at(due_ms)

    due_ms = server.host.monotonic_ms() + 100
    server.on_wake = again
    server.host.wake_at(due_ms)
    began_ns = server.host.true_ns()
    machine.resteer(ClockSkew(rate=2.0))
    world.pass_ms(40)
    assert server.host.monotonic_ms() < due_ms
    world.pass_ms(11)
    assert server.host.monotonic_ms() >= due_ms
    assert 49 * MS < server.wakes()[-1] - began_ns < 52 * MS


def _encode(message: object) -> bytes:
    return str(message).encode()
