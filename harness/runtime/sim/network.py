"""Links between simulated nodes: connections that behave as TCP does, and packets of our own.

A directed pair of nodes has one connection, which carries messages one way and in order. A cut is
met where a packet arrives, as a firewall's at the receiving node: so it also takes what was sent
before it and is still on its way. While the link is cut in either direction nothing is
acknowledged: what was sent waits, is sent again after :data:`RETRY_NS`, twice that, and so on;
after :data:`SILENCE_NS` without a word the sender gives the connection up, what was on its way is
lost, and it dials again until somebody answers.

That hides losses from those who talk over it, so a link can also be told to lose, double, reorder
or damage *messages*, as if they were datagrams: systems that retry on new connections meet just
that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.core.cluster import CLIENTS, Link, LinkBehaviour, LinkCounts
from harness.core.units import MILLISECOND
from harness.runtime.sim.chance import Chance, chance
from harness.runtime.sim.loop import SimLoop

LATENCY_NS = 150_000
"""The least that a message takes."""
SPREAD_NS = 100_000
"""On top, on average: exponential, so that now and then one is late."""
SILENCE_NS = 400 * MILLISECOND
RETRY_NS = 200 * MILLISECOND
"""The first retransmission, as Linux's least."""
DIAL_NS = 250 * MILLISECOND
"""An attempt to connect that nobody answers."""
PAUSE_NS = 100 * MILLISECOND
"""Between attempts."""
BUFFER_NS = 500 * MILLISECOND
"""What a sender's buffer holds where a link lets only so many bytes pass, in time."""
PROBE_BYTES = 64
OF_ITS_OWN = 0
"""In place of a message's number in the stream, for one that keeps no order with the others."""


class Endpoint(Protocol):
    """A node as the network sees it."""

    def listening(self) -> bool:
        """Does a process accept connections? (One that is stopped does: its kernel does.)"""

    def leads(self) -> bool:
        """Does its server take itself for the leader?"""

    def arrive(self, peer: str, message: Any) -> None:
        """A message came."""

    def broken(self, peer: str) -> None:
        """The connection *to* a peer broke."""

    def damaged(self, peer: str, data: bytes) -> bool:
        """Bytes came that are not what was sent; True if they were taken for a message."""


@dataclass(slots=True)
class Wire:
    """A directed link, and the connection on it.

    ``life`` counts connections: what belongs to an earlier one never arrives. ``sent`` and ``come``
    count a connection's messages: one that comes before those that were sent before it is ``early``
    and waits for them; one that met a cut is among the ``unheard`` until it is sent again.
    """

    source: str
    target: str
    chance: Chance
    cut: bool = False
    rejects: bool = False
    """Is the sender told of the cut, by a reset?"""
    connected: bool = False
    dialling: bool = False
    life: int = 0
    last_ns: int = 0
    sent: int = 0
    come: int = 0
    unheard: list[tuple[int, Any]] = field(default_factory=list)
    early: dict[int, Any] = field(default_factory=dict)
    orphaned: bool = False
    """Is it to a server that has ended? Whatever comes on it is answered with a reset."""
    silent_since_ns: int | None = None
    behaviour: LinkBehaviour | None = None
    dropped: int = 0
    delayed: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    limited: int = 0

    def end(self) -> None:
        """The connection is over: nothing of it arrives any more."""
        self.life += 1
        self.sent = self.come = 0
        self.unheard.clear()
        self.early.clear()
        self.silent_since_ns = None
        self.orphaned = False


@dataclass(slots=True)
class Trap:
    """Cuts off whichever of ``nodes`` leads and has a message more to come to another node than
    ``messages``. ``came`` counts them by link; ``caught`` is an asyncio future: it gets the node.
    """

    owner: str
    nodes: frozenset[str]
    messages: int
    caught: Any
    came: dict[Link, int] = field(default_factory=dict)


class SimNetwork:
    """All links. Implements :class:`harness.core.cluster.NetworkControl` and
    :class:`harness.core.cluster.CutsBetweenMessages`."""

    firewall = "simulated"
    shaper = "simulated"

    def __init__(self, loop: SimLoop, nodes: Sequence[str], seed: int) -> None:
        self._agenda = loop.agenda
        self._nodes = tuple(nodes)
        self._ends: dict[str, Endpoint] = {}
        self.wires = {
            (source, target): Wire(
                source, target, chance(loop.agenda, seed, f"sim/link/{source}/{target}")
            )
            for source in nodes
            for target in nodes
            if source != target
        }
        self._cuts: dict[str, tuple[Mapping[str, frozenset[str]], bool]] = {}
        self._traps: list[Trap] = []
        self.unheard: dict[str, bool] = {}
        """Nodes that no client reaches, and whether those are told so."""
        self.unheard_of: dict[str, int] = {}
        """Requests of clients that did not reach a node."""
        self._shapes: dict[str, Mapping[Link, LinkBehaviour]] = {}
        self.messages = 0
        self.swallowed = 0
        """Damaged messages that were taken for whole ones: must stay 0."""

    def attach(self, node: str, end: Endpoint) -> None:
        """Where a node's messages go."""
        self._ends[node] = end

    # -- connections ----------------------------------------------------------------------------

    def dial(self, source: str) -> None:
        """A server began: it connects to all others."""
        for target in self._nodes:
            if target != source:
                self._dial(self.wires[source, target])

    def hang_up(self, node: str, others_notice: bool = True) -> None:
        """A server ended: its connections are reset. Those to it break as soon as a reset can come
        back, else after a silence."""
        for wire in self.wires.values():
            if wire.source == node:
                wire.connected = wire.dialling = False
                wire.end()
            elif wire.target == node and wire.connected and others_notice:
                wire.orphaned = True
                if wire.cut or self.wires[node, wire.source].cut:
                    self._wait_in_silence(wire)
                else:
                    self._later(LATENCY_NS, self._break, wire, wire.life)

    def _later(self, delay_ns: int, call: Callable[..., None], *arguments: Any) -> None:
        self._agenda.at(self._agenda.now_ns + delay_ns, call, *arguments)

    def _dial(self, wire: Wire) -> None:
        if wire.connected or wire.dialling:
            return
        wire.dialling = True
        wire.life += 1
        self._later(2 * LATENCY_NS, self._dialled, wire, wire.life)

    def _dialled(self, wire: Wire, life: int) -> None:
        if life != wire.life:
            return
        wire.dialling = False
        back = self.wires[wire.target, wire.source]
        if wire.cut or back.cut:
            cutting = wire if wire.cut else back
            cutting.dropped += 1
            self._again(wire, PAUSE_NS if cutting.rejects else DIAL_NS + PAUSE_NS)
        elif not self._ends[wire.target].listening():
            self._again(wire, PAUSE_NS)
        else:
            wire.connected = True
            wire.last_ns = self._agenda.now_ns

    def _again(self, wire: Wire, delay_ns: int) -> None:
        wire.dialling = True
        self._later(delay_ns, self._redial, wire, wire.life)

    def _redial(self, wire: Wire, life: int) -> None:
        if life == wire.life:
            wire.dialling = False
            self._dial(wire)

    def _break(self, wire: Wire, life: int) -> None:
        """The sender learns that the connection is gone."""
        if life != wire.life or not wire.connected:
            return
        wire.connected = False
        wire.end()
        self._ends[wire.source].broken(wire.target)
        self._again(wire, PAUSE_NS // 10)

    def _wait_in_silence(self, wire: Wire) -> None:
        """Something is unacknowledged from now on: after a while the sender gives up."""
        if wire.silent_since_ns is None:
            wire.silent_since_ns = self._agenda.now_ns
            self._later(SILENCE_NS, self._give_up, wire, wire.life, wire.silent_since_ns)
            self._later(RETRY_NS, self._retry, wire, wire.life, RETRY_NS)

    def _give_up(self, wire: Wire, life: int, since_ns: int) -> None:
        if life == wire.life and wire.silent_since_ns == since_ns:
            self._break(wire, life)

    def _retry(self, wire: Wire, life: int, pause_ns: int) -> None:
        """A retransmission: all that waits goes, if the link is whole again."""
        if life != wire.life or wire.silent_since_ns is None:
            return
        if wire.cut and wire.rejects:
            self._refuse(wire)
            return
        if wire.cut:
            wire.dropped += 1
        elif self.wires[wire.target, wire.source].cut:
            self.wires[wire.target, wire.source].dropped += 1
        elif self._ends[wire.target].listening():
            wire.silent_since_ns = None
            unheard, wire.unheard = wire.unheard, []
            for number, message in unheard:
                due_ns = self._slowed(wire, self._due_ns(wire), 0)
                self._agenda.at(due_ns, self._arrive, wire, life, number, message)
            return
        self._later(2 * pause_ns, self._retry, wire, life, 2 * pause_ns)

    # -- messages -------------------------------------------------------------------------------

    def send(self, source: str, target: str, message: Any, encode: Callable[[Any], bytes]) -> None:
        """On the connection, if there is one."""
        wire = self.wires[source, target]
        if not wire.connected:
            return
        self.messages += 1
        if wire.cut:
            if wire.rejects:
                self._refuse(wire)
                return
            self._wait_in_silence(wire)
        else:
            back = self.wires[target, source]
            if back.cut:
                # It arrives, but nobody hears of that: the silence begins all the same.
                back.dropped += 1
                if back.rejects:
                    self._later(2 * LATENCY_NS, self._break, wire, wire.life)
                else:
                    self._wait_in_silence(wire)
        self._carry(wire, message, encode)

    def _refuse(self, wire: Wire) -> None:
        """A packet is answered with a reset."""
        wire.dropped += 1
        self._later(LATENCY_NS, self._break, wire, wire.life)

    def _due_ns(self, wire: Wire) -> int:
        return self._agenda.now_ns + LATENCY_NS + wire.chance.waited(SPREAD_NS)

    def _carry(self, wire: Wire, message: Any, encode: Callable[[Any], bytes]) -> None:
        due_ns = self._due_ns(wire)
        behaviour = wire.behaviour
        if behaviour is not None:
            due_ns = self._treated(wire, behaviour, message, encode, due_ns)
            if due_ns == 0:
                return
        # A stream keeps its order.
        due_ns = wire.last_ns = max(due_ns, wire.last_ns + 1)
        wire.sent += 1
        self._agenda.at(due_ns, self._arrive, wire, wire.life, wire.sent, message)

    def _treated(
        self,
        wire: Wire,
        behaviour: LinkBehaviour,
        message: Any,
        encode: Callable[[Any], bytes],
        due_ns: int,
    ) -> int:
        """When the message arrives in its place in the stream; 0 if it does not."""
        drawn = wire.chance
        due_ns = self._slowed(wire, due_ns, len(encode(message)) if behaviour.bytes_per_s else 0)
        if due_ns == 0:
            return 0
        if behaviour.drop and drawn.random() < behaviour.drop:
            wire.lost += 1
            return 0
        if behaviour.corrupt and drawn.random() < behaviour.corrupt:
            self._corrupt(wire, message, encode, due_ns)
            return 0
        if behaviour.duplicate and drawn.random() < behaviour.duplicate:
            wire.duplicated += 1
            late_ns = due_ns + drawn.waited(behaviour.late_ns)
            self._agenda.at(late_ns, self._arrive, wire, wire.life, OF_ITS_OWN, message)
        if behaviour.reorder and drawn.random() < behaviour.reorder:
            wire.reordered += 1
            late_ns = due_ns + drawn.waited(behaviour.late_ns)
            self._agenda.at(late_ns, self._arrive, wire, wire.life, OF_ITS_OWN, message)
            return 0
        return due_ns

    def _slowed(self, wire: Wire, due_ns: int, size: int) -> int:
        """What delays, a rate (of ``size`` bytes) and lost packets make of a moment; 0 if the
        sender's buffer is full: what finds it so is not even sent."""
        behaviour, drawn = wire.behaviour, wire.chance
        if behaviour is None:
            return due_ns
        if behaviour.delay_ns or behaviour.jitter_ns:
            wire.delayed += 1
            due_ns += max(0, behaviour.delay_ns + drawn.around(behaviour.jitter_ns))
        if behaviour.bytes_per_s and size:
            wire.limited += 1
            begin_ns = max(due_ns, wire.last_ns)
            if begin_ns - due_ns > BUFFER_NS:
                return 0
            due_ns = begin_ns + _sending_ns(size, behaviour)
        while behaviour.loss and drawn.random() < behaviour.loss:
            # The packet is sent again; everything behind it waits.
            wire.lost += 1
            due_ns += RETRY_NS
        return due_ns

    def _corrupt(
        self, wire: Wire, message: Any, encode: Callable[[Any], bytes], due_ns: int
    ) -> None:
        """A few bits of a message flip on its way: the connection ends if that is noticed."""
        data = bytearray(encode(message))
        drawn = wire.chance
        for _ in range(1 + drawn.below(4)):
            data[drawn.below(len(data))] ^= 1 << drawn.below(8)
        wire.corrupted += 1
        self._agenda.at(due_ns, self._damaged, wire, wire.life, bytes(data))

    def _damaged(self, wire: Wire, life: int, data: bytes) -> None:
        if life != wire.life:
            return
        if wire.cut:
            wire.dropped += 1  # what comes in its place is whole
            self._wait_in_silence(wire)
            return
        if self._ends[wire.target].damaged(wire.source, data):
            self.swallowed += 1
        else:
            self._later(LATENCY_NS, self._break, wire, life)

    def _arrive(self, wire: Wire, life: int, number: int, message: Any) -> None:
        if life != wire.life:
            return
        if self._traps and not wire.cut:
            self._step_into(wire)
        if wire.cut:
            if wire.rejects:
                self._refuse(wire)
                return
            wire.dropped += 1
            wire.unheard.append((number, message))
            self._wait_in_silence(wire)
        elif wire.orphaned:
            self._later(LATENCY_NS, self._break, wire, life)
        elif number == OF_ITS_OWN:
            self._ends[wire.target].arrive(wire.source, message)
        elif number == wire.come + 1:
            wire.come = number
            self._ends[wire.target].arrive(wire.source, message)
            while wire.early and life == wire.life and wire.come + 1 in wire.early:
                wire.come += 1
                self._ends[wire.target].arrive(wire.source, wire.early.pop(wire.come))
        else:
            # What comes behind something that was lost waits for it.
            wire.early[number] = message

    def _step_into(self, wire: Wire) -> None:
        """A message is about to come: to those who wait for a leader's it counts, or springs."""
        source, link = wire.source, (wire.source, wire.target)
        if not self._ends[source].leads():
            return
        for trap in [trap for trap in self._traps if source in trap.nodes]:
            came = trap.came.get(link, 0)
            if came < trap.messages:
                trap.came[link] = came + 1
                continue
            self._traps.remove(trap)
            others = frozenset(node for node in self._nodes if node != source)
            self._wish(trap.owner, {source: others} | dict.fromkeys(others, frozenset((source,))))
            trap.caught.set_result(source)

    # -- NetworkControl -------------------------------------------------------------------------

    async def cut_after(
        self, owner: str, nodes: Collection[str], messages: int, timeout_s: float
    ) -> str | None:
        """See :class:`harness.core.cluster.CutsBetweenMessages`.

        Raises:
            ValueError: a node that is not of this cluster.
        """
        self._know(nodes)
        caught = asyncio.get_running_loop().create_future()
        trap = Trap(owner, frozenset(nodes), messages, caught)
        self._traps.append(trap)
        try:
            await asyncio.wait((caught,), timeout=timeout_s)
        finally:
            if trap in self._traps:
                self._traps.remove(trap)
        return caught.result() if caught.done() else None

    async def cut(
        self, owner: str, drops: Mapping[str, frozenset[str]], *, reject: bool = False
    ) -> None:
        """See the protocol.

        Raises:
            ValueError: a node that is not of this cluster; nothing has changed then.
        """
        self._know(drops)
        for sources in drops.values():
            self._know(sources - {CLIENTS})
        self._wish(owner, drops, reject=reject)

    def _wish(
        self, owner: str, drops: Mapping[str, frozenset[str]], *, reject: bool = False
    ) -> None:
        self._cuts.pop(owner, None)
        if drops:
            self._cuts[owner] = drops, reject
        silent, told = (
            {
                (source, target)
                for wish, rejects in self._cuts.values()
                if rejects == kind
                for target, sources in wish.items()
                for source in sources
            }
            for kind in (False, True)
        )
        for link, wire in self.wires.items():
            wire.cut = link in silent or link in told
            wire.rejects = link not in silent
        self.unheard = {
            node: (CLIENTS, node) not in silent
            for source, node in silent | told
            if source == CLIENTS
        }

    def _know(self, nodes: Iterable[str]) -> None:
        strangers = sorted(set(nodes) - set(self._nodes))
        if strangers:
            raise ValueError(f"not of this cluster: {', '.join(strangers)}")

    async def dropped(self) -> Mapping[Link, int]:
        """See the protocol."""
        requests = {(CLIENTS, node): count for node, count in self.unheard_of.items()}
        return {link: wire.dropped for link, wire in self.wires.items()} | requests

    async def shape(self, owner: str, links: Mapping[Link, LinkBehaviour]) -> None:
        """See the protocol.

        Raises:
            ValueError: a node that is not of this cluster; nothing has changed then.
        """
        for link in links:
            self._know(link)
        self._shapes.pop(owner, None)
        if links:
            self._shapes[owner] = links
        for link, wire in self.wires.items():
            wire.behaviour = _sum(wish[link] for wish in self._shapes.values() if link in wish)

    async def shaped(self) -> Mapping[Link, LinkCounts]:
        """See the protocol."""
        return {
            link: LinkCounts(
                wire.delayed,
                wire.lost,
                wire.duplicated,
                wire.reordered,
                wire.corrupted,
                wire.limited,
            )
            for link, wire in self.wires.items()
        }

    async def probe(self, links: Sequence[Link], timeout_s: float = 0.3) -> Mapping[Link, bool]:
        """See the protocol."""
        passed: dict[Link, bool] = {}
        longest_ns = 0
        for link in links:
            trip_ns = self._packet(self.wires[link])
            passed[link] = trip_ns is not None and trip_ns <= timeout_s * 1e9
            longest_ns = max(longest_ns, trip_ns or 0)
        await asyncio.sleep(timeout_s if not all(passed.values()) else longest_ns / 1e9)
        return passed

    async def round_trip(self, link: Link, timeout_s: float = 2.0) -> int | None:
        """See the protocol."""
        there = self._packet(self.wires[link])
        back = None if there is None else self._packet(self.wires[link[::-1]])
        if there is None or back is None or there + back > timeout_s * 1e9:
            await asyncio.sleep(timeout_s)
            return None
        await asyncio.sleep((there + back) / 1e9)
        return there + back

    def _packet(self, wire: Wire) -> int | None:
        """One datagram: how long it takes, None if it never comes."""
        if wire.cut:
            wire.dropped += 1
            return None
        trip_ns = LATENCY_NS + wire.chance.waited(SPREAD_NS)
        behaviour = wire.behaviour
        if behaviour is None:
            return trip_ns
        drawn = wire.chance
        if drawn.random() < 1 - (1 - behaviour.loss) * (1 - behaviour.drop):
            wire.lost += 1
            return None
        if behaviour.corrupt and drawn.random() < behaviour.corrupt:
            wire.corrupted += 1
            return None
        if behaviour.delay_ns or behaviour.jitter_ns:
            wire.delayed += 1
            trip_ns += max(0, behaviour.delay_ns + drawn.around(behaviour.jitter_ns))
        if behaviour.bytes_per_s:
            wire.limited += 1
            behind_ns = max(0, wire.last_ns - self._agenda.now_ns)
            trip_ns += behind_ns + _sending_ns(PROBE_BYTES, behaviour)
        if behaviour.duplicate and drawn.random() < behaviour.duplicate:
            wire.duplicated += 1
        if behaviour.reorder and drawn.random() < behaviour.reorder:
            wire.reordered += 1
            trip_ns += drawn.waited(behaviour.late_ns)
        return trip_ns


def _sending_ns(size: int, behaviour: LinkBehaviour) -> int:
    return size * 1_000_000_000 // behaviour.bytes_per_s


def _sum(behaviours: Iterable[LinkBehaviour]) -> LinkBehaviour | None:
    """Several behaviours of one link: delays add up, chances combine, the least rate holds."""
    some = list(behaviours)
    if not some:
        return None

    def either(name: str) -> float:
        none = 1.0
        for one in some:
            none *= 1 - getattr(one, name)
        return 1 - none

    rates = [one.bytes_per_s for one in some if one.bytes_per_s]
    return LinkBehaviour(
        delay_ns=sum(one.delay_ns for one in some),
        jitter_ns=sum(one.jitter_ns for one in some),
        loss=either("loss"),
        drop=either("drop"),
        duplicate=either("duplicate"),
        reorder=either("reorder"),
        corrupt=either("corrupt"),
        late_ns=max(one.late_ns for one in some),
        bytes_per_s=min(rates, default=0),
    )
