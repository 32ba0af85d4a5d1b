"""The log in memory: what is after the last compaction, and how much of it is durable."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from target.raft.messages import Entry


class Log:
    """Entries ``base + 1 … last``. All up to ``base`` lives in a snapshot only.

    Entries from ``unsaved`` on were not handed out to be persisted yet; entries up to
    ``durable`` are known to be on disk.
    """

    def __init__(self, base: int, base_term: int, entries: Sequence[Entry]) -> None:
        self.base = base
        self.base_term = base_term
        self._entries = list(entries)
        self.unsaved = self.last + 1
        self.durable = self.last
        self._saving: deque[tuple[int, int]] = deque()
        if self._entries:
            assert self._entries[0].index == base + 1, "a gap between snapshot and log"
            assert self._entries[-1].index == base + len(entries), "a gap in the log"

    @property
    def last(self) -> int:
        """Index of the last entry; ``base`` when there is none."""
        return self.base + len(self._entries)

    @property
    def last_term(self) -> int:
        """Term of the last entry."""
        return self._entries[-1].term if self._entries else self.base_term

    def term(self, index: int) -> int | None:
        """The term at ``index``; None when it was compacted or does not exist."""
        if index == self.base:
            return self.base_term
        if self.base < index <= self.last:
            return self._entries[index - self.base - 1].term
        return None

    def entry(self, index: int) -> Entry:
        """The entry at ``index``, which must be there."""
        assert self.base < index <= self.last, index
        return self._entries[index - self.base - 1]

    def slice(self, first: int, last: int) -> tuple[Entry, ...]:
        """Entries ``first … last``, both included."""
        assert first > self.base, "compacted"
        return tuple(self._entries[first - self.base - 1 : last - self.base])

    def window(self, first: int, count: int, size: int) -> tuple[Entry, ...]:
        """From ``first`` on, at most ``count`` entries and ``size`` bytes, but at least one."""
        entries = self.slice(first, min(self.last, first + count - 1))
        total = 0
        for place, entry in enumerate(entries):
            total += len(entry.data)
            if total > size and place:
                return entries[:place]
        return entries

    def append(self, entry: Entry) -> None:
        """One more entry at the end."""
        assert entry.index == self.last + 1
        self._entries.append(entry)

    def truncate(self, first: int) -> None:
        """Drops ``first`` and all after it.

        Saves under way no longer vouch for the dropped places: what was being written there is
        about to be replaced.
        """
        del self._entries[first - self.base - 1 :]
        self.unsaved = min(self.unsaved, first)
        self.durable = min(self.durable, first - 1)
        self._saving = deque((seq, min(last, first - 1)) for seq, last in self._saving)

    def saving(self, seq: int) -> tuple[Entry, ...]:
        """The entries that a save ``seq`` has to write."""
        entries = self.slice(self.unsaved, self.last) if self.unsaved <= self.last else ()
        self.unsaved = self.last + 1
        self._saving.append((seq, self.last))
        return entries

    def saved(self, seq: int) -> None:
        """All saves up to ``seq`` are durable."""
        while self._saving and self._saving[0][0] <= seq:
            self.durable = max(self.durable, self._saving.popleft()[1])

    def compact(self, index: int) -> None:
        """Forgets all up to ``index``: a snapshot stands for it."""
        if index > self.base:
            term = self.term(index)
            assert term is not None, "compacting beyond the log"
            del self._entries[: index - self.base]
            self.base, self.base_term = index, term
            self.unsaved = max(self.unsaved, index + 1)

    def reset(self, index: int, term: int) -> None:
        """Nothing but a snapshot up to ``index`` from here on.

        Saves under way vouch for nothing: the snapshot itself is durable only with a later save.
        """
        self._entries.clear()
        self.base, self.base_term = index, term
        self.unsaved = index + 1
        self.durable = 0
        self._saving = deque((seq, 0) for seq, _ in self._saving)

    def agreement(self, index: int, term: int) -> int:
        """The greatest index ≤ ``index`` whose term is ≤ ``term``.

        Beyond it the two logs cannot agree, if the other has ``term`` at ``index``: terms
        never fall along a log.
        """
        index = min(index, self.last)
        while index > self.base:
            if self._entries[index - self.base - 1].term <= term:
                return index
            index -= 1
        return index
