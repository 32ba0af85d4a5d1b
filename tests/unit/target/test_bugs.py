"""The list of defects, and the switches that no cluster in memory can show: those of the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from target.bugs import BUGS, UnknownBug, resolve
from target.files import Directory
from target.raft.duties import Save
from target.raft.messages import COMMAND, Entry
from target.storage import Storage, StorageError

SOURCES = Path(__file__).parents[3] / "target"


def test_by_name_and_by_number() -> None:
    assert resolve(["1", "local-read-leader", "early-ack"]) == {"early-ack", "local-read-leader"}
    assert resolve([]) == frozenset()
    with pytest.raises(UnknownBug, match="no bug '0'; there are: 1 early-ack, 2 quorum"):
        resolve(["0"])


def test_every_bug_has_its_place_in_the_sources() -> None:
    assert len({bug.number for bug in BUGS}) == len({bug.name for bug in BUGS}) == len(BUGS)
    for bug in BUGS:
        places = [
            path.name
            for path in SOURCES.rglob("*.py")
            if path.name != "bugs.py" and f'"{bug.name}"' in path.read_text()
        ]
        # A dirty read takes two: whom the leader asks, and what it shows.
        assert len(places) == (2 if bug.name == "dirty-read" else 1), bug.name


def entry(index: int) -> Entry:
    return Entry(index, 1, COMMAND, b"data")


def test_log_not_fsynced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    for bugs, expected in ((frozenset[str](), 1), (frozenset({"log-not-fsynced"}), 0)):
        synced.clear()
        storage = Storage(Directory(tmp_path / str(expected)), bugs=bugs)
        storage.save([Save(1, None, (entry(1),))])
        storage.close()
        assert len(synced) == expected


def test_damage_accepted(tmp_path: Path) -> None:
    storage = Storage(Directory(tmp_path))
    storage.save([Save(1, None, (entry(1), entry(2)))])
    storage.close()
    (segment,) = tmp_path.glob("log-*")
    data = bytearray(segment.read_bytes())
    data[data.index(b"data")] ^= 1
    segment.write_bytes(data)
    with pytest.raises(StorageError, match="does not match its checksum"):
        Storage(Directory(tmp_path))
    storage = Storage(Directory(tmp_path), bugs=frozenset({"damage-accepted"}))
    assert [it.data for it in storage.boot.entries] == [b"eata", b"data"]
    storage.close()
