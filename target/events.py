"""What goes into a node and what comes out of it: events and effects."""

from __future__ import annotations

from typing import TypeAlias

from target.raft.duties import Save
from target.raft.messages import Message
from target.raft.record import record

# -- what nodes say to each other beside Raft ---------------------------------------------------


@record
class Forward:
    """A client's command, sent on to the leader. ``ref`` is the sender's own name for it."""

    ref: int
    command: bytes


@record
class Forwarded:
    """What became of a forwarded command: an :class:`Answer` as JSON."""

    ref: int
    answer: bytes


PeerMessage: TypeAlias = Message | Forward | Forwarded


# -- events -------------------------------------------------------------------------------------


@record
class Received:
    """A message from another node."""

    sender: str
    message: PeerMessage


@record
class Write:
    """A client's command; the answer comes as :class:`Reply` to ``ref``."""

    ref: int
    command: bytes


@record
class Read:
    """A client wants the value of a key, or of several at one instant."""

    ref: int
    key: str | tuple[str, ...]


@record
class Transfer:
    """Somebody wants another leader."""

    ref: int
    to: str


@record
class Change:
    """Somebody wants other members: ``learner``, ``promote`` or ``remove`` (see
    :mod:`target.raft.membership`). ``identity`` is that of a node to be added; ``after`` the index
    of the configuration that is meant to be changed, -1 for whichever it is."""

    ref: int
    action: str
    node: str
    identity: int = 0
    after: int = -1


@record
class Compact:
    """Somebody wants the log to be compacted now."""

    ref: int


@record
class Persisted:
    """All saves up to ``seq`` are durable."""

    seq: int


@record
class Unreachable:
    """The connection to a peer broke: what was sent to it may be lost."""

    peer: str


Event: TypeAlias = Received | Write | Read | Transfer | Change | Compact | Persisted | Unreachable


SHOWN_EVERY = 8
"""Nodes apply in batches that differ; at these indices all show their state nevertheless."""


# -- effects ------------------------------------------------------------------------------------


@record
class Answer:
    """The end of a request. ``definite`` belongs to errors: it did not and will not take effect."""

    value: object = None
    error: str | None = None
    definite: bool = False
    index: int | None = None
    term: int | None = None


@record
class Send:
    """One message to one or more nodes. It may get lost."""

    to: tuple[str, ...]
    message: PeerMessage


@record
class Reply:
    """The answer to a client's request."""

    ref: int
    answer: Answer


@record
class Acknowledged:
    """The effect after this one tells a client that its write took effect."""

    index: int
    term: int
    session: str | None
    seq: int | None


@record
class RoleChanged:
    """Role or term is new."""

    role: str
    term: int


@record
class Configured:
    """The configuration of the entry at ``index`` is the last one in the log, and in force."""

    index: int
    voters: tuple[str, ...]


@record
class Committed:
    """The commit index advanced to this entry."""

    index: int
    term: int


@record
class Applied:
    """The state machine has applied all up to this entry.

    ``states`` are (index, fingerprint of the state after it), indices rising: of this entry, and
    of those on the way whose index all nodes show (a multiple of :data:`SHOWN_EVERY`).
    """

    index: int
    term: int
    states: tuple[tuple[int, int], ...] = ()


Effect: TypeAlias = (
    Save | Send | Reply | Acknowledged | RoleChanged | Configured | Committed | Applied
)
