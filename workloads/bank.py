"""Banks: money moves between accounts and is never made or lost, whenever one looks."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.core.operations import Call, Completion, Outcome
from harness.core.protocols import WorkloadOptions
from harness.core.values import Value
from workloads import INSIDE
from workloads.keys import Keys, final_reads, is_reader, streams

LIFE = (40, 60)
READER, WRITER = 0.7, 0.2
"""Shares of snapshots among a thread's calls."""
ACCOUNTS = ("a", "b", "c", "d")
BALANCE = 10
"""Of each account in the beginning: little enough that some transfers find too little."""


class Bank:
    """Writers transfer 1 … 5 between two accounts, and look at all once in five calls.

    Each key is a bank. Its first call opens it, with the same on every account; until that is
    acknowledged the others of the group only look. A bank that may or may not be open is given up.
    """

    name = "bank"
    model: str | None = "bank"
    checkers: tuple[str, ...] = ("bank", "linearizable", *INSIDE)
    functions = frozenset({"open", "transfer", "snapshot"})

    def __init__(self, rng: random.Random, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._keys = Keys(rng, options.concurrency, LIFE)
        self._streams = streams(rng, options.concurrency)
        self._open: dict[Value, bool] = {}

    def next(self, thread: int) -> Call | None:
        """The next call of a thread; there always is one."""
        rng, key = self._streams[thread], self._keys.use(thread).name
        share = READER if is_reader(thread, len(self._nodes)) else WRITER
        # All are drawn whatever they are used for: what one call needs must not shift the next.
        looks, amount = rng.random() < share, rng.randint(1, 5)
        source, to = rng.sample(ACCOUNTS, 2)
        if key not in self._open:
            self._open[key] = False
            return Call("open", key, (*ACCOUNTS, BALANCE))
        if looks or not self._open[key]:
            return _look(key)
        return Call("transfer", key, (source, to, amount))

    def ended(self, call: Call, completion: Completion) -> None:
        """Whether a bank is open."""
        if call.f == "open":
            self._open[call.key] = completion.outcome is Outcome.OK
            if not self._open[call.key]:
                self._keys.retire(call.key)

    def final(self) -> Sequence[tuple[str | None, Call]]:
        """Every bank once more, the last ones at every node."""
        return final_reads(self._keys, self._nodes, _look)


def _look(key: str) -> Call:
    return Call("snapshot", key, ACCOUNTS)
