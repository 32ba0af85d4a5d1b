"""The node's trace: what happened inside, one JSON line an event (docs/trace-format.md).

Each line is written with one call, so that a crash can cut only the last one, and carries the
host's CLOCK_MONOTONIC, so that lines of several nodes of one machine can be put in order.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from target.node import Boot
from target.raft.membership import Configuration
from target.raft.messages import Entry, runs, sums


class Trace:
    """Appends to the trace file."""

    def __init__(
        self,
        path: Path,
        node: str,
        now_ns: Callable[[], int] = time.monotonic_ns,
        held: int = 0,
    ) -> None:
        """``held`` characters may wait before they are written: where crashes are told."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o644)
        self._node = json.dumps(node)
        self._now_ns = now_ns
        self._held = held
        self._lines: list[str] = []
        self._size = 0

    def _line(self, kind: str, fields: str) -> None:
        line = f'{{"t":{self._now_ns()},"node":{self._node},"e":"{kind}",{fields}}}\n'
        self._lines.append(line)
        self._size += len(line)
        if self._size > self._held:
            self._flush()

    def _flush(self) -> None:
        data = "".join(self._lines).encode()
        self._lines.clear()
        self._size = 0
        while data:
            data = data[os.write(self._fd, data) :]

    def boot(
        self, boot: Boot, fingerprint: int, bugs: Sequence[str], config: Configuration
    ) -> None:
        """What was on disk, before anything is answered; the snapshot's state by fingerprint."""
        fields = {
            "version": 2,
            "identity": boot.identity,
            "term": boot.hard.term,
            "vote": boot.hard.vote,
            "log": runs(boot.entries),
            "sums": sums(boot.entries),
            "snapshot": [boot.snapshot.index, boot.snapshot.term],
            "state": f"{fingerprint:016x}",
            "config": [config.index, list(config.voters)],
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
        shown = ",".join([f"[{first},{last},{term}]" for first, last, term in runs(entries)])
        log = f'"log":[{shown}],"sums":"{sums(entries)}"'
        self._line("durable", f'"from":{entries[0].index},{log}')

    def replaced(self, index: int) -> None:
        """A snapshot up to ``index`` replaced the whole log, durably."""
        self._line("durable", f'"from":{index + 1},"log":[],"sums":""')

    def snapshot(self, index: int, term: int) -> None:
        """A snapshot is durable."""
        self._line("snapshot", f'"index":{index},"term":{term}')

    def config(self, index: int, voters: Sequence[str]) -> None:
        """Another configuration is in force."""
        self._line("config", f'"index":{index},"voters":{json.dumps(list(voters))}')

    def commit(self, index: int, term: int) -> None:
        """The commit index advanced."""
        self._line("commit", f'"index":{index},"term":{term}')

    def apply(self, index: int, term: int, states: Sequence[tuple[int, int]]) -> None:
        """The state machine advanced; its states on the way, by fingerprint."""
        shown = ",".join(f'[{at},"{fingerprint:016x}"]' for at, fingerprint in states)
        self._line("apply", f'"index":{index},"term":{term},"states":[{shown}]')

    def ack(self, index: int, term: int, client: str | None, seq: int | None) -> None:
        """The answer to a write leaves now."""
        number = "null" if seq is None else seq
        who = f'"client":{json.dumps(client)},"seq":{number}'
        self._line("ack", f'"index":{index},"term":{term},{who}')

    def close(self) -> None:
        """No more lines."""
        self._flush()
        os.close(self._fd)
