"""The words of the protocol: entries, durable state, messages between nodes.

A message does not name its sender or its receivers: the sender is known by the connection, and
one message can go to several nodes (it is then encoded once). Times nowhere, indices from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias
from zlib import crc32

from target.raft.record import record

NOOP = 0
"""Kind of the entry with which a leader opens its term."""
COMMAND = 1
"""Kind of an entry for the state machine."""
CONFIG = 2
"""Kind of an entry that says who is a member from there on (:mod:`target.raft.membership`)."""


@record
class Entry:
    """One place in the log. (index, term) names its content: no two entries share both."""

    index: int
    term: int
    kind: int
    data: bytes


@record
class HardState:
    """What a node must remember to vote at most once a term (dissertation, figure 3.1)."""

    term: int = 0
    vote: str | None = None


@record
class Snapshot:
    """The state machine after all entries up to ``index``, whose term is ``term``, and the
    configuration there (empty: the founders')."""

    index: int = 0
    term: int = 0
    data: bytes = b""
    config: bytes = b""

    def piece(self, leader_term: int, offset: int, size: int, round_: int) -> InstallSnapshot:
        """The message with ``size`` bytes from ``offset`` on."""
        end = offset + size
        done = end >= len(self.data)
        data = self.data[offset:end]
        return InstallSnapshot(
            leader_term, self.index, self.term, offset, done, round_, data, self.config
        )


@record
class RequestVote:
    """Asks for a vote in ``term``; with ``pre`` only whether it would be given (section 9.6).

    ``transfer`` says that the leader asked for this election: nobody shields the leader then.
    """

    term: int
    last_index: int
    last_term: int
    pre: bool
    transfer: bool


@record
class VoteReply:
    """A granted pre-vote carries the term that was asked about, everything else the own term.

    ``identity`` is the sender's, here and in the other replies that are counted.
    """

    term: int
    granted: bool
    pre: bool
    identity: int = 0


@record
class Append:
    """Entries after ``prev_index``; without entries a heartbeat. Announces the commit index.

    ``round`` numbers the leader's broadcasts and comes back in the reply: a reply to round r
    proves that its sender followed this leader at some time after round r began.
    """

    term: int
    prev_index: int
    prev_term: int
    commit: int
    round: int
    entries: tuple[Entry, ...]


@record
class AppendReply:
    """``ok``: the log is the leader's up to ``match``, durably.

    Otherwise the entry at ``prev`` did not match, and the logs may agree only up to ``match``,
    where the follower has an entry of ``hint_term``: a whole term is skipped at a time.
    """

    term: int
    ok: bool
    prev: int
    match: int
    hint_term: int
    round: int
    identity: int = 0


@record
class InstallSnapshot:
    """A piece of a snapshot, ``data`` starting at ``offset``; ``done`` with the last one.

    ``config`` is the snapshot's, in every piece.
    """

    term: int
    index: int
    snapshot_term: int
    offset: int
    done: bool
    round: int
    data: bytes
    config: bytes = b""


@record
class SnapshotReply:
    """So many bytes of the snapshot at ``index`` are here; the next piece may come."""

    term: int
    index: int
    offset: int
    round: int
    identity: int = 0


@record
class TimeoutNow:
    """The leader asks for an election at once, to hand over (section 3.10)."""

    term: int


@record
class ReadAsk:
    """A follower asks the leader for a read index (6.4). ``context`` is its own name for it."""

    context: int


@record
class ReadReply:
    """Whoever has applied ``index`` may serve the reads of ``context``."""

    context: int
    index: int


Termed: TypeAlias = (
    RequestVote | VoteReply | Append | AppendReply | InstallSnapshot | SnapshotReply | TimeoutNow
)
Message: TypeAlias = Termed | ReadAsk | ReadReply


def sums(entries: Sequence[Entry]) -> str:
    """What the entries carry, as checksums: 8 hexadecimal digits each, for traces."""
    return "".join([f"{crc32(entry.data, entry.kind):08x}" for entry in entries])


def runs(entries: Sequence[Entry]) -> list[list[int]]:
    """Entries as ``[[first, last, term], …]``, the short form of traces and transcripts."""
    result: list[list[int]] = []
    for entry in entries:
        if result and result[-1][2] == entry.term and result[-1][1] == entry.index - 1:
            result[-1][1] = entry.index
        else:
            result.append([entry.index, entry.index, entry.term])
    return result
