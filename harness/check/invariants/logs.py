"""Log matching, and what is committed (Ongaro 2014, figure 3.2).

By :class:`LogMatching` a log's last entry names all of it, so a committed (index, term) tells, link
by link, every entry before it: that is how :class:`Committed` knows what may never change.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.check.invariants.node import NodeView, Run
from harness.check.invariants.promise import Promise
from harness.check.telling import counted


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as it was first seen on a disk: its checksum, and the term of the one before it."""

    sum: str
    before: int | None
    node: str
    t: int


@dataclass(slots=True)
class LogMatching(Promise):
    """Entries of the same index and term are the same, and so is all before them.

    It is enough that every (index, term) has one content and one predecessor, wherever it is: by
    induction the logs are then the same down to the first entry or a snapshot.
    """

    links: dict[tuple[int, int], Link] = field(default_factory=dict)
    without_sums: bool = False

    def wrote(self, t: int, node: NodeView, start: int) -> None:
        """The entries of the node's log from ``start`` on are new, or were read from its disk."""
        log, links, name = node.log, self.links, node.name
        before = log.term(start - 1)
        first = log.base + 1
        self.looked_at += log.last - start + 1
        for place in range(start - first, len(log.terms)):
            term, content = log.terms[place], log.sums[place]
            link = links.get((first + place, term))
            if link is None:
                links[first + place, term] = Link(content, before, name, t)
            elif link.sum != content or link.before != before:
                self._differs(t, name, first + place, term, Link(content, before, name, t), link)
            before = term
        self.without_sums |= "" in log.sums[start - first :]

    def _differs(self, t: int, name: str, index: int, term: int, own: Link, known: Link) -> None:
        entry = f"entry {index} of term {term}"
        same = known.node == name
        if own.sum != known.sum and own.sum and known.sum:
            than = "before" if same else f"{known.node} had"
            sentence = f"{name} has another {entry} on disk than {than}."
        elif own.before is None or known.before is None:
            if known.before is None:
                self.links[index, term] = own
            return
        elif own.before != known.before:
            where = "before" if same else f"on {known.node}"
            sentence = (
                f"On {name} {entry} follows an entry of term {own.before}, {where} it followed "
                f"one of term {known.before}."
            )
        else:
            return
        steps = ((known.t, f"{known.node} wrote {entry}"), (t, f"{name} wrote another"))
        self.broken("logs do not match", sentence, t, name, steps=steps)

    def lineage(self, index: int, term: int, until: int) -> int | None:
        """The term at ``until`` in any log that has (index, term); None where nobody knows."""
        here: int | None = term
        while index > until and here is not None:
            link = self.links.get((index, here))
            here = None if link is None else link.before
            index -= 1
        return here

    def words(self) -> str:
        """As in the verdict's reason."""
        return f"{self.looked_at:,} {'entry' if self.looked_at == 1 else 'entries'} on disks"


@dataclass(frozen=True, slots=True)
class Commitment:
    """Of which term the committed entry is, and in which term, at the latest, it was committed."""

    term: int
    settled: int
    node: str
    t: int


@dataclass(frozen=True, slots=True)
class Elected:
    """A leader's log when it was elected."""

    term: int
    node: str
    t: int
    snapshot: int
    last: int
    last_term: int


@dataclass(slots=True)
class LeaderCompleteness(Promise):
    """Committed entries never change: they are in the logs of all leaders of later terms, nobody
    commits others in their place, nobody who knows of them drops them.

    That a node has others on disk which it does *not* take for committed is no breach: a leader
    that was cut off has such. Nor is a lower commit index after a restart: it is not durable.
    """

    matching: LogMatching = field(default_factory=LogMatching)
    entries: dict[int, Commitment] = field(default_factory=dict)
    top: int = 0
    leaders: list[Elected] = field(default_factory=list)

    def committed(self, t: int, node: NodeView, index: int, term: int) -> None:
        """The node takes all up to this entry for committed."""
        if index < 1 or term < 1:
            return
        self.looked_at += 1
        settled = max(node.term, term)
        known = self.entries.get(index)
        if known is not None and known.term == term:
            if settled < known.settled:
                self.entries[index] = Commitment(term, settled, known.node, known.t)
                self._look_back(t, index, settled)
            return
        at, here, first = index, term, None
        while at > 0:
            known = self.entries.get(at)
            if known is not None:
                if known.term != here:
                    self._changed(t, node, at, here, known)
                break
            self.entries[at] = Commitment(here, settled, node.name, t)
            first = at
            before = self.matching.lineage(at, here, at - 1)
            if before is None:
                break
            at, here = at - 1, before
        self.top = max(self.top, index)
        if first is not None:
            self._look_back(t, first, settled)

    def _changed(self, t: int, node: NodeView, index: int, term: int, known: Commitment) -> None:
        sentence = (
            f"{node.name} committed entry {index} of term {term} where {known.node} had "
            f"committed one of term {known.term}."
        )
        told = (known.t, f"{known.node} committed entry {index} of term {known.term}")
        steps = (told, (t, f"{node.name} committed entry {index} of term {term}"))
        self.broken("a committed entry changed", sentence, t, node.name, steps=steps)

    def elected(self, t: int, node: NodeView, term: int) -> None:
        """The node leads a term. Its log is on its disk: it asked for votes with it."""
        log = node.log
        last_term = log.term(log.last) or 0
        leader = Elected(term, node.name, t, log.snapshot, log.last, last_term)
        self.leaders.append(leader)
        self.looked_at += 1
        missing = None
        for index in range(self.top, log.snapshot, -1):
            known = self.entries.get(index)
            if known is None or known.settled >= term:
                continue
            if log.term(index) == known.term:
                break  # and by log matching all before it
            missing = index
        if missing is not None:
            self._lacks(t, leader, missing)

    def _look_back(self, t: int, index: int, settled: int) -> None:
        """An entry turns out to have been committed before leaders of later terms were elected."""
        known = self.entries[index]
        for leader in self.leaders:
            if leader.term <= settled or index <= leader.snapshot:
                continue
            there = self.matching.lineage(leader.last, leader.last_term, index)
            if index > leader.last or there not in (None, known.term):
                self._lacks(t, leader, index)

    def _lacks(self, t: int, leader: Elected, index: int) -> None:
        known = self.entries[index]
        entry = f"entry {index} of term {known.term}"
        sentence = (
            f"{leader.node} became leader of term {leader.term} without {entry}, which was "
            f"committed in term {known.settled}."
        )
        steps = (
            (known.t, f"{known.node} committed {entry}"),
            (leader.t, f"{leader.node} became leader of term {leader.term}"),
        )
        ordered = tuple(sorted(steps))
        self.broken("a leader lacks a committed entry", sentence, t, leader.node, steps=ordered)

    def replaces(self, t: int, node: NodeView, start: int, runs: list[Run]) -> None:
        """The node is about to put ``runs`` in the place of its log from ``start`` on."""
        log = node.log
        for index in range(max(start, log.base + 1), min(node.commit, log.last) + 1):
            known = self.entries.get(index)
            if known is None or log.term(index) != known.term:
                continue
            if not any(first <= index <= last and term == known.term for first, last, term in runs):
                entry = f"entry {index} of term {known.term}"
                sentence = f"{node.name} dropped {entry}, which it knew to be committed."
                steps = (
                    (known.t, f"{known.node} committed {entry}"),
                    (t, f"{node.name} dropped it"),
                )
                kind = "a committed entry was dropped"
                self.broken(kind, sentence, t, node.name, steps=steps)
                return

    def words(self) -> str:
        """As in the verdict's reason."""
        entries = f"{len(self.entries):,} committed entries"
        return f"{entries} and {counted(len(self.leaders), 'election')}"
