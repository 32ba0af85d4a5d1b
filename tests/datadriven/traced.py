"""A world whose nodes write traces, as servers do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from target.events import (
    Acknowledged,
    Applied,
    Committed,
    Configured,
    Effect,
    Event,
    RoleChanged,
)
from target.node import Node
from target.raft.duties import Save
from target.trace import Trace
from tests.datadriven.world import Invariants, World


class Blind(Invariants):
    """Says nothing: the traces have to tell."""

    def look(self, name: str, node: Node) -> None:
        """Nothing."""


class TracedWorld(World):
    """See the module's text. ``folder/<node>.jsonl`` are the traces."""

    def __init__(self, timeouts: dict[str, tuple[int, int]], *, folder: Path, **rest: Any) -> None:
        self.paths = {name: folder / f"{name}.jsonl" for name in timeouts}
        self.traces = {name: Trace(path, name) for name, path in self.paths.items()}
        self._begun: dict[str, Node] = {}
        self._durable: list[Save] = []
        super().__init__(timeouts, **rest)
        self.invariants = Blind()

    def act(self, name: str, *events: Event) -> None:
        """Writes what became durable before, and what follows."""
        node, trace = self.nodes[name], self.traces[name]
        if self._begun.get(name) is not node:
            self._begun[name] = node
            members = node.raft.members.current
            trace.boot(self.disks[name].boot(), node.machine.fingerprint, (), members)
        for save in self._durable:
            self._saved(trace, save)
        self._durable = []
        before = len(self.events)
        super().act(name, *events)
        self._told(trace, (effect for _, effect in self.events[before:]))

    def sync(self, name: str, count: int | None = None) -> None:
        """As it is; what was synced is traced before the node hears of it."""
        pending = self.disks[name].pending
        self._durable = pending[: len(pending) if count is None else count]
        super().sync(name, count)

    def close(self) -> None:
        """No more lines."""
        for trace in self.traces.values():
            trace.close()

    def _saved(self, trace: Trace, save: Save) -> None:
        if save.snapshot is not None:
            trace.snapshot(save.snapshot.index, save.snapshot.term)
            if save.reset:
                trace.replaced(save.snapshot.index)
        if save.hard is not None:
            trace.vote(save.hard.term, save.hard.vote)
        if save.entries:
            trace.durable(save.entries)

    def _told(self, trace: Trace, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Acknowledged(index, term, session, seq):
                    trace.ack(index, term, session, seq)
                case Configured(index, voters):
                    trace.config(index, voters)
                case Committed(index, term):
                    trace.commit(index, term)
                case Applied(index, term, states):
                    trace.apply(index, term, states)
                case RoleChanged(role, term):
                    trace.role(role, term)
                case _:
                    pass
