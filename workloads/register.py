"""Registers: read, write, compare-and-set, by several clients on the same key."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence

from harness.core.operations import Call, Completion, Outcome
from harness.core.protocols import WorkloadOptions
from harness.core.values import Value
from workloads import INSIDE
from workloads.keys import Keys, final_reads, is_reader, streams

LIFE = (40, 60)
READER, WRITER = 0.9, 1 / 3
"""Shares of reads among a thread's calls."""
SEEN = 4
"""So many of the last values that a key was seen to hold are candidates for a cas."""


class Register:
    """Readers and writers, one of each at every node as far as there are threads.

    A writer that meets a node without a quorum waits there; only a thread that mostly reads goes
    on asking it, and so finds out whether it answers what it should not. A reader's calls are
    reads but for one in ten, a writer's are a third each reads, writes and compare-and-sets.

    No value is written twice to a key, so every read says exactly which write it saw. A cas expects
    a value that the key was lately seen to hold, the last one mostly, so that it often succeeds.
    """

    name = "register"
    model: str | None = "cas-register"
    checkers: tuple[str, ...] = ("linearizable", *INSIDE)
    functions = frozenset({"read", "write", "cas"})

    def __init__(self, rng: random.Random, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._keys = Keys(rng, options.concurrency, LIFE)
        self._streams = streams(rng, options.concurrency)
        self._seen: dict[str, deque[Value]] = {}

    def next(self, thread: int) -> Call | None:
        """The next call of a thread; there always is one."""
        rng, key = self._streams[thread], self._keys.use(thread)
        # Both are drawn whatever they are used for: what one call needs must not shift the next.
        draw, pick = rng.random(), rng.random()
        reads = READER if is_reader(thread, len(self._nodes)) else WRITER
        if draw < reads:
            return Call("read", key.name)
        if draw < (reads + 1) / 2:
            return Call("write", key.name, key.fresh())
        return Call("cas", key.name, (self._expected(key.name, pick), key.fresh()))

    def _expected(self, name: str, pick: float) -> Value:
        """The last value seen in three of four cases, else an older one; nil of a fresh key."""
        seen = self._seen.get(name)
        if not seen:
            return None
        if pick < 0.75:
            return seen[-1]
        return seen[int((pick - 0.75) * 4 * len(seen))]

    def ended(self, call: Call, completion: Completion) -> None:
        """Remembers what the key was seen to hold."""
        if completion.outcome is not Outcome.OK or not isinstance(call.key, str):
            return
        match call:
            case Call(f="read"):
                value = completion.value
            case Call(f="cas", value=(_, new)):
                value = new
            case _:
                value = call.value
        self._seen.setdefault(call.key, deque(maxlen=SEEN)).append(value)

    def final(self) -> Sequence[tuple[str | None, Call]]:
        """Every key once more, the last ones at every node."""
        return final_reads(self._keys, self._nodes)
