"""A simulated machine: a process that can be killed and stopped, its disk, its clocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.cluster import ClockSkew, ProcessState
from harness.core.rng import derive
from harness.core.simulation import Files, Simulable, SimulatedServer
from harness.runtime.sim.chance import chance
from harness.runtime.sim.disk import SimDisk
from harness.runtime.sim.drawn import Drawn
from harness.runtime.sim.loop import EPOCH_NS, SimLoop
from harness.runtime.sim.network import SimNetwork

TURN_NS = 100_000
"""A process that waits for events needs this long to be scheduled: what comes meanwhile is handled
in the same turn."""
SYNC_NS = 400_000
SYNC_SPREAD_NS = 300_000
"""What a sync takes: at least, and on top on average."""
BOOT_NS = 40_000_000
"""From the start of a process to its first turn."""

Answer = Callable[[int, Mapping[str, object]], None]


class Clocks:
    """A node's clocks, as in the reference server: ``rate`` drives both, ``monotonic_rate`` one of
    them, and nothing makes that one jump; the wall clock shows true + offset + (rate - 1) ·
    elapsed, and a strobe."""

    def __init__(self, loop: SimLoop) -> None:
        self._agenda = loop.agenda
        self.skew = ClockSkew()
        self._since_ns = self._base_ns = self._agenda.now_ns

    def steer(self, skew: ClockSkew) -> None:
        """From now on."""
        self._base_ns = self.monotonic_ns()
        self._since_ns = self._agenda.now_ns
        self.skew = skew

    def begin(self) -> None:
        """A process starts: it finds the true time, and a drift counts from here."""
        self._base_ns = self._since_ns = self._agenda.now_ns

    def monotonic_ns(self) -> int:
        """The node's own."""
        elapsed = self._agenda.now_ns - self._since_ns
        rate = self.skew.rate * self.skew.monotonic_rate
        return self._base_ns + (elapsed if rate == 1.0 else int(elapsed * rate))

    def wall_ns(self) -> int:
        """The node's own."""
        skew, now_ns = self.skew, self._agenda.now_ns
        elapsed = now_ns - self._since_ns
        wall = EPOCH_NS + now_ns + skew.offset_ns + int((skew.rate - 1.0) * elapsed)
        period = skew.strobe_period_ns
        if period > 0 and elapsed // period % 2 == 1:
            wall += skew.strobe_ns
        return wall

    def world_ns(self, due_ms: int) -> int:
        """When the monotonic clock will show ``due_ms``; now, if it does already."""
        left_ns = due_ms * 1_000_000 - self.monotonic_ns()
        if left_ns <= 0:
            return self._agenda.now_ns
        # Rounded up: a call that comes a nanosecond early finds nothing to do.
        return self._agenda.now_ns + int(left_ns / (self.skew.rate * self.skew.monotonic_rate)) + 1


class SimMachine:
    """One node. Implements :class:`harness.core.simulation.Host` for the server that lives in it,
    and :class:`harness.runtime.sim.network.Endpoint` for the network."""

    def __init__(
        self,
        loop: SimLoop,
        network: SimNetwork,
        target: Simulable,
        node: str,
        nodes: Sequence[str],
        home: Path,
        seed: int,
    ) -> None:
        self.node, self.nodes, self.home = node, nodes, home
        self.clocks = Clocks(loop)
        self.disk = SimDisk(node, derive(seed, f"sim/disk/{node}"))
        self.files: Files = self.disk
        self.state = "gone"
        self.starts = 0
        self._agenda, self._network, self._seed = loop.agenda, network, seed
        self._chance = chance(loop.agenda, seed, f"sim/machine/{node}")
        self._target = target
        self._server: SimulatedServer | None = None
        self._booting = False
        self._overslept = False
        self._life = 0
        self._inbox: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._turning = False
        self._wake_ns = 0
        """When a call was last asked for."""
        self._armed_ns = 0
        """When the event for it comes, or one that is early; 0: none does."""
        self._armed_number = 0
        self._open: dict[int, Answer] = {}
        self._requests = 0
        network.attach(node, self)

    # -- processes ------------------------------------------------------------------------------

    def process(self) -> ProcessState:
        """As a kernel would tell."""
        pid = (
            None if self.state == "gone" else 100 * (1 + self.nodes.index(self.node)) + self.starts
        )
        return ProcessState(self.state, pid, self.starts)

    def start(self) -> None:
        """A no-op when it runs."""
        if self.state != "gone":
            return
        self.starts += 1
        self.state = "running"
        self.clocks.begin()
        self._life += 1
        name = f"sim/server/{self.node}/{self.starts}"
        drawn = Drawn(chance(self._agenda, self._seed, name))
        self._server = self._target.simulated(self, drawn)
        self._booting = True
        self._agenda.at(self._agenda.now_ns + BOOT_NS, self._boot, self._life)

    def _boot(self, life: int) -> None:
        if life != self._life:
            return
        if self.state == "stopped":
            self._overslept = True
            return
        self._booting = self._overslept = False
        assert self._server is not None
        try:
            self._server.start()
        except (OSError, ValueError) as error:
            self.log(f"cannot start: {error}")
            self.fail(str(error))
            return
        self.disk.settle()
        self._network.dial(self.node)
        self._turn_soon()

    def kill(self, *, power: bool = False) -> int:
        """The process ends at once. With ``power`` the machine does: the disk loses what was not
        synced. Returns the bytes lost."""
        if self._server is not None:
            self._server.abandon()
        self._end()
        if power:
            return self.disk.lose_power()
        # A sync under way is the kernel's: it ends, whatever becomes of the process.
        self.disk.settle()
        return 0

    def stop(self) -> None:
        """An orderly end; of one that is paused, or not there yet, an end all the same."""
        if self._server is not None:
            if self.state == "running" and not self._booting:
                self._server.stop()
            else:
                self._server.abandon()
        self._end()

    def fail(self, words: str) -> None:
        """See Host."""
        self.log(f"gives up: {words}")
        if self._server is not None:
            self._server.abandon()
        self._end()

    def _end(self) -> None:
        if self.state == "gone":
            return
        self.state = "gone"
        self._server = None
        self._overslept = False
        self._life += 1
        self._inbox.clear()
        self._turning = False
        self._disarm()
        self._network.hang_up(self.node)
        waiting, self._open = self._open, {}
        for answer in waiting.values():
            answer(0, {})  # a reset

    def pause(self) -> None:
        """SIGSTOP."""
        if self.state == "running":
            self.state = "stopped"

    def resume(self) -> None:
        """SIGCONT: what came meanwhile is there."""
        if self.state == "stopped":
            self.state = "running"
            if self._overslept:
                self._boot(self._life)
            self._turn_soon()

    # -- turns ----------------------------------------------------------------------------------

    def _put(self, call: Callable[..., None], *arguments: Any) -> None:
        self._inbox.append((call, arguments))
        self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._turning and self.state == "running":
            self._turning = True
            self._agenda.at(self._agenda.now_ns + TURN_NS, self._turn, self._life)

    def _turn(self, life: int) -> None:
        if life != self._life:
            return
        self._turning = False
        server = self._server
        if self.state != "running" or server is None or self._booting:
            return
        inbox = self._inbox
        while inbox and self._life == life and self.state == "running":
            call, arguments = inbox.popleft()
            call(*arguments)
        if self._life == life:
            server.wake()

    # -- Endpoint -------------------------------------------------------------------------------

    def listening(self) -> bool:
        """See the protocol."""
        return self._server is not None and not self._booting

    def leads(self) -> bool:
        """See the protocol."""
        server = self._server
        return server is not None and not self._booting and server.leads()

    def arrive(self, peer: str, message: Any) -> None:
        """See the protocol."""
        server = self._server
        if server is not None and not self._booting:
            self._inbox.append((server.receive, (peer, message)))
            self._turn_soon()

    def broken(self, peer: str) -> None:
        """See the protocol."""
        server = self._server
        if server is not None and not self._booting:
            self._put(server.lost, peer)

    def damaged(self, peer: str, data: bytes) -> bool:
        """See the protocol."""
        server = self._server
        if server is None or self._booting:
            return False
        try:
            message = server.decode(data)
        except ValueError as error:
            self.log(f"dropped a connection from {peer}: {error}")
            return False
        self.arrive(peer, message)
        return True

    def ask(self, method: str, path: str, body: bytes, answer: Answer) -> None:
        """A client's request; status 0 is a reset."""
        server = self._server
        if server is None or self._booting:
            answer(0, {})
            return
        self._requests += 1
        number = self._requests
        self._open[number] = answer

        def answered(status: int, data: Mapping[str, object]) -> None:
            waiting = self._open.pop(number, None)
            if waiting is not None:
                waiting(status, data)

        self._put(server.request, method, path, body, answered)

    # -- Host -----------------------------------------------------------------------------------

    def monotonic_ms(self) -> int:
        """See the protocol."""
        return self.clocks.monotonic_ns() // 1_000_000

    def wall_ns(self) -> int:
        """See the protocol."""
        return self.clocks.wall_ns()

    def true_ns(self) -> int:
        """See the protocol."""
        return self._agenda.now_ns

    def connected(self, peer: str) -> bool:
        """See the protocol."""
        return self._network.wires[self.node, peer].connected

    def send(self, peer: str, message: object, encode: Callable[[Any], bytes]) -> None:
        """See the protocol."""
        self._network.send(self.node, peer, message, encode)

    def wake_at(self, due_ms: int) -> None:
        """See the protocol. A call that is put off leaves the event that was to come: it sees
        that it is early. (An election time-out is put off with every word of the leader.)"""
        due_ns = self._wake_ns = self.clocks.world_ns(due_ms)
        if self._armed_ns == 0 or due_ns < self._armed_ns:
            self._arm(due_ns)

    def _arm(self, due_ns: int) -> None:
        self._armed_ns = due_ns
        self._armed_number += 1
        self._agenda.at(due_ns, self._woken, self._armed_number)

    def _woken(self, number: int) -> None:
        if number != self._armed_number:
            return
        self._armed_ns = 0
        if self._wake_ns > self._agenda.now_ns:
            self._arm(self._wake_ns)
        else:
            self._turn_soon()

    def _disarm(self) -> None:
        """No call comes until another is asked for."""
        self._armed_ns = 0
        self._armed_number += 1

    def resteer(self, skew: ClockSkew) -> None:
        """The clocks run differently from now on: timers come at other times."""
        self.clocks.steer(skew)
        self._disarm()
        self._turn_soon()

    def sync_then(self, done: Callable[[], None]) -> None:
        """See the protocol."""
        took_ns = SYNC_NS + self._chance.waited(SYNC_SPREAD_NS)
        took_ns += self.disk.extra_ns()
        self._agenda.at(self._agenda.now_ns + took_ns, self._synced, self._life, done)

    def _synced(self, life: int, done: Callable[[], None]) -> None:
        if life == self._life:
            self.disk.settle()
            self._put(done)

    def log(self, words: str) -> None:
        """A line in the node's log, with the world's time of day."""
        seconds, rest = divmod(EPOCH_NS + self._agenda.now_ns, 1_000_000_000)
        clock = seconds % 86_400
        stamp = f"{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}.{rest // 1_000_000:03}"
        with (self.home / "log.txt").open("a") as file:
            file.write(f"{stamp} {words}\n")
