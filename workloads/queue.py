"""Queues: nothing that was put in gets lost, nothing comes out twice or out of turn."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from harness.core.operations import Call, Completion, Outcome
from harness.core.protocols import WorkloadOptions
from harness.core.values import Value
from workloads import INSIDE
from workloads.keys import Keys, is_reader, streams

LIFE = (40, 60)
READER, WRITER = 0.7, 0.3
"""Shares of dequeues among a thread's calls."""


class Queue:
    """Writers enqueue, and dequeue three times in ten; readers the other way round.

    Elements are unique within a key: 1, 2, 3, … In the end the queues are drained: until one is
    seen empty, nobody knows what it has lost.
    """

    name = "queue"
    model: str | None = "fifo-queue"
    checkers: tuple[str, ...] = ("queue", "linearizable", *INSIDE)
    functions = frozenset({"enqueue", "dequeue"})

    def __init__(self, rng: random.Random, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._keys = Keys(rng, options.concurrency, LIFE)
        self._streams = streams(rng, options.concurrency)
        self._inside: Counter[Value] = Counter()

    def next(self, thread: int) -> Call | None:
        """The next call of a thread; there always is one."""
        key = self._keys.use(thread)
        share = READER if is_reader(thread, len(self._nodes)) else WRITER
        if self._streams[thread].random() < share:
            return Call("dequeue", key.name)
        return Call("enqueue", key.name, key.fresh())

    def ended(self, call: Call, completion: Completion) -> None:
        """Counts what may be in the queues."""
        if call.f == "enqueue":
            self._inside[call.key] += completion.outcome is not Outcome.FAIL
        elif completion.outcome is Outcome.OK and completion.value is not None:
            self._inside[call.key] -= 1

    def final(self) -> Sequence[tuple[str | None, Call]]:
        """As many dequeues of each key as it may have elements, and one more, nodes in turn."""
        return tuple(self._drains())

    def _drains(self) -> Iterator[tuple[str, Call]]:
        place = 0
        for name in (*self._keys.sample(), *self._keys.recent()):
            for _ in range(self._inside[name] + 1):
                yield self._nodes[place % len(self._nodes)], Call("dequeue", name)
                place += 1
