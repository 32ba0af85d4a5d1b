"""The node's trace: what happened inside, one JSON line an event (docs/trace-format.md).

Each line is written with one call, so that a crash can cut only the last one, and carries the
host's CLOCK_MONOTONIC, so that lines of several nodes of one machine can be put in order.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from target.node import Boot
from target.raft.messages import Entry, runs


class Trace:
    """Appends to the trace file."""

    def __init__(self, path: Path, node: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o644)
        self._node = json.dumps(node)

    def _line(self, kind: str, fields: str) -> None:
        now = time.monotonic_ns()
        line = f'{{"t":{now},"node":{self._node},"e":"{kind}",{fields}}}\n'
        os.write(self._fd, line.encode())

    def boot(self, boot: Boot, bugs: Sequence[str]) -> None:
        """What was on disk, before anything is answered."""
        fields = {
            "version": 1,
            "term": boot.hard.term,
            "vote": boot.hard.vote,
            "log": runs(boot.entries),
            "snapshot": [boot.snapshot.index, boot.snapshot.term],
            "bugs": list(bugs),
        }
        self._line("boot", json.dumps(fields)[1:-1])

    def role(self, role: str, term: int) -> None:
        """Role or term changed."""
        self._line("role", f'"role":"{role}","term":{term}')

    def vote(self, term: int, vote: str | None) -> None:
        """Term and vote are durable."""
        self._line("vote", f'"term":{term},"vote":{json.dumps(vote)}')

    def durable(self, entries: Sequence[Entry]) -> None:
        """These entries replaced everything from the first of them on, durably."""
        self._line("durable", f'"from":{entries[0].index},"log":{json.dumps(runs(entries))}')

    def replaced(self, index: int) -> None:
        """A snapshot up to ``index`` replaced the whole log, durably."""
        self._line("durable", f'"from":{index + 1},"log":[]')

    def snapshot(self, index: int, term: int) -> None:
        """A snapshot is durable."""
        self._line("snapshot", f'"index":{index},"term":{term}')

    def commit(self, index: int, term: int) -> None:
        """The commit index advanced."""
        self._line("commit", f'"index":{index},"term":{term}')

    def apply(self, index: int, term: int) -> None:
        """The state machine advanced."""
        self._line("apply", f'"index":{index},"term":{term}')

    def ack(self, index: int, term: int, client: str | None, seq: int | None) -> None:
        """The answer to a write leaves now."""
        who = f'"client":{json.dumps(client)},"seq":{json.dumps(seq)}'
        self._line("ack", f'"index":{index},"term":{term},{who}')

    def close(self) -> None:
        """No more lines."""
        os.close(self._fd)
