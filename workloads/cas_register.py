"""Registers that change by compare-and-set alone: every value is made of the one before it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.core.operations import Call, Completion, Outcome
from harness.core.protocols import WorkloadOptions
from harness.core.values import Value
from workloads import INSIDE
from workloads.keys import Keys, final_reads, is_reader, streams

LIFE = (40, 60)
READER, WRITER = 0.8, 0.25
"""Shares of reads among a thread's calls."""


class CasRegister:
    """Writers compare and set, and read once in four calls; readers do so once in five.

    No value is set twice, and what a cas expects is the last value that the key was seen to hold.
    So the values form a chain, and an update that gets lost breaks it for all that follow.
    """

    name = "cas-register"
    model: str | None = "cas-register"
    checkers: tuple[str, ...] = ("linearizable", *INSIDE)
    functions = frozenset({"read", "cas"})

    def __init__(self, rng: random.Random, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._keys = Keys(rng, options.concurrency, LIFE)
        self._streams = streams(rng, options.concurrency)
        self._seen: dict[Value, Value] = {}

    def next(self, thread: int) -> Call | None:
        """The next call of a thread; there always is one."""
        key = self._keys.use(thread)
        share = READER if is_reader(thread, len(self._nodes)) else WRITER
        if self._streams[thread].random() < share:
            return Call("read", key.name)
        return Call("cas", key.name, (self._seen.get(key.name), key.fresh()))

    def ended(self, call: Call, completion: Completion) -> None:
        """Remembers what the key was seen to hold."""
        if completion.outcome is Outcome.OK:
            match call.value:
                case (_, new):
                    self._seen[call.key] = new
                case _:
                    self._seen[call.key] = completion.value

    def final(self) -> Sequence[tuple[str | None, Call]]:
        """Every key once more, the last ones at every node."""
        return final_reads(self._keys, self._nodes)
