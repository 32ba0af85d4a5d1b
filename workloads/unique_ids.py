"""Unique ids: whoever asks for one gets one that nobody else ever gets."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.core.operations import Call, Completion
from harness.core.protocols import WorkloadOptions
from workloads import INSIDE
from workloads.keys import Keys, final_reads

LIFE = (120, 180)


class UniqueIds:
    """Every call is for the next id of the group's generator; ids of one key are all different.

    They promise no order, so no model is searched: the ``unique-ids`` check is exact.
    """

    name = "unique-ids"
    model: str | None = None
    checkers: tuple[str, ...] = ("unique-ids", *INSIDE)
    functions = frozenset({"generate"})

    def __init__(self, rng: random.Random, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._keys = Keys(rng, options.concurrency, LIFE)

    def next(self, thread: int) -> Call | None:
        """The next call of a thread; there always is one."""
        return Call("generate", self._keys.use(thread).name)

    def ended(self, call: Call, completion: Completion) -> None:
        """Nothing depends on how a call ended."""

    def final(self) -> Sequence[tuple[str | None, Call]]:
        """One more id of every generator, of the last ones one at every node."""
        return final_reads(self._keys, self._nodes, lambda name: Call("generate", name))
