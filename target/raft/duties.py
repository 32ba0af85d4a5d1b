"""What goes into the core and comes out of it: configuration, roles, the driver's duties."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from target.raft.messages import Entry, HardState, Message, Snapshot


class Role(Enum):
    """What a node is to the others. A pre-candidate tells the others nothing: it is a follower."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"

    @property
    def public(self) -> str:
        """The word of traces and status."""
        return "follower" if self is Role.PRE_CANDIDATE else self.value


@dataclass(frozen=True, slots=True)
class Config:
    """Who votes, and how long to wait. Times in milliseconds.

    ``election_ms`` is the range this node draws its time-outs from; ``lease_ms`` the shortest
    time-out of any node: so long after hearing from a leader nobody helps to unseat it.
    ``bugs`` are names from :mod:`target.bugs`.
    """

    name: str
    voters: tuple[str, ...]
    election_ms: tuple[int, int] = (100, 300)
    lease_ms: int = 100
    heartbeat_ms: int = 40
    trailing: int = 500
    """Entries kept in memory behind a snapshot, for followers that are a little late."""
    batch_entries: int = 1024
    """The most in one message."""
    bugs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Save:
    """To be made durable, in this order: snapshot, then with ``reset`` an empty log after it,
    then term and vote, then entries (each replaces its place and all after it)."""

    seq: int
    hard: HardState | None = None
    entries: tuple[Entry, ...] = ()
    snapshot: Snapshot | None = None
    reset: bool = False


@dataclass(frozen=True, slots=True)
class ReadIndex:
    """The answer to a read: the index to wait for, or None when this node cannot know now."""

    context: int
    index: int | None


@dataclass(slots=True)
class Duties:
    """What the driver has to do; see the contract above."""

    save: Save | None = None
    now: list[tuple[tuple[str, ...], Message]] = field(default_factory=list)
    after: list[tuple[tuple[str, ...], Message]] = field(default_factory=list)
    reads: list[ReadIndex] = field(default_factory=list)
    roles: list[tuple[Role, int]] = field(default_factory=list)
    restore: Snapshot | None = None
