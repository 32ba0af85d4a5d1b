"""Lists: unique elements are appended; all readers must see one and the same order."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.core.operations import Call, Completion
from harness.core.protocols import WorkloadOptions
from workloads import INSIDE
from workloads.keys import Keys, final_reads, is_reader, streams

LIFE = (50, 80)
READER, WRITER = 0.8, 0.25
"""Shares of reads among a thread's calls."""


class Append:
    """Writers append, and read once in four calls; readers append once in five.

    Elements are unique within a key: 1, 2, 3, …
    """

    name = "append"
    model: str | None = "kv-append"
    checkers: tuple[str, ...] = ("append", "linearizable", *INSIDE)
    functions = frozenset({"read", "append"})

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
        return Call("append", key.name, key.fresh())

    def ended(self, call: Call, completion: Completion) -> None:
        """Nothing depends on how a call ended."""

    def final(self) -> Sequence[tuple[str | None, Call]]:
        """Every key once more, the last ones at every node."""
        return final_reads(self._keys, self._nodes)
