"""Keys that retire: a group of threads shares one for a number of calls, then takes the next."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.core.operations import Call
from harness.core.values import Value

GROUP = 5
"""Threads that share a key: enough to disagree, few enough to be judged quickly."""

RECENT = 3
"""Of each group so many of the last keys are read at every node in the end."""

LOOKS = 240
"""At most so many older keys are read once more in the end, evenly over the run."""


@dataclass(slots=True)
class Key:
    """A live key: its name, how many calls it has left, and how many values it has handed out."""

    name: str
    left: int
    given: int = 0

    def fresh(self) -> int:
        """A value never given for this key: 1, 2, 3, …"""
        self.given += 1
        return self.given


@dataclass(slots=True)
class Keys:
    """The keys of a run. ``life`` is the range in which a key's number of calls is drawn."""

    rng: random.Random
    threads: int
    life: tuple[int, int]
    retired: list[list[str]] = field(init=False)
    _live: list[Key] = field(init=False)
    _made: int = field(init=False, default=0)
    _streams: list[random.Random] = field(init=False)

    def __post_init__(self) -> None:
        # One stream for each group: whose turn it is must not change how long a key lives.
        groups = max(1, round(self.threads / GROUP))
        self._streams = [random.Random(self.rng.getrandbits(64)) for _ in range(groups)]
        self.retired = [[] for _ in range(groups)]
        self._live = [self._make(group) for group in range(groups)]

    def group(self, thread: int) -> int:
        """Neighbouring threads, which talk to different nodes, share a group."""
        return thread * len(self._live) // self.threads

    def use(self, thread: int) -> Key:
        """The key for the thread's next call, which is counted."""
        group = self.group(thread)
        key = self._live[group]
        if key.left == 0:
            self.retired[group].append(key.name)
            key = self._live[group] = self._make(group)
        key.left -= 1
        return key

    def retire(self, name: Value) -> None:
        """A live key of this name is used no more."""
        for key in self._live:
            if key.name == name:
                key.left = 0

    def _make(self, group: int) -> Key:
        self._made += 1
        return Key(f"k{self._made}", self._streams[group].randint(*self.life))

    def recent(self) -> tuple[str, ...]:
        """The live key of each group and the last ones before it, oldest first."""
        return tuple(
            name
            for gone, key in zip(self.retired, self._live, strict=True)
            for name in (*gone[-(RECENT - 1) :], key.name)
        )

    def older(self) -> tuple[str, ...]:
        """All other keys, group by group."""
        return tuple(name for gone in self.retired for name in gone[: -(RECENT - 1)])

    def sample(self) -> tuple[str, ...]:
        """At most :data:`LOOKS` of the older keys, evenly over the run."""
        older = self.older()
        return older[:: -(-len(older) // LOOKS)] if older else ()


def read(name: str) -> Call:
    """The usual look at a key."""
    return Call("read", name)


def final_reads(
    keys: Keys, nodes: Sequence[str], look: Callable[[str], Call] = read
) -> tuple[tuple[str | None, Call], ...]:
    """Older keys once each, nodes in turn; then the recent ones at every node."""
    return (
        *((nodes[place % len(nodes)], look(name)) for place, name in enumerate(keys.sample())),
        *((node, look(name)) for name in keys.recent() for node in nodes),
    )


def is_reader(thread: int, nodes: int) -> bool:
    """Whether a thread is one of those that mostly read: every second one.

    It alternates over the threads of one node and over the nodes of one round of threads, so that
    with two threads a node there are a reader and a writer at each, and both kinds at every key.
    """
    around, node = divmod(thread, nodes)
    return (around + node) % 2 == 0


def streams(rng: random.Random, threads: int) -> tuple[random.Random, ...]:
    """A stream for each thread."""
    return tuple(random.Random(rng.getrandbits(64)) for _ in range(threads))
