"""The process that holds packets: for each directed link it delays, loses and counts.

It inherits a line to the agent and a queue's socket in each node. A request is a line: for each
node a map from a sender's address to [delay_ns, jitter_ns, loss], or null to only ask. The answer
is a line: for each node a map from a sender's address to [delayed, lost].
"""

from __future__ import annotations

import heapq
import json
import random
import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from harness.agent import linux
from harness.agent.machines import Behaviour
from harness.agent.nfqueue import QUEUE, Packet, packets, verdict

_RECEIVE = 1 << 16
_AT_ONCE = 128
_NO_RULE = Behaviour(0, 0, 0.0)


class Decisions:
    """What becomes of one node's packets; pure but for the dice that it is given."""

    def __init__(self, dice: Callable[[], float] = random.random) -> None:
        self._dice = dice
        self._rules: Mapping[str, Behaviour] = {}
        self.counts: dict[str, tuple[int, int]] = {}

    def rule(self, rules: Mapping[str, Behaviour]) -> None:
        """From now on; packets that wait keep the time they were given."""
        self._rules = rules

    def decide(self, source: str) -> int | None:
        """Nanoseconds to hold a packet of this sender; None to lose it."""
        rule = self._rules.get(source, _NO_RULE)
        delayed, lost = self.counts.get(source, (0, 0))
        if rule.loss and self._dice() < rule.loss:
            self.counts[source] = delayed, lost + 1
            return None
        spread = int((2 * self._dice() - 1) * rule.jitter_ns) if rule.jitter_ns else 0
        hold = max(0, rule.delay_ns + spread)
        if rule.delay_ns or rule.jitter_ns:
            self.counts[source] = delayed + 1, lost
        return hold


class Waiting:
    """Packets by the time at which they go on; those of one time in order of arrival."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Packet]] = []
        self._arrivals = 0

    def add(self, due_ns: int, node: int, packet: Packet) -> None:
        """``node`` is whose queue the packet waits in."""
        self._arrivals += 1
        heapq.heappush(self._heap, (due_ns, self._arrivals, node, packet))

    def due(self, now_ns: int) -> list[tuple[int, Packet]]:
        """Takes out what may go on by now: (node, packet)."""
        found = []
        while self._heap and self._heap[0][0] <= now_ns:
            _, _, node, packet = heapq.heappop(self._heap)
            found.append((node, packet))
        return found

    def pause_s(self, now_ns: int) -> float | None:
        """Time until the next one is due; None when nothing waits."""
        return max(0, self._heap[0][0] - now_ns) / 1e9 if self._heap else None


def answer(line: bytes, nodes: Sequence[Decisions]) -> bytes:
    """Obeys a request and tells the counts."""
    request: Any = json.loads(line)
    if request is not None:
        for decisions, rules in zip(nodes, request, strict=True):
            decisions.rule({source: Behaviour(*rule) for source, rule in rules.items()})
    return json.dumps([decisions.counts for decisions in nodes]).encode() + b"\n"


def main(arguments: Sequence[str]) -> None:
    """``arguments`` are the inherited descriptors: the line, then each node's queue."""
    linux.die_with_parent()
    line, *queues = (socket.socket(fileno=int(argument)) for argument in arguments)
    for queue in queues:
        queue.setblocking(False)
    nodes = [Decisions() for _ in queues]
    waiting = Waiting()
    asked = b""
    while True:
        # select and not epoll: its timeout is not rounded up to milliseconds.
        ready, _, _ = select.select([line, *queues], [], [], waiting.pause_s(time.monotonic_ns()))
        for node, packet in waiting.due(time.monotonic_ns()):
            _send(queues[node], packet, accept=True)
        for number, queue in enumerate(queues):
            if queue in ready:
                _receive(number, queue, nodes[number], waiting)
        if line in ready:
            part = line.recv(_RECEIVE)
            if not part:
                return
            asked += part
            while b"\n" in asked:
                request, _, asked = asked.partition(b"\n")
                line.sendall(answer(request, nodes))


def _receive(number: int, queue: socket.socket, node: Decisions, waiting: Waiting) -> None:
    with suppress(BlockingIOError):
        for _ in range(_AT_ONCE):
            datagram = queue.recv(_RECEIVE)
            now = time.monotonic_ns()
            for packet in packets(datagram):
                hold = node.decide(packet.source)
                if hold:
                    waiting.add(now + hold, number, packet)
                else:
                    _send(queue, packet, accept=hold is not None)


def _send(queue: socket.socket, packet: Packet, *, accept: bool) -> None:
    # A packet that is no longer there (its rule's table went) needs no verdict.
    with suppress(OSError):
        queue.send(verdict(QUEUE, packet, accept))
