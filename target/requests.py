"""Requests on their way through a node, and the answers that a node gives by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass

from target.events import Answer, Read

_decode = json.JSONDecoder().raw_decode
_encode = json.JSONEncoder().encode


@dataclass(slots=True)
class Pending:
    """A write on its way. ``peer`` forwarded it under its name ``ref``; None: a client's here.

    Without a ``command`` it is a change of members.
    """

    ref: int
    peer: str | None
    command: bytes
    due_ms: int
    rests_until_ms: int = 0
    term: int = 0
    leader: str | None = None


@dataclass(slots=True)
class Asked:
    """Reads that share one read index."""

    reads: list[tuple[int, Read]]
    asked_ms: int


SEEN = 4096
"""Forwards remembered, to know one that the network doubled."""

NO_LEADER = Answer(error="no_leader", definite=True)
NOT_LEADER = Answer(error="not_leader", definite=True)
UNKNOWN = Answer(error="leader_changed", definite=False)
TIMEOUT = Answer(error="timeout", definite=False)


def encode(answer: Answer) -> bytes:
    """An answer for a peer's client."""
    parts = [answer.value, answer.error, answer.definite, answer.index, answer.term]
    return _encode(parts).encode()


def decode(data: bytes) -> Answer:
    """The inverse of :func:`encode`."""
    return Answer(*_decode(data.decode())[0])
