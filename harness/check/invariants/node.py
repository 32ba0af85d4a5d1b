"""What is known of one node, from its own lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.core.traces import TraceDamage

Run = tuple[int, int, int]
"""Entries of one term: (first index, last index, term)."""

SUM = 8
"""Hexadecimal digits of an entry's checksum."""


@dataclass(slots=True)
class DurableLog:
    """What is on one node's disk: entries ``base + 1 … last``, and a snapshot.

    ``terms`` and ``sums`` go with ``base + 1`` and following; a checksum is empty where the trace's
    version has none. A snapshot stands for all entries up to its own.
    """

    base: int = 0
    terms: list[int] = field(default_factory=list)
    sums: list[str] = field(default_factory=list)
    snapshot: int = 0
    snapshot_term: int = 0

    @property
    def last(self) -> int:
        """Index of the last entry."""
        return self.base + len(self.terms)

    def start(self, snapshot: int, term: int, runs: list[Run], sums: str | None) -> None:
        """A server found this on its disk.

        Raises:
            TraceDamage: as :meth:`replace_from`.
        """
        self.base = min(snapshot, runs[0][0] - 1) if runs else snapshot
        self.terms.clear()
        self.sums.clear()
        self.replace_from(self.base + 1, runs, sums)
        self.compact(snapshot, term)

    def compact(self, snapshot: int, term: int) -> None:
        """A snapshot stands for everything up to its index, whatever else lies there: what was
        overwritten and compacted before it came to the disk is never written to the log."""
        self.snapshot, self.snapshot_term = snapshot, term
        if snapshot > self.base:
            del self.terms[: snapshot - self.base]
            del self.sums[: snapshot - self.base]
            self.base = snapshot

    def replace_from(self, index: int, runs: Iterable[Run], sums: str | None) -> None:
        """Everything at or after ``index`` becomes ``runs``.

        Raises:
            TraceDamage: they do not continue the log, or not every entry has its checksum.
        """
        if index <= self.base:
            self.base = index - 1
        del self.terms[index - self.base - 1 :]
        for first, last, term in runs:
            if first != self.base + len(self.terms) + 1 or last < first:
                raise TraceDamage(f"entries {first} to {last} follow entry {self.last}")
            self.terms.extend([term] * (last - first + 1))
        del self.sums[index - self.base - 1 :]
        missing = len(self.terms) - len(self.sums)
        if sums is None:
            self.sums.extend([""] * missing)
        elif len(sums) != missing * SUM:
            raise TraceDamage(f"{missing} entries with {len(sums)} digits of checksums")
        else:
            self.sums.extend(sums[at : at + SUM] for at in range(0, len(sums), SUM))

    def term(self, index: int) -> int | None:
        """The term at ``index``, 0 at the log's very beginning, None where nothing is known."""
        if self.base < index <= self.last:
            return self.terms[index - self.base - 1]
        if index == self.snapshot:
            return self.snapshot_term
        return 0 if index == 0 else None

    def has(self, index: int, term: int) -> bool:
        """Is the entry there, itself or in the snapshot?"""
        return index <= self.snapshot or (
            self.base < index <= self.last and self.terms[index - self.base - 1] == term
        )


@dataclass(slots=True)
class NodeView:
    """A node as its lines up to now show it; ``term``, ``commit``, ``applied`` of this life.

    ``kept_term`` and ``kept_vote`` must survive a restart: they were durable, or somebody was told.
    ``identity`` tells it from an earlier node of its name, whose disk is gone: ``lost`` is what was
    on such disks. ``configs`` are (index, voters): the configurations that the node has used in
    this life, those that its log still has.
    """

    name: str
    booted: bool = False
    log: DurableLog = field(default_factory=DurableLog)
    lost: list[DurableLog] = field(default_factory=list)
    identity: int = 0
    term: int = 0
    commit: int = 0
    applied: int = 0
    kept_term: int = 0
    kept_vote: str | None = None
    configs: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)

    def born(self, identity: int) -> None:
        """A server starts on a disk with this identity: another one than before has nothing to
        remember of what the earlier node promised."""
        if self.booted and identity != self.identity:
            self.lost.append(self.log)
            self.log = DurableLog()
            self.kept_term, self.kept_vote = 0, None
        self.identity = identity

    def had(self, index: int, term: int) -> bool:
        """Is the entry on its disk, or was it on one that is lost?"""
        return self.log.has(index, term) or any(log.has(index, term) for log in self.lost)

    def use(self, index: int, voters: tuple[str, ...]) -> None:
        """From now on the configuration of entry ``index``, the last one in its log."""
        while self.configs and self.configs[-1][0] >= index:
            self.configs.pop()
        self.configs.append((index, voters))
