"""What goes into a node and what comes out of it: events and effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from target.raft.duties import Save
from target.raft.messages import Message

# -- what nodes say to each other beside Raft ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Forward:
    """A client's command, sent on to the leader. ``ref`` is the sender's own name for it."""

    ref: int
    command: bytes


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What became of a forwarded command: an :class:`Answer` as JSON."""

    ref: int
    answer: bytes


PeerMessage: TypeAlias = Message | Forward | Forwarded


# -- events -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Received:
    """A message from another node."""

    sender: str
    message: PeerMessage


@dataclass(frozen=True, slots=True)
class Write:
    """A client's command; the answer comes as :class:`Reply` to ``ref``."""

    ref: int
    command: bytes


@dataclass(frozen=True, slots=True)
class Read:
    """A client wants the value of a key."""

    ref: int
    key: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """Somebody wants another leader."""

    ref: int
    to: str


@dataclass(frozen=True, slots=True)
class Persisted:
    """All saves up to ``seq`` are durable."""

    seq: int


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The connection to a peer broke: what was sent to it may be lost."""

    peer: str


Event: TypeAlias = Received | Write | Read | Transfer | Persisted | Unreachable


SHOWN_EVERY = 8
"""Nodes apply in batches that differ; at these indices all show their state nevertheless."""


# -- effects ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a request. ``definite`` belongs to errors: it did not and will not take effect."""

    value: object = None
    error: str | None = None
    definite: bool = False
    index: int | None = None
    term: int | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """One message to one or more nodes. It may get lost."""

    to: tuple[str, ...]
    message: PeerMessage


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a client's request."""

    ref: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The effect after this one tells a client that its write took effect."""

    index: int
    term: int
    session: str | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class RoleChanged:
    """Role or term is new."""

    role: str
    term: int


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit index advanced to this entry."""

    index: int
    term: int


@dataclass(frozen=True, slots=True)
class Applied:
    """The state machine has applied all up to this entry.

    ``states`` are (index, fingerprint of the state after it), indices rising: of this entry, and
    of those on the way whose index all nodes show (a multiple of :data:`SHOWN_EVERY`).
    """

    index: int
    term: int
    states: tuple[tuple[int, int], ...] = ()


Effect: TypeAlias = Save | Send | Reply | Acknowledged | RoleChanged | Committed | Applied
