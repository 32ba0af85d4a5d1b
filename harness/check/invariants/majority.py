"""Acknowledged means durable on a majority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.check.invariants.node import NodeView
from harness.check.invariants.promise import Promise, listed
from harness.check.telling import counted


@dataclass(slots=True)
class MajorityCommit(Promise):
    """An entry is on the disks of a majority when its write is acknowledged (Ongaro 2014, section
    3.5), of a configuration that was in force: see :func:`quorums`.

    A disk that was lost since counts all the same: no promise survives that of more than a
    minority, and when the entry was counted it was there. ``unseen`` are nodes without a trace:
    they may have had it, as may voters that are no nodes.
    """

    nodes: Mapping[str, NodeView] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()

    def acknowledged(self, t: int, node: NodeView, index: int, term: int) -> None:
        """The answer to the write of this entry leaves the node."""
        self.looked_at += 1
        having = [name for name, one in self.nodes.items() if one.had(index, term)]
        tried = quorums(node, index) or [tuple(self.nodes)]
        if any(2 * self._able(voters, having) > len(voters) for voters in tried):
            return
        voters = tried[-1]
        there = [name for name in having if name in voters]
        only = f"only {listed(there)}" if there else "none"
        sentence = (
            f"{node.name} acknowledged entry {index} of term {term} when {only} of "
            f"{counted(len(voters), 'node')} had it on disk."
        )
        kind = "acknowledged before a majority had it"
        self.broken(kind, sentence, t, node.name, index=index)

    def _able(self, voters: Sequence[str], having: Sequence[str]) -> int:
        return sum(
            voter in having or voter in self.unseen or voter not in self.nodes for voter in voters
        )

    def words(self) -> str:
        """As in the verdict's reason."""
        return counted(self.looked_at, "acknowledgement")


def quorums(node: NodeView, index: int) -> Sequence[tuple[str, ...]]:
    """The voters that may have committed ``index``: those of the last configuration before it or
    any later one that the node uses. (A configuration counts from when it is in the log, section
    4.1, so an entry may be committed by one that came after it.) Empty when nothing is known.
    """
    configs = node.configs
    first = max((place for place, (at, _) in enumerate(configs) if at <= index), default=0)
    return [voters for _, voters in configs[first:]]
