"""What a leader knows of one follower."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum


class Mode(Enum):
    """How entries are sent to a follower."""

    PROBE = "probe"
    """Where the logs part is not known: one message, then wait for the answer."""
    REPLICATE = "replicate"
    """They agree: messages follow each other without waiting."""
    SNAPSHOT = "snapshot"
    """It needs entries that were compacted: pieces of the snapshot, one at a time."""


@dataclass(slots=True)
class Progress:
    """``match``: durable there for sure. ``next``: the first entry of the next message.

    ``identity`` is the member's, 0 until it is known. ``round`` is the latest broadcast it
    answered, ``active`` whether it answered since the last look, ``inflight`` the last index of
    each message of entries under way. ``waiting`` holds a probe back until an answer or the next
    heartbeat.
    """

    next: int
    identity: int = 0
    match: int = 0
    mode: Mode = Mode.PROBE
    waiting: bool = False
    active: bool = False
    round: int = 0
    inflight: deque[int] = field(default_factory=deque)
    offset: int = 0
    snapshot_index: int = 0
    resend_ms: int = 0

    def matched(self, index: int) -> None:
        """It holds all up to ``index``."""
        self.match = max(self.match, index)
        self.next = max(self.next, self.match + 1)
        while self.inflight and self.inflight[0] <= self.match:
            self.inflight.popleft()

    def replicate(self) -> None:
        """The logs agree up to ``match``."""
        self.mode = Mode.REPLICATE
        self.waiting = False
        self.next = self.match + 1
        self.inflight.clear()

    def probe(self, following: int) -> None:
        """Go and find out where the logs part, from ``following`` on."""
        self.mode = Mode.PROBE
        self.waiting = False
        self.next = max(following, self.match + 1)
        self.inflight.clear()
