"""The defects that a node can be started with, to prove that the harness finds them.

Each changes the fewest lines at the very place where the real bug was: search the sources for a
bug's name, quoted, to see how. All are off unless named with ``--bug``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """One defect. ``number`` is its place in the zoo, ``seen`` where it was met in the wild."""

    number: int
    name: str
    sentence: str
    seen: str


BUGS = (
    Bug(
        1,
        "early-ack",
        "The leader acknowledges a write when it is on its own disk, before a quorum has it.",
        "nacos#2833, RedisRaft#14",
    ),
    Bug(
        4,
        "vote-not-persisted",
        "Term and vote are never written to disk: a node that restarts can vote twice in a term.",
        "PySyncObj#84, raft-java#57",
    ),
    Bug(
        6,
        "local-read-leader",
        "The leader serves reads from its own state without asking whether it still leads.",
        "etcd 0.4.1, Consul's default, dqlite#258",
    ),
)


class UnknownBug(ValueError):
    """A name or number that no defect has; the message lists those there are."""


def resolve(names: Iterable[str]) -> frozenset[str]:
    """Names of the defects given by name or number.

    Raises:
        UnknownBug: there is no such defect.
    """
    known = {bug.name: bug.name for bug in BUGS} | {str(bug.number): bug.name for bug in BUGS}
    chosen = []
    for name in names:
        if name not in known:
            there = ", ".join(f"{bug.number} {bug.name}" for bug in BUGS)
            raise UnknownBug(f"no bug {name!r}; there are: {there}")
        chosen.append(known[name])
    return frozenset(chosen)
