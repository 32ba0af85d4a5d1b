"""A cluster of the imagination: nodes without processes, packets without wires, time that jumps.

Every call takes a moment before and after its effect, so that a cancellation can come in between,
and knobs make parts of it fail or lie: what a fault says of itself is only worth something if it
notices.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

from harness.core.claims import Claims
from harness.core.clock import here
from harness.core.cluster import (
    CLIENTS,
    ClockSkew,
    Cluster,
    DiskCounts,
    DiskTrouble,
    Hits,
    Limit,
    Link,
    LinkBehaviour,
    LinkCounts,
    ProcessState,
    ServerSpec,
)
from harness.core.protocols import FaultContext, NodeStatus, Target

T = TypeVar("T")

MOMENT_S = 0.002
PACKETS_PER_S = 20.0
TRIP_NS = 200_000
EPOCH_NS = 1_700_000_000_000_000_000


class _JumpingSelector(selectors.SelectSelector):
    """Instead of waiting, moves the loop's time on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("everybody waits, and no timer is set")
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time is virtual and jumps to the next timer."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def monotonic_ns(self) -> int:
        return round(self._jumping.now * 1e9)

    def wall_ns(self) -> int:
        return EPOCH_NS + self.monotonic_ns()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


async def moment() -> None:
    await asyncio.sleep(MOMENT_S)


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Faulty:
    """Calls that fail: by name, before they do anything."""

    broken: set[str] = field(default_factory=set)

    async def enter(self, name: str) -> None:
        await moment()
        if name in self.broken:
            raise OSError(f"{name} is broken")


CHANCES = ("loss", "duplicate", "reorder", "corrupt")


@dataclass
class FakeNetwork(Faulty):
    """Links with wishes. Between all nodes some packets flow all the time, unless ``idle``."""

    nodes: tuple[str, ...] = ()
    firewall: str = "fake"
    shaper: str = "fake"
    idle: bool = False
    deaf: bool = False
    """Accepts wishes and does nothing."""
    sticky: bool = False
    """Never withdraws a wish."""
    leaks: set[Link] = field(default_factory=set)
    """Pass whatever is cut."""
    dead: set[Link] = field(default_factory=set)
    """Pass nothing, though nobody cut them."""
    rejecting: set[str] = field(default_factory=set)
    """Owners whose cuts are told."""
    cuts: dict[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    shapes: dict[str, Mapping[Link, LinkBehaviour]] = field(default_factory=dict)
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    _dropped: Counter[Link] = field(default_factory=Counter)
    _counts: dict[Link, LinkCounts] = field(default_factory=lambda: defaultdict(LinkCounts))
    _seen_at: float = 0.0

    def is_cut(self, link: Link) -> bool:
        if link in self.leaks or self.deaf:
            return False
        source, end = link
        return any(source in drops.get(end, ()) for drops in self.cuts.values())

    def deaf_to_clients(self, node: str) -> bool:
        return self.is_cut((CLIENTS, node))

    def behaviour(self, link: Link) -> LinkBehaviour:
        if self.deaf:
            return LinkBehaviour()
        all_ = [links[link] for links in self.shapes.values() if link in links]
        return LinkBehaviour(
            sum(one.delay_ns for one in all_),
            sum(one.jitter_ns for one in all_),
            loss=_either(one.loss for one in all_),
            duplicate=_either(one.duplicate for one in all_),
            reorder=_either(one.reorder for one in all_),
            corrupt=_either(one.corrupt for one in all_),
            bytes_per_s=min((one.bytes_per_s for one in all_ if one.bytes_per_s), default=0),
        )

    def _flow(self) -> None:
        """What flowed since the last look."""
        elapsed, self._seen_at = _now() - self._seen_at, _now()
        if not self.idle:
            for source in (CLIENTS, *self.nodes):
                for end in self.nodes:
                    if source != end:
                        self._send((source, end), round(elapsed * PACKETS_PER_S))

    def _send(self, link: Link, packets: int = 1) -> bool:
        """Whether the last of them arrived."""
        if self.is_cut(link):
            self._dropped[link] += packets
            return False
        behaviour, arrived = self.behaviour(link), True
        for _ in range(packets):
            hit = {kind: self.rng.random() < getattr(behaviour, kind) for kind in CHANCES}
            arrived = not (hit["loss"] or hit["corrupt"])
            so_far = self._counts[link]
            self._counts[link] = LinkCounts(
                so_far.delayed + (arrived and behaviour.delay_ns > 0),
                so_far.lost + hit["loss"],
                so_far.duplicated + hit["duplicate"],
                so_far.reordered + hit["reorder"],
                so_far.corrupted + hit["corrupt"],
                so_far.limited + (behaviour.bytes_per_s > 0),
            )
        return arrived and link not in self.dead

    async def cut(
        self, owner: str, drops: Mapping[str, frozenset[str]], *, reject: bool = False
    ) -> None:
        await self.enter("cut")
        self._flow()
        self.rejecting = {*self.rejecting, owner} if reject and drops else self.rejecting - {owner}
        _wish(self.cuts, owner, drops, self.sticky)
        await moment()

    async def dropped(self) -> Mapping[Link, int]:
        await self.enter("dropped")
        self._flow()
        return dict(self._dropped)

    async def shape(self, owner: str, links: Mapping[Link, LinkBehaviour]) -> None:
        await self.enter("shape")
        self._flow()
        _wish(self.shapes, owner, links, self.sticky)
        await moment()

    async def shaped(self) -> Mapping[Link, LinkCounts]:
        await self.enter("shaped")
        self._flow()
        return {link: self._counts[link] for link in self.links()}

    def links(self) -> list[Link]:
        return [(one, two) for one in self.nodes for two in self.nodes if one != two]

    async def probe(self, links: Sequence[Link], timeout_s: float = 0.3) -> Mapping[Link, bool]:
        await self.enter("probe")
        self._flow()
        passed = {link: self._send(link) for link in links}
        await asyncio.sleep(MOMENT_S if all(passed.values()) else timeout_s)
        return passed

    async def round_trip(self, link: Link, timeout_s: float = 2.0) -> int | None:
        await self.enter("round_trip")
        self._flow()
        there, back = link, link[::-1]
        if not (self._send(there) and self._send(back)):
            await asyncio.sleep(timeout_s)
            return None
        trip = TRIP_NS
        for way in (self.behaviour(there), self.behaviour(back)):
            trip += way.delay_ns + round(self.rng.uniform(-1, 1) * way.jitter_ns)
        await asyncio.sleep(trip / 1e9)
        return trip


@dataclass
class CountingNetwork(FakeNetwork):
    """One that can cut between messages. Whoever is to lead sends some at once."""

    leader: Callable[[], str | None] = lambda: None
    patient: int = 9
    """So often somebody leads who can fall, and then nobody any more."""
    asked: list[tuple[tuple[str, ...], int]] = field(default_factory=list)

    async def cut_after(
        self, owner: str, nodes: Collection[str], messages: int, timeout_s: float
    ) -> str | None:
        await self.enter("cut_after")
        self.asked.append((tuple(nodes), messages))
        leader = self.leader()
        if leader is None or leader not in nodes or len(self.asked) > self.patient:
            await asyncio.sleep(timeout_s)
            return None
        self._flow()
        others = frozenset(node for node in self.nodes if node != leader)
        self.cuts[owner] = {leader: others} | dict.fromkeys(others, frozenset((leader,)))
        await moment()
        return leader


def _either(chances: Iterable[float]) -> float:
    none = 1.0
    for chance in chances:
        none *= 1 - chance
    return 1 - none


def _wish(wishes: dict[str, Any], owner: str, wish: Mapping[Any, Any], sticky: bool) -> None:
    if wish:
        wishes[owner] = wish
    elif not sticky:
        wishes.pop(owner, None)


@dataclass
class FakeProcesses(Faulty):
    """Servers that are a word and a number."""

    states: dict[str, ProcessState] = field(default_factory=dict)
    immortal: set[str] = field(default_factory=set)
    sleepless: set[str] = field(default_factory=set)
    stubborn: set[str] = field(default_factory=set)
    """Do not end when they are asked to."""
    barren: set[str] = field(default_factory=set)
    """Their servers end at once when they are started."""
    booted: dict[str, float] = field(default_factory=dict)
    _pids: int = 1000

    async def launch(self, node: str, spec: ServerSpec) -> None:
        await self.start(node)

    async def start(self, node: str) -> None:
        await self.enter("start")
        before = self.states.get(node, ProcessState("gone", None, 0))
        if before.state == "gone":
            self._pids += 1
            if node in self.barren:
                self.states[node] = ProcessState("gone", None, before.starts + 1)
            else:
                self.states[node] = ProcessState("running", self._pids, before.starts + 1)
                self.booted[node] = _now()
        await moment()

    async def kill(self, node: str) -> None:
        await self.enter("kill")
        if node not in self.immortal:
            self.states[node] = ProcessState("gone", None, self.states[node].starts)
        await moment()

    async def stop(self, node: str, timeout_s: float = 5.0) -> bool:
        stubborn = self.states[node].state == "stopped" or node in self.stubborn
        await self.kill(node)
        return not stubborn

    async def pause(self, node: str) -> None:
        await self.enter("pause")
        if node not in self.sleepless:
            self._turn(node, "running", "stopped")
        await moment()

    async def resume(self, node: str) -> None:
        await self.enter("resume")
        self._turn(node, "stopped", "running")
        await moment()

    def _turn(self, node: str, old: str, new: str) -> None:
        now = self.states[node]
        if now.state == old:
            self.states[node] = ProcessState(new, now.pid, now.starts)

    async def state(self, node: str) -> ProcessState:
        await moment()
        return self.states[node]


@dataclass
class FakeResources(Faulty):
    """Limits that are met whenever one looks, unless ``plenty``."""

    processes: FakeProcesses = field(default_factory=FakeProcesses)
    plenty: bool = False
    fatal: bool = False
    """Servers end on meeting a limit."""
    limits: dict[str, Limit] = field(default_factory=dict)
    met: Counter[str] = field(default_factory=Counter)

    async def limit(self, node: str, limit: Limit) -> None:
        await self.enter("limit")
        self.met[node] = 0
        if limit != Limit():
            self.limits[node] = limit
        else:
            self.limits.pop(node, None)
        await moment()

    async def hits(self, node: str) -> Hits:
        await self.enter("hits")
        if node in self.limits and not self.plenty:
            self.met[node] += 1
            if self.fatal and self.met[node] > 1:
                await self.processes.kill(node)
        count, limit = self.met[node], self.limits.get(node, Limit())
        return Hits(
            count * (limit.cpu is not None),
            count * (limit.memory is not None),
            count * limit.files,
        )


@dataclass
class FakeDisks(Faulty):
    """Disks of servers that write all the time and read what they have when they start."""

    processes: FakeProcesses = field(default_factory=FakeProcesses)
    deaf: bool = False
    """Accepts troubles and goes on as it was."""
    empty: float = 0
    """So many times there is nothing to damage."""
    credulous: bool = False
    """The servers take whatever they read."""
    sticky: bool = False
    """Never heals."""
    troubles: dict[str, DiskTrouble] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    met: Counter[str] = field(default_factory=Counter)

    async def trouble(self, node: str, trouble: DiskTrouble) -> None:
        await self.enter("trouble")
        if trouble != DiskTrouble():
            self.troubles[node] = trouble
        elif not self.sticky:
            self.troubles.pop(node, None)
        await moment()

    async def counts(self, node: str) -> DiskCounts:
        await self.enter("counts")
        trouble = self.troubles.get(node)
        if trouble is None or self.deaf or self.processes.states[node].state != "running":
            return DiskCounts(self.met[node], self.met[node], self.met[node])
        self.met[node] += 1
        if not (trouble.slow_ns or trouble.bytes_per_s):
            starts = self.processes.states[node].starts
            self.processes.states[node] = ProcessState("gone", None, starts)
        return DiskCounts(self.met[node], self.met[node], self.met[node])

    async def damage(self, node: str, how: str) -> str | None:
        await self.enter("damage")
        assert self.processes.states[node].state == "gone"
        if self.empty > 0:
            self.empty -= 1
            return None
        if not self.credulous:
            self.damaged.add(node)
            self.processes.barren.add(node)
        await moment()
        return f"{how} of {node}"

    async def repair(self, node: str) -> None:
        await self.enter("repair")
        if not self.sticky:
            self.damaged.discard(node)
            self.processes.barren.discard(node)
        await moment()


@dataclass
class FakeClocks(Faulty):
    """Skews, and since when."""

    skews: dict[str, tuple[ClockSkew, float]] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)
    """Seconds that monotonic clocks went too far in skews that are over."""
    deaf: bool = False
    sticky: bool = False

    async def skew(self, node: str, skew: ClockSkew) -> None:
        await self.enter("skew")
        old, since = self.skews.get(node, (ClockSkew(), 0.0))
        if not (self.sticky or self.deaf):
            pace = old.rate * old.monotonic_rate - 1
            self.gone[node] = self.gone.get(node, 0.0) + pace * (_now() - since)
        if skew != ClockSkew():
            self.skews[node] = (skew, _now())
        elif not self.sticky:
            self.skews.pop(node, None)
        await moment()

    def monotonic_ns(self, node: str, booted: float) -> int:
        """It never jumps: what it went too far in former skews stays."""
        skew, since = self.skews.get(node, (ClockSkew(), 0.0))
        since = max(since, booted)
        elapsed = 0.0 if self.deaf else _now() - since
        gone = self.gone.get(node, 0.0) + (skew.rate * skew.monotonic_rate - 1) * elapsed
        return round((1000 + _now() + gone) * 1e9)

    def wall_ns(self, node: str, booted: float) -> int:
        """A server counts a drift from its own start, or from the skew's if that was later."""
        skew, since = self.skews.get(node, (ClockSkew(), 0.0))
        since = max(since, booted)
        if self.deaf:
            skew = ClockSkew()
        elapsed = round((_now() - since) * 1e9)
        lie = skew.offset_ns + round((skew.rate - 1) * elapsed)
        if skew.strobe_period_ns and elapsed // skew.strobe_period_ns % 2:
            lie += skew.strobe_ns
        return here().wall_ns() + lie


@dataclass
class FakeCluster:
    """Some nodes, all of them up."""

    nodes: tuple[str, ...] = ("n1", "n2", "n3", "n4", "n5")
    runtime: str = "fake"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.network = FakeNetwork(nodes=self.nodes)
        self.processes = FakeProcesses(
            states={
                node: ProcessState("running", 100 + place, 1)
                for place, node in enumerate(self.nodes)
            }
        )
        self.clocks = FakeClocks()
        self.disks = FakeDisks(processes=self.processes)
        self.resources = FakeResources(processes=self.processes)
        self.claims = Claims()
        self.addresses = {node: node for node in self.nodes}

    def place(self, node: str) -> NoReturn:
        raise AssertionError("nothing is started here")

    def home(self, node: str) -> Path:
        raise AssertionError("nodes of the imagination have no home")

    async def dial(self, node: str, port: int, timeout_s: float) -> NoReturn:
        raise AssertionError("nobody answers here")

    def is_whole(self) -> bool:
        """Everything runs, nothing is cut, treated or skewed."""
        running = all(state.state == "running" for state in self.processes.states.values())
        network = self.network
        wishes = (network.cuts, network.shapes, self.clocks.skews, self.resources.limits)
        return running and not (any(wishes) or self.disks.troubles or self.disks.damaged)


@dataclass
class FakeTarget:
    """Says who leads: the first node that runs and hears from somebody, or whoever is ``crowned``,
    or nobody."""

    cluster: FakeCluster
    crowned: str | None = None
    anarchy: bool = False
    name: str = "fake"
    promise: str = "nothing"

    def server(self, place: object) -> NoReturn:
        raise AssertionError("nothing is started here")

    async def await_ready(self, cluster: object, timeout_s: float) -> None:
        await moment()

    def client(self, cluster: object, node: str, process: int) -> NoReturn:
        raise AssertionError("nobody calls here")

    def leader(self) -> str | None:
        states = self.cluster.processes.states
        running = [node for node in self.cluster.nodes if states[node].state == "running"]
        if self.anarchy or not running:
            return None
        if self.crowned in running:
            return self.crowned
        return next((node for node in running if not self._is_alone(node)), running[0])

    def _is_alone(self, node: str) -> bool:
        network = self.cluster.network
        others = [other for other in self.cluster.nodes if other != node]
        return bool(others) and all(network.is_cut((node, other)) for other in others)

    async def statuses(self, cluster: Cluster, timeout_s: float) -> Mapping[str, NodeStatus]:
        await moment()  # clocks are read in the middle of asking
        states = self.cluster.processes.states
        stopped = any(state.state == "stopped" for state in states.values())
        leader = self.leader()
        answers = {
            node: NodeStatus(
                node,
                "leader" if node == leader else "follower",
                3,
                leader,
                self.cluster.clocks.wall_ns(node, self.cluster.processes.booted.get(node, 0)),
                self.cluster.clocks.monotonic_ns(node, self.cluster.processes.booted.get(node, 0)),
            )
            for node, state in states.items()
            if not self.cluster.network.deaf_to_clients(node)
            if state.state == "running"
        }
        await asyncio.sleep(timeout_s - MOMENT_S if stopped else MOMENT_S)
        return answers


def context(cluster: FakeCluster, target: Target | None = None, name: str = "F1") -> FaultContext:
    """What a fault is handed."""
    faked = cast(Cluster, cluster)
    return FaultContext(faked, target or FakeTarget(cluster), name, cluster.claims)
