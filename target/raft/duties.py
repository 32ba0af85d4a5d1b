"""What goes into the core and comes out of it: configuration, roles, the driver's duties.

The driver's contract
---------------------

1. **Persist before send.** What :class:`Duties` lists in ``after`` attests to what is on disk: it
   may leave only when this and all earlier saves are durable. ``now`` may leave at once, before
   the save even (a leader writes to its disk while its followers write to theirs, section 10.2.1).
2. Saves become durable in the order of their ``seq``; a prefix of them survives a crash.
   :meth:`Raft.saved` is called when one is durable, also when it was empty.
3. The driver calls :meth:`Raft.duties` after every batch of events, and carries all of it out.
4. Messages may be lost, doubled, delayed and reordered, but not altered. The sender is who it is.
5. Entries up to ``commit`` are applied in order, each once; nothing beyond is shown to anybody.
6. Reads of a context are served from the state machine once it has applied the index given for it.
7. Contexts of reads are never used twice, not even by a later incarnation of the node: an old
   answer would let a new read see the past.
8. ``now_ms`` never goes back. It may stand still or jump: safety does not depend on it.
9. A snapshot in a save replaces all older ones, and, with ``reset``, the whole log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from target.raft.membership import Configuration
from target.raft.messages import Entry, HardState, Message, Snapshot
from target.raft.record import record


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
    """Who founded the cluster, and how long to wait. Times in milliseconds.

    ``election_ms`` is the range this node draws its time-outs from; ``lease_ms`` the shortest
    time-out of any node: so long after hearing from a leader nobody helps to unseat it.
    ``bugs`` are names from :mod:`target.bugs`.
    """

    name: str
    founders: tuple[str, ...]
    election_ms: tuple[int, int] = (100, 300)
    lease_ms: int = 100
    heartbeat_ms: int = 40
    trailing: int = 500
    """Entries kept in memory behind a snapshot, for followers that are a little late."""
    batch_entries: int = 1024
    """The most in one message."""
    bugs: frozenset[str] = frozenset()


@record
class Save:
    """To be made durable, in this order: snapshot, then with ``reset`` an empty log after it,
    then term and vote, then entries (each replaces its place and all after it)."""

    seq: int
    hard: HardState | None = None
    entries: tuple[Entry, ...] = ()
    snapshot: Snapshot | None = None
    reset: bool = False


@record
class ReadIndex:
    """The answer to a read: the index to wait for, or None when this node cannot know now."""

    context: int
    index: int | None


@dataclass(slots=True)
class Duties:
    """What the driver has to do; see the contract above. ``config``: another one is in force."""

    save: Save | None = None
    now: list[tuple[tuple[str, ...], Message]] = field(default_factory=list)
    after: list[tuple[tuple[str, ...], Message]] = field(default_factory=list)
    reads: list[ReadIndex] = field(default_factory=list)
    roles: list[tuple[Role, int]] = field(default_factory=list)
    restore: Snapshot | None = None
    config: Configuration | None = None
