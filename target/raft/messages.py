"""The words of the protocol: entries, durable state, messages between nodes.

A message does not name its sender or its receivers: the sender is known by the connection, and
one message can go to several nodes (it is then encoded once). Times nowhere, indices from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from zlib import crc32

NOOP = 0
"""Kind of the entry with which a leader opens its term."""
COMMAND = 1
"""Kind of an entry for the state machine. 2 is kept for changes of membership."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in the log. (index, term) names its content: no two entries share both."""

    index: int
    term: int
    kind: int
    data: bytes


@dataclass(frozen=True, slots=True)
class HardState:
    """What a node must remember to vote at most once a term (dissertation, figure 3.1)."""

    term: int = 0
    vote: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state machine after all entries up to ``index``, whose term is ``term``."""

    index: int = 0
    term: int = 0
    data: bytes = b""

    def piece(self, leader_term: int, offset: int, size: int, round_: int) -> InstallSnapshot:
        """The message with ``size`` bytes from ``offset`` on."""
        end = offset + size
        done = end >= len(self.data)
        data = self.data[offset:end]
        return InstallSnapshot(leader_term, self.index, self.term, offset, done, round_, data)


@dataclass(frozen=True, slots=True)
class RequestVote:
    """Asks for a vote in ``term``; with ``pre`` only whether it would be given (section 9.6).

    ``transfer`` says that the leader asked for this election: nobody shields the leader then.
    """

    term: int
    last_index: int
    last_term: int
    pre: bool
    transfer: bool


@dataclass(frozen=True, slots=True)
class VoteReply:
    """A granted pre-vote carries the term that was asked about, everything else the own term."""

    term: int
    granted: bool
    pre: bool


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class InstallSnapshot:
    """A piece of a snapshot, ``data`` starting at ``offset``; ``done`` with the last one."""

    term: int
    index: int
    snapshot_term: int
    offset: int
    done: bool
    round: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SnapshotReply:
    """So many bytes of the snapshot at ``index`` are here; the next piece may come."""

    term: int
    index: int
    offset: int
    round: int


@dataclass(frozen=True, slots=True)
class TimeoutNow:
    """The leader asks for an election at once, to hand over (section 3.10)."""

    term: int


@dataclass(frozen=True, slots=True)
class ReadAsk:
    """A follower asks the leader for a read index (6.4). ``context`` is its own name for it."""

    context: int


@dataclass(frozen=True, slots=True)
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
