"""A node's disk: term, vote, log and snapshot, so that what was synced is there after a crash.

Layout of the data directory::

    identity            the number that tells this node from an earlier one of its name
    log-<number>        segments, numbered without gaps
    snap-<index>-<term> the newest snapshot (an older one only between its rename and deletion)
    lock                held by the server that uses the directory

A segment is a header and records. A record is ``length | CRC-32 of the length | CRC-32 of the
payload | payload``, where both checksums begin with the record's place, so that one that a disk
writes to the place of another does not pass for it; the payload begins with its kind: term and
vote, an entry (which replaces its place and all after it), or a reset (nothing but a snapshot from
here on). It ends with a byte that is not zero. Every segment starts with term and vote, so that
older ones can go when a snapshot covers their entries.

What a crash can leave is the beginning of what was being written: a *torn tail*, in the last
segment only, behind everything that was ever synced. It is cut off on boot, and nobody misses it:
no answer depended on it. Everything else that does not add up is damage to something that was
acknowledged; the server refuses to start rather than forget silently. A length has a checksum of
its own, so that a damaged length is not taken for a tail; a record of full length with a wrong
checksum is torn only if a whole sector in it was never written (zeros), as etcd's log does. Of the
last sector a record may have a single byte: this one is never zero when it was written, and no bit
that flips makes it zero.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from target.files import Files
from target.node import Boot
from target.raft.duties import Save
from target.raft.messages import Entry, HardState, Snapshot

MAGIC = b"QHRAFT03"
IDENTITY = "identity"
SEGMENT_BYTES = 8 << 20
SECTOR = 512

_HEADER = struct.Struct(">8sQI")
_RECORD = struct.Struct(">III")
_ENTRY = struct.Struct(">BQQB")
_RESET = struct.Struct(">BQ")
_NUMBER = struct.Struct(">Q")
_LENGTH = struct.Struct(">I")
_STATE = struct.Struct(">BQB")
_SNAPSHOT = struct.Struct(">8sQQQQI")
_IDENTITY = struct.Struct(">8sQI")
STATE, ENTRY, RESET = 1, 2, 3
_END = b"\xa5"


class StorageError(Exception):
    """The data directory cannot be used; the message says which file, where, and what to do."""


@dataclass(slots=True)
class _Segment:
    """``last``: the greatest index of any entry in it."""

    number: int
    name: str
    last: int = 0
    size: int = 0


@dataclass(slots=True)
class _Image:
    """The state that records add up to. ``base`` None: nothing is known of what was before."""

    hard: HardState
    base: int | None
    entries: list[Entry]

    @property
    def last(self) -> int:
        """Index of the last entry."""
        return (self.base or 0) + len(self.entries)

    def add(self, payload: bytes) -> int:
        """Adds a record; the index of its entry, or 0.

        Raises:
            ValueError, struct.error: it does not follow from what was before.
        """
        match payload[0]:
            case 1:  # STATE
                _, term, voted = _STATE.unpack_from(payload)
                name = payload[_STATE.size :].decode()
                self.hard = HardState(term, name if voted else None)
            case 2:  # ENTRY
                _, index, term, kind = _ENTRY.unpack_from(payload)
                if self.base is None or index <= self.base:
                    self.base = index - 1
                last = self.base + len(self.entries)
                if index > last + 1:
                    raise ValueError(f"entry {index} follows entry {last}")
                del self.entries[index - self.base - 1 :]
                self.entries.append(Entry(index, term, kind, payload[_ENTRY.size :]))
                return int(index)
            case 3:  # RESET
                _, self.base = _RESET.unpack_from(payload)
                self.entries.clear()
            case kind:
                raise ValueError(f"a record of kind {kind}")
        return 0


class Storage:
    """The data directory of a running server. All methods are synchronous."""

    def __init__(
        self,
        files: Files,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        bugs: frozenset[str] = frozenset(),
        fresh: int = 1,
    ) -> None:
        """Repairs and reads the directory; :attr:`boot` is what it had. It is closed with this.

        ``fresh`` is the identity that an empty directory gets, above 0 and never used before.

        Raises:
            StorageError: it is damaged.
        """
        self.syncs = 0
        self.repaired = 0
        """Bytes of a torn tail that were cut off on opening."""
        self._files = files
        self._segment_bytes = segment_bytes
        self._bugs = bugs
        self._fresh = fresh
        self._segments: list[_Segment] = []
        self._snapshot = Snapshot()
        self._hard = HardState()
        try:
            self.boot = self._open()
        except BaseException:
            self.close()
            raise

    # -- opening --------------------------------------------------------------------------------

    def _open(self) -> Boot:
        identity = self._read_identity()
        self._snapshot = self._read_snapshot()
        image = self._read_segments()
        self._hard = image.hard
        entries = self._behind_snapshot(image)
        if not self._segments:
            self._roll()
        if not entries and image.last != self._snapshot.index:
            # A crash came after a snapshot was there, and before the log knew: before the entries
            # it covers, or before the word that it replaces them.
            self._write([_RESET.pack(RESET, self._snapshot.index)])
        return Boot(image.hard, self._snapshot, entries, identity)

    def _read_identity(self) -> int:
        """The node's, drawn where there is nothing at all: whoever was here before is gone."""
        names = self._files.names()
        if not names:
            fresh = 1 if "old-identity" in self._bugs else self._fresh
            fields = _IDENTITY.pack(MAGIC, fresh, 0)[:-4]
            self._create(IDENTITY, fields + zlib.crc32(fields).to_bytes(4, "big"))
            return fresh
        if IDENTITY not in names:
            raise self._damage(IDENTITY, 0, "the file is missing")
        data = self._files.read(IDENTITY)
        if len(data) == _IDENTITY.size:
            magic, identity, crc = _IDENTITY.unpack(data)
            if magic == MAGIC and crc == zlib.crc32(data[:-4]):
                return int(identity)
        raise self._damage(IDENTITY, 0, "the identity does not match its checksum")

    def _read_snapshot(self) -> Snapshot:
        names = self._named("snap-")
        if not names:
            return Snapshot()
        name = names[-1]
        data = self._files.read(name)
        body = data[_SNAPSHOT.size :]
        if len(data) >= _SNAPSHOT.size:
            magic, index, term, size, members, crc = _SNAPSHOT.unpack_from(data)
            seen = zlib.crc32(body, zlib.crc32(data[: _SNAPSHOT.size - 4]))
            if magic == MAGIC and size + members == len(body) and crc == seen:
                for older in names[:-1]:
                    self._files.remove(older)
                return Snapshot(index, term, body[:size], body[size:])
        raise self._damage(name, 0, "the snapshot does not match its checksum")

    def _named(self, prefix: str) -> list[str]:
        return [name for name in self._files.names() if name.startswith(prefix)]

    def _read_segments(self) -> _Image:
        image = _Image(HardState(), None, [])
        names = self._named("log-")
        for name in names:
            number = int(name.removeprefix("log-"), 16)
            if self._segments and number != self._segments[-1].number + 1:
                raise self._damage(name, 0, "the segment before it is missing")
            segment = _Segment(number, name)
            self._segments.append(segment)
            self._read_segment(segment, image, final=name == names[-1])
        return image

    def _read_segment(self, segment: _Segment, image: _Image, *, final: bool) -> None:
        data = self._files.read(segment.name)
        at = _HEADER.size
        if data[:at] != _header(segment.number):
            raise self._damage(segment.name, 0, "the segment's header is wrong")
        while at < len(data):
            start = at + _RECORD.size
            if start > len(data):
                break
            length, length_crc, crc = _RECORD.unpack_from(data, at)
            place = _place(segment.number, at)
            if zlib.crc32(data[at : at + 4], place) != length_crc:
                if any(data[at:]) and _grown(data, at) >= start:
                    raise self._damage(segment.name, at, "a record's length is wrong")
                break
            if start + length > len(data):
                break
            payload = data[start : start + length]
            if zlib.crc32(payload, place) != crc and "damage-accepted" not in self._bugs:
                if start + length == len(data) and _torn(data, at):
                    break
                if _grown(data, at) < start + length:
                    break
                raise self._damage(segment.name, at, "a record does not match its checksum")
            try:
                segment.last = max(segment.last, image.add(payload[: -len(_END)]))
            except (ValueError, IndexError, struct.error) as error:
                raise self._damage(segment.name, at, str(error)) from None
            at = start + length
        if at < len(data):
            if not final:
                raise self._damage(segment.name, at, "the segment ends within a record")
            self.repaired = len(data) - at
            self._files.truncate(segment.name, at)
        segment.size = at

    def _behind_snapshot(self, image: _Image) -> list[Entry]:
        """The entries that continue the snapshot."""
        snapshot = self._snapshot
        if image.base is None or image.last <= snapshot.index:
            return []
        if image.base > snapshot.index:
            raise self._damage(
                self._segments[0].name,
                0,
                f"the log begins at {image.base + 1}, the snapshot ends at {snapshot.index}",
            )
        if image.base < snapshot.index:
            own = image.entries[snapshot.index - image.base - 1]
            if own.term != snapshot.term:
                return []  # another history than the snapshot's: it was about to be discarded
        return image.entries[snapshot.index - image.base :]

    # -- saving ---------------------------------------------------------------------------------

    def save(self, saves: Sequence[Save]) -> None:
        """Makes saves durable, in their order, with one sync for all of them.

        Raises:
            OSError: the disk refused. What is on it now is unknown: the process has to end.
        """
        bodies: list[bytes] = []
        last = 0
        for save in saves:
            if save.snapshot is not None:
                self._save_snapshot(save.snapshot)
            if save.reset:
                bodies.append(_RESET.pack(RESET, self._snapshot.index))
            if save.hard is not None:
                self._hard = save.hard
                bodies.append(_state(save.hard))
            for entry in save.entries:
                head = _ENTRY.pack(ENTRY, entry.index, entry.term, entry.kind)
                bodies.append(head + entry.data)
                last = max(last, entry.index)
        if bodies:
            segment = self._segments[-1]
            segment.last = max(segment.last, last)
            self._write(bodies)
            if segment.size > self._segment_bytes:
                self._roll()
        if any(save.snapshot is not None for save in saves):
            self._remove_covered()

    def _write(self, bodies: list[bytes]) -> None:
        segment = self._segments[-1]
        records: list[bytes] = []
        for body in bodies:
            records.append(_record(body, segment.number, segment.size))
            segment.size += len(records[-1])
        self._files.append(segment.name, b"".join(records))
        if "log-not-fsynced" not in self._bugs:
            self._files.sync(segment.name)
        self.syncs += 1

    def _roll(self) -> None:
        """A new segment. It appears complete or not at all, after all before it was synced."""
        number = self._segments[-1].number + 1 if self._segments else 0
        name = f"log-{number:016x}"
        data = _header(number) + _record(_state(self._hard), number, _HEADER.size)
        self._create(name, data)
        self._segments.append(_Segment(number, name, size=len(data)))

    def _save_snapshot(self, snapshot: Snapshot) -> None:
        sizes = len(snapshot.data), len(snapshot.config)
        fields = _SNAPSHOT.pack(MAGIC, snapshot.index, snapshot.term, *sizes, 0)[:-4]
        body = snapshot.data + snapshot.config
        crc = zlib.crc32(body, zlib.crc32(fields))
        name = f"snap-{snapshot.index:016x}-{snapshot.term:016x}"
        self._create(name, fields + crc.to_bytes(4, "big") + body)
        self._snapshot = snapshot
        for older in self._named("snap-"):
            if older != name:
                self._files.remove(older)

    def _remove_covered(self) -> None:
        """Segments whose entries are all in the snapshot go, oldest first."""
        while len(self._segments) > 1 and self._segments[0].last <= self._snapshot.index:
            self._files.remove(self._segments.pop(0).name)

    def _create(self, name: str, data: bytes) -> None:
        self._files.create(name, data)
        self.syncs += 1

    def _damage(self, name: str, at: int, what: str) -> StorageError:
        where = f"{self._files.path(name)}: damaged at byte {at}: {what}"
        return StorageError(
            f"{where}. Something that was acknowledged may be lost; restore the file, or replace "
            "this node by one with an empty directory and another name"
        )

    def close(self) -> None:
        """Lets go of the directory."""
        self._files.close()


def _header(number: int) -> bytes:
    return _HEADER.pack(MAGIC, number, zlib.crc32(_NUMBER.pack(number)))


def _place(number: int, at: int) -> int:
    """What the checksums of a record begin with: another number for each place in a segment, and
    for the same place of the next one."""
    return (number << 24) + at & 0xFFFFFFFF


def _record(body: bytes, number: int, at: int) -> bytes:
    payload, place = body + _END, _place(number, at)
    length = len(payload)
    crcs = zlib.crc32(_LENGTH.pack(length), place), zlib.crc32(payload, place)
    return _RECORD.pack(length, *crcs) + payload


def _state(hard: HardState) -> bytes:
    voted = hard.vote is not None
    return _STATE.pack(STATE, hard.term, voted) + (hard.vote or "").encode()


def _grown(data: bytes, at: int) -> int:
    """From which sector on the rest of the file, from ``at``, was never written: all zeros to the
    end. The length of the file if there is no such sector. (Nothing that was synced is there: a
    sync would have written these sectors.)"""
    filled = len(data.rstrip(b"\0"))
    return at if filled <= at else min(-(-filled // SECTOR) * SECTOR, len(data))


def _torn(data: bytes, at: int) -> bool:
    """Was a part of the file from ``at`` on never written? (A file grows before its data come.)"""
    while at < len(data):
        end = (at // SECTOR + 1) * SECTOR
        if not any(data[at:end]):
            return True
        at = end
    return False
