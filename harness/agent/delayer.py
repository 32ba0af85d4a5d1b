"""The process that holds packets: for each directed link it treats them as told, and counts.

It inherits a line to the agent and, for each node, a queue's socket and a raw one. A request is a
line: for each node a map from a sender's address to the fields of a :class:`Behaviour` that are
not nothing, or null to only ask. The answer is a line: for each node a map from a sender's address
to the :class:`Counts` in their order.
"""

from __future__ import annotations

import heapq
import json
import math
import random
import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from typing import Any, Generic, TypeVar

from harness.agent import linux, noise
from harness.agent.machines import Behaviour, Counts
from harness.agent.nfqueue import QUEUE, Packet, packets, verdict

T = TypeVar("T")

_RECEIVE = 1 << 17
"""More than a packet of the greatest size and what is said about it."""
_AT_ONCE = 128
_NO_RULE = Behaviour()
BUFFER_NS = 500_000_000
"""How far a limited link may be behind: what comes then finds its queue full, and is dropped."""


@dataclass(frozen=True, slots=True)
class Fate:
    """Of one packet: nanoseconds to hold it (None: it is lost), and to hold a copy if there is one;
    whether a bit of it flips."""

    hold_ns: int | None = 0
    copy_ns: int | None = None
    corrupt: bool = False


PASSES = Fate()
LOST = Fate(None)


class Decisions:
    """What becomes of one node's packets; pure but for the dice that it is given."""

    def __init__(self, dice: Callable[[], float] = random.random) -> None:
        self._dice = dice
        self._rules: Mapping[str, Behaviour] = {}
        self._free_ns: dict[str, int] = {}
        """When a limited link has sent all that it was given."""
        self.counts: dict[str, Counts] = {}

    def rule(self, rules: Mapping[str, Behaviour]) -> None:
        """From now on; packets that wait keep the time they were given."""
        self._rules = rules

    def decide(self, source: str, size: int, now_ns: int) -> Fate:
        """What becomes of a packet of this sender, of ``size`` bytes."""
        rule = self._rules.get(source)
        if rule is None:
            return PASSES
        dice = self._dice
        if rule.loss and dice() < rule.loss:
            self._count(source, Counts(lost=1))
            return LOST
        hold = rule.delay_ns + int((2 * dice() - 1) * rule.jitter_ns if rule.jitter_ns else 0)
        behind = self._behind(source, rule, size, now_ns)
        corrupt = behind is not None and rule.corrupt > 0 and dice() < rule.corrupt
        copies = behind is not None and rule.duplicate > 0 and dice() < rule.duplicate
        late = behind is not None and rule.reorder > 0 and dice() < rule.reorder
        self._count(
            source,
            Counts(
                delayed=int(behind is not None and (rule.delay_ns > 0 or rule.jitter_ns > 0)),
                duplicated=int(copies),
                reordered=int(late),
                corrupted=int(corrupt),
                limited=int(rule.bytes_per_s > 0),
            ),
        )
        if behind is None:
            return LOST
        hold = max(0, hold) + behind
        copy = hold + self._late(rule) if copies else None
        return Fate(hold + (self._late(rule) if late else 0), copy, corrupt)

    def _behind(self, source: str, rule: Behaviour, size: int, now_ns: int) -> int | None:
        """How long a packet takes to get through a limited link; None if it finds it full."""
        if not rule.bytes_per_s:
            return 0
        begin = max(now_ns, self._free_ns.get(source, 0))
        if begin - now_ns > BUFFER_NS:
            return None
        self._free_ns[source] = begin + size * 1_000_000_000 // rule.bytes_per_s
        return self._free_ns[source] - now_ns

    def _late(self, rule: Behaviour) -> int:
        """Exponentially distributed with the mean of the rule."""
        return int(-math.log(1 - self._dice()) * rule.late_ns)

    def _count(self, source: str, more: Counts) -> None:
        self.counts[source] = self.counts.get(source, Counts()) + more


class Waiting(Generic[T]):
    """Things by the time at which they go on; those of one time in order of arrival."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, T]] = []
        self._arrivals = 0

    def add(self, due_ns: int, thing: T) -> None:
        """It goes on then."""
        self._arrivals += 1
        heapq.heappush(self._heap, (due_ns, self._arrivals, thing))

    def due(self, now_ns: int) -> list[T]:
        """Takes out what may go on by now."""
        found = []
        while self._heap and self._heap[0][0] <= now_ns:
            found.append(heapq.heappop(self._heap)[2])
        return found

    def pause_s(self, now_ns: int) -> float | None:
        """Time until the next one is due; None when nothing waits."""
        return max(0, self._heap[0][0] - now_ns) / 1e9 if self._heap else None


def answer(line: bytes, nodes: Sequence[Decisions]) -> bytes:
    """Obeys a request and tells the counts."""
    request: Any = json.loads(line)
    if request is not None:
        for decisions, rules in zip(nodes, request, strict=True):
            decisions.rule({source: Behaviour(**rule) for source, rule in rules.items()})
    told = [
        {source: astuple(counts) for source, counts in decisions.counts.items()}
        for decisions in nodes
    ]
    return json.dumps(told).encode() + b"\n"


class _Node:
    """One node's queue, and what comes out of it."""

    def __init__(self, queue: socket.socket, raw: socket.socket) -> None:
        queue.setblocking(False)
        raw.setblocking(False)
        self.queue = queue
        self.decisions = Decisions()
        self._raw = raw

    def receive(self, buffer: bytearray, waiting: Waiting[Callable[[], None]]) -> None:
        """Decides about what has come; what is not to wait goes on at once."""
        with suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                size = self.queue.recv_into(buffer)
                now = time.monotonic_ns()
                for packet in packets(bytes(memoryview(buffer)[:size])):
                    fate = self.decisions.decide(packet.source, len(packet.payload), now)
                    self._obey(packet, fate, now, waiting)

    def _obey(
        self, packet: Packet, fate: Fate, now_ns: int, waiting: Waiting[Callable[[], None]]
    ) -> None:
        if fate.hold_ns is None:
            self._say(verdict(QUEUE, packet, accept=False))
            return
        changed = noise.flipped(packet, random.random) if fate.corrupt else None
        message = verdict(QUEUE, packet, accept=True, payload=changed)
        if fate.hold_ns:
            waiting.add(now_ns + fate.hold_ns, lambda: self._say(message))
        else:
            self._say(message)
        if fate.copy_ns is not None:
            copy = changed or noise.whole(packet)
            waiting.add(now_ns + fate.copy_ns, lambda: self._inject(copy))

    def _say(self, message: bytes) -> None:
        # A packet that is no longer there (its rule's table went) needs no verdict.
        with suppress(OSError):
            self.queue.send(message)

    def _inject(self, copy: bytes) -> None:
        # From the node to itself: it comes in by the loopback, which the rule lets pass.
        with suppress(OSError):
            self._raw.sendto(copy, (socket.inet_ntoa(copy[16:20]), 0))


def main(arguments: Sequence[str]) -> None:
    """``arguments`` are the inherited descriptors: the line, then for each node its queue and its
    raw socket."""
    linux.die_with_parent()
    line, *rest = (socket.socket(fileno=int(argument)) for argument in arguments)
    nodes = [_Node(queue, raw) for queue, raw in zip(rest[::2], rest[1::2], strict=True)]
    queues = [node.queue for node in nodes]
    waiting: Waiting[Callable[[], None]] = Waiting()
    buffer = bytearray(_RECEIVE)
    asked = b""
    while True:
        # select and not epoll: its timeout is not rounded up to milliseconds.
        ready, _, _ = select.select([line, *queues], [], [], waiting.pause_s(time.monotonic_ns()))
        for act in waiting.due(time.monotonic_ns()):
            act()
        for node in nodes:
            if node.queue in ready:
                node.receive(buffer, waiting)
        if line in ready:
            part = line.recv(_RECEIVE)
            if not part:
                return
            asked += part
            while b"\n" in asked:
                request, _, asked = asked.partition(b"\n")
                line.sendall(answer(request, [node.decisions for node in nodes]))
