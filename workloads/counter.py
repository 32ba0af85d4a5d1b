"""Counters: increments by drawn deltas; every read must lie between what must and what can be."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.core.operations import Call, Completion
from harness.core.protocols import WorkloadOptions
from workloads import INSIDE
from workloads.keys import Keys, final_reads, is_reader, streams

LIFE = (120, 180)
READER, WRITER = 0.8, 0.1
"""Shares of reads among a thread's calls."""


class Counter:
    """Writers increment by 1 … 5, and read once in ten calls; readers increment once in five.

    Nothing is ever subtracted, so a counter that goes back is wrong whatever else is under way; and
    as deltas differ, a sum says more about which of them are in it than a number of ones would.
    """

    name = "counter"
    model: str | None = None
    checkers: tuple[str, ...] = ("counter", *INSIDE)
    functions = frozenset({"read", "increment"})

    def __init__(self, rng: random.Random, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._keys = Keys(rng, options.concurrency, LIFE)
        self._streams = streams(rng, options.concurrency)

    def next(self, thread: int) -> Call | None:
        """The next call of a thread; there always is one."""
        rng, key = self._streams[thread], self._keys.use(thread)
        share = READER if is_reader(thread, len(self._nodes)) else WRITER
        draw, delta = rng.random(), rng.randint(1, 5)
        return Call("read", key.name) if draw < share else Call("increment", key.name, delta)

    def ended(self, call: Call, completion: Completion) -> None:
        """Nothing depends on how a call ended."""

    def final(self) -> Sequence[tuple[str | None, Call]]:
        """Every key once more, the last ones at every node."""
        return final_reads(self._keys, self._nodes)
