"""Grow-only sets: unique elements are added; nothing that was acknowledged may be missing."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.core.operations import Call, Completion
from harness.core.protocols import WorkloadOptions
from workloads import INSIDE
from workloads.keys import Keys, final_reads, is_reader, streams

LIFE = (120, 180)
READER, WRITER = 2 / 3, 0.1
"""Shares of reads among a thread's calls."""


class GrowSet:
    """Writers add, and read once in ten calls; readers add once in three.

    Elements are unique within a key: 1, 2, 3, …

    The ``set`` check is exact for unique elements, so no model is searched besides.
    """

    name = "set"
    model: str | None = None
    checkers: tuple[str, ...] = ("set", *INSIDE)
    functions = frozenset({"read", "add"})

    def __init__(self, rng: random.Random, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._keys = Keys(rng, options.concurrency, LIFE)
        self._streams = streams(rng, options.concurrency)

    def next(self, thread: int) -> Call | None:
        """The next call of a thread; there always is one."""
        key = self._keys.use(thread)
        share = READER if is_reader(thread, len(self._nodes)) else WRITER
        if self._streams[thread].random() < share:
            return Call("read", key.name)
        return Call("add", key.name, key.fresh())

    def ended(self, call: Call, completion: Completion) -> None:
        """Nothing depends on how a call ended."""

    def final(self) -> Sequence[tuple[str | None, Call]]:
        """Every key once more, the last ones at every node."""
        return final_reads(self._keys, self._nodes)
