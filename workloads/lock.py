"""Locks with fencing tokens: one holder at a time, and every holder's token is greater."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.core.operations import MISMATCH, Call, Completion, Outcome
from harness.core.protocols import WorkloadOptions
from harness.core.values import Value
from workloads import INSIDE
from workloads.keys import Keys

LIFE = (40, 60)


class Lock:
    """A thread acquires its group's lock, and when it has it, its next call is the release.

    The value of an acquire is the thread, its answer the token, which the release names. A call
    without an answer may leave a lock held under a token that nobody knows: its group takes
    another. In the end what is still held is released, and the last locks are acquired once more.
    """

    name = "lock"
    model: str | None = "fenced-lock"
    checkers: tuple[str, ...] = ("lock", "linearizable", *INSIDE)
    functions = frozenset({"acquire", "release"})

    def __init__(self, rng: random.Random, options: WorkloadOptions) -> None:
        self._nodes = options.nodes
        self._keys = Keys(rng, options.concurrency, LIFE)
        self._held: dict[int, Call] = {}

    def next(self, thread: int) -> Call | None:
        """The next call of a thread; there always is one."""
        if thread in self._held:
            return self._held[thread]
        return Call("acquire", self._keys.use(thread).name, thread)

    def ended(self, call: Call, completion: Completion) -> None:
        """Who holds what, as far as clients know."""
        match call.f, call.value, completion.outcome:
            case _, _, Outcome.INFO:
                self._keys.retire(call.key)
                self._forget(call)
            case "acquire", int(thread), Outcome.OK:
                self._held[thread] = Call("release", call.key, completion.value)
            case "release", _, Outcome.OK:
                self._forget(call)
            case "release", _, _ if completion.error == MISMATCH:
                self._keys.retire(call.key)
                self._forget(call)

    def _forget(self, release: Call) -> None:
        for thread, mine in self._held.items():
            if mine == release:
                del self._held[thread]
                return

    def final(self) -> Sequence[tuple[str | None, Call]]:
        """Releases what is held; then each of the last locks is acquired at one node."""
        held: list[tuple[str | None, Call]] = [(None, call) for call in self._held.values()]
        fresh: list[Value] = list(self._keys.recent())
        return [*held, *((None, Call("acquire", key, -1)) for key in fresh)]
