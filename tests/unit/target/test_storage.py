"""The disk: what was synced is there again; a torn tail is cut off; damage is refused, by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from target.files import Directory, InUse
from target.raft.duties import Save
from target.raft.messages import COMMAND, NOOP, Entry, HardState, Snapshot
from target.storage import SECTOR, Storage, StorageError


def entries(first: int, last: int, term: int, size: int = 3) -> tuple[Entry, ...]:
    return tuple(
        Entry(index, term, COMMAND, bytes([65 + index % 26]) * size)
        for index in range(first, last + 1)
    )


def opened(folder: Path, segment_bytes: int = 1 << 20) -> Storage:
    return Storage(Directory(folder), segment_bytes=segment_bytes)


def reopened(storage: Storage, segment_bytes: int = 1 << 20) -> Storage:
    storage.close()
    return opened(Path(storage._files.path("")), segment_bytes)


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("log-*"))


def test_an_empty_directory(tmp_path: Path) -> None:
    storage = opened(tmp_path / "deep" / "data")
    assert (storage.boot.hard, storage.boot.entries) == (HardState(), [])
    storage = reopened(storage)
    assert (storage.boot.hard, storage.boot.entries) == (HardState(), [])
    storage.close()


def test_what_was_saved_is_there_again(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    storage.save([Save(1, HardState(1, "n2"), entries(1, 5, 1))])
    storage.save([Save(2, HardState(3, None)), Save(3, None, entries(3, 4, 3))])
    before = storage.syncs
    storage.save([Save(4, None, entries(5, 5, 3)), Save(5, None, entries(6, 6, 3))])
    assert storage.syncs == before + 1, "one sync for all saves of a batch"
    storage = reopened(storage)
    assert storage.boot.hard == HardState(3, None)
    assert storage.boot.entries == [*entries(1, 2, 1), *entries(3, 6, 3)]
    assert storage.repaired == 0
    storage.close()


def test_a_directory_in_use(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    with pytest.raises(InUse, match="another server uses this directory"):
        opened(tmp_path)
    storage.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one short segment: three syncs, of one, two and one entries."""
    folder = tmp_path_factory.mktemp("small")
    storage = opened(folder)
    storage.save([Save(1, HardState(1, "n1"), entries(1, 1, 1))])
    storage.save([Save(2, None, entries(2, 3, 1))])
    storage.save([Save(3, HardState(2, None), entries(4, 4, 2, size=40))])
    storage.close()
    return folder


def test_a_tail_torn_at_every_byte(small: Path, tmp_path: Path) -> None:
    (whole,) = segments(small)
    data = whole.read_bytes()
    header = 20
    lengths = set()
    for cut in range(header, len(data)):
        folder = tmp_path / str(cut)
        shutil.copytree(small, folder)
        (folder / whole.name).write_bytes(data[:cut])
        storage = opened(folder)
        kept = list(storage.boot.entries)
        assert kept == [*entries(1, 3, 1), *entries(4, 4, 2, size=40)][: len(kept)]
        assert (folder / whole.name).stat().st_size == cut - storage.repaired
        lengths.add(len(kept))
        if cut % 8 == 0:  # and it can be written on: the next start finds the old and the new
            following = len(kept) + 1
            storage.save([Save(1, None, entries(following, following, 7))])
            storage = reopened(storage)
            assert storage.boot.entries == [*kept, *entries(following, following, 7)]
            assert storage.repaired == 0
        storage.close()
        shutil.rmtree(folder)
    assert lengths == {0, 1, 2, 3}


def test_every_flipped_bit_is_refused(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    for name in ("identity", segments(small)[0].name):
        data = (small / name).read_bytes()
        for place in range(len(data)):
            damaged = bytearray(data)
            damaged[place] ^= 1 << place % 8
            (tmp_path / name).write_bytes(damaged)
            with pytest.raises(StorageError, match=rf"{name}: damaged at byte \d+: .*restore"):
                opened(tmp_path)
        (tmp_path / name).write_bytes(data)


def test_a_record_at_the_place_of_another_is_refused(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    for term in range(1, 5):
        storage.save([Save(term, HardState(term, "n1"))])
    storage.close()
    (whole,) = segments(tmp_path)
    data = whole.read_bytes()
    length = 12 + 11 + len(b"n1")
    records = [data[len(data) - (it + 1) * length :][:length] for it in range(4)]
    assert len(set(records)) == 4
    assert all(b"n1" in record for record in records)
    for place, other in ((0, 1), (0, 3), (2, 0), (3, 1)):
        end = len(data) - place * length
        whole.write_bytes(data[: end - length] + records[other] + data[end:])
        with pytest.raises(StorageError, match="damaged at byte"):
            opened(tmp_path)


@pytest.mark.parametrize("kind", [NOOP, COMMAND])
@pytest.mark.parametrize("over", [1, 2, 5])
def test_a_flipped_bit_is_no_torn_tail_however_little_is_in_the_last_sector(
    tmp_path: Path, over: int, kind: int
) -> None:
    def saved(size: int) -> bytes:
        storage = opened(tmp_path)
        # The last one says nothing: what it ends with is its kind, of no bit or one.
        last = Entry(2, 1, kind, b"")
        storage.save([Save(1, HardState(1, "n1"), (*entries(1, 1, 1, size=size), last))])
        storage.close()
        (whole,) = segments(tmp_path)
        data = whole.read_bytes()
        whole.unlink()
        return data

    data = saved(2 * SECTOR + over - len(saved(0)))
    assert len(data) == 2 * SECTOR + over
    name = f"log-{0:016x}"
    for bit in range(8 * (len(data) - 20), 8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(StorageError, match="does not match its checksum"):
            opened(tmp_path)


def test_an_identity_is_drawn_once_and_stays(tmp_path: Path) -> None:
    storage = Storage(Directory(tmp_path), fresh=7)
    assert storage.boot.identity == 7
    storage.close()
    storage = Storage(Directory(tmp_path), fresh=8)
    assert storage.boot.identity == 7
    storage.close()
    (tmp_path / "identity").unlink()
    with pytest.raises(StorageError, match="identity: damaged at byte 0: the file is missing"):
        Storage(Directory(tmp_path), fresh=9)


def test_a_lost_disk_is_another_node_unless_the_bug_says_no(tmp_path: Path) -> None:
    for bugs, expected in ((frozenset[str](), [7, 8]), (frozenset({"old-identity"}), [1, 1])):
        found = []
        for fresh in (7, 8):
            storage = Storage(Directory(tmp_path / "data"), bugs=bugs, fresh=fresh)
            found.append(storage.boot.identity)
            storage.close()
            shutil.rmtree(tmp_path / "data")
        assert found == expected


def test_zeros_behind_the_end_are_a_torn_tail(small: Path, tmp_path: Path) -> None:
    (whole,) = segments(small)
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    (tmp_path / whole.name).write_bytes(whole.read_bytes() + bytes(1000))
    storage = opened(tmp_path)
    assert storage.repaired == 1000
    assert len(storage.boot.entries) == 4
    storage.close()


def test_a_sector_that_was_never_written_is_a_torn_tail(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    storage.save([Save(1, HardState(1, "n1"), entries(1, 1, 1))])
    storage.save([Save(2, None, entries(2, 2, 1, size=4 * SECTOR))])
    storage.close()
    (whole,) = segments(tmp_path)
    data = bytearray(whole.read_bytes())
    data[2 * SECTOR : 3 * SECTOR] = bytes(SECTOR)
    whole.write_bytes(data)
    storage = opened(tmp_path)
    assert storage.boot.entries == list(entries(1, 1, 1))
    storage.close()
    # With another record behind it, it was synced once: that is damage.
    storage = opened(tmp_path)
    storage.save([Save(1, None, entries(2, 2, 1, size=4 * SECTOR))])
    storage.save([Save(2, None, entries(3, 3, 1))])
    storage.close()
    data = bytearray(whole.read_bytes())
    data[2 * SECTOR : 3 * SECTOR] = bytes(SECTOR)
    whole.write_bytes(data)
    with pytest.raises(StorageError, match="does not match its checksum"):
        opened(tmp_path)


@pytest.mark.parametrize("sectors", [1, 2, 3])
def test_a_file_that_grew_before_its_data_came_is_a_torn_tail(tmp_path: Path, sectors: int) -> None:
    """One sync, many records: from some sector on nothing was written, whatever begins there."""
    storage = opened(tmp_path)
    storage.save([Save(1, HardState(1, "n1"), entries(1, 60, 1))])
    storage.close()
    (whole,) = segments(tmp_path)
    data = bytearray(whole.read_bytes())
    assert len(data) > 3 * SECTOR
    data[sectors * SECTOR :] = bytes(len(data) - sectors * SECTOR)
    whole.write_bytes(data)
    storage = opened(tmp_path)
    kept = storage.boot.entries
    assert 0 < len(kept) < 60
    assert kept == list(entries(1, len(kept), 1))
    storage.close()


def test_segments_go_when_a_snapshot_covers_them(tmp_path: Path) -> None:
    storage = opened(tmp_path, 300)
    for index in range(1, 41):
        storage.save([Save(index, None, entries(index, index, 1))])
    many = len(segments(tmp_path))
    assert many >= 4
    storage.save([Save(41, None, (), Snapshot(30, 1, b"state", b"members"))])
    left = segments(tmp_path)
    assert 1 < len(left) < many
    storage = reopened(storage, 300)
    assert storage.boot.snapshot == Snapshot(30, 1, b"state", b"members")
    assert storage.boot.entries == list(entries(31, 40, 1))
    storage.save([Save(1, HardState(4, "n1"), (), Snapshot(40, 1, b"later"))])
    storage = reopened(storage, 300)
    assert storage.boot.snapshot == Snapshot(40, 1, b"later")
    assert storage.boot.hard == HardState(4, "n1")
    assert storage.boot.entries == []
    assert len(list(tmp_path.glob("snap-*"))) == 1
    storage.close()


def test_term_and_vote_outlive_the_segment_they_were_written_in(tmp_path: Path) -> None:
    storage = opened(tmp_path, 100)
    storage.save([Save(1, HardState(9, "n3"))])
    for index in range(1, 30):
        storage.save([Save(index + 1, None, entries(index, index, 9))])
    storage.save([Save(40, None, (), Snapshot(29, 9, b""))])
    assert segments(tmp_path)[0].name != f"log-{0:016x}"
    storage = reopened(storage)
    assert storage.boot.hard == HardState(9, "n3")
    storage.close()


def test_a_missing_segment_and_a_missing_snapshot(tmp_path: Path) -> None:
    storage = opened(tmp_path / "one", 100)
    for index in range(1, 30):
        storage.save([Save(index, None, entries(index, index, 1))])
    storage.close()
    segments(tmp_path / "one")[1].unlink()
    with pytest.raises(StorageError, match="the segment before it is missing"):
        opened(tmp_path / "one")
    storage = opened(tmp_path / "two", 100)
    for index in range(1, 30):
        storage.save([Save(index, None, entries(index, index, 1))])
    storage.save([Save(30, None, (), Snapshot(20, 1, b"state"))])
    storage.close()
    next((tmp_path / "two").glob("snap-*")).unlink()
    with pytest.raises(StorageError, match=r"the log begins at .*, the snapshot ends at 0"):
        opened(tmp_path / "two")


def test_a_tail_may_be_torn_in_the_last_segment_only(tmp_path: Path) -> None:
    storage = opened(tmp_path, 100)
    for index in range(1, 30):
        storage.save([Save(index, None, entries(index, index, 1))])
    storage.close()
    first = segments(tmp_path)[0]
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(StorageError, match="ends within a record"):
        opened(tmp_path)


def test_a_damaged_snapshot_is_refused_whichever_byte(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    storage.save([Save(1, HardState(1, None), entries(1, 4, 1))])
    storage.save([Save(2, None, (), Snapshot(3, 1, b"some state"))])
    storage.close()
    (path,) = tmp_path.glob("snap-*")
    data = path.read_bytes()
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match="snapshot does not match its checksum"):
            opened(tmp_path)
    path.write_bytes(data[:-1])
    with pytest.raises(StorageError, match="snapshot does not match"):
        opened(tmp_path)


def test_an_installed_snapshot_replaces_the_log(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    storage.save([Save(1, HardState(1, None), entries(1, 8, 1))])
    installed = Snapshot(6, 3, b"of term 3")
    storage.save([Save(2, HardState(3, None), entries(7, 7, 3), installed, reset=True)])
    storage = reopened(storage)
    assert storage.boot.snapshot == installed
    assert storage.boot.entries == list(entries(7, 7, 3))
    storage.close()


def test_a_crash_between_installed_snapshot_and_log(tmp_path: Path) -> None:
    storage = opened(tmp_path / "whole")
    storage.save([Save(1, HardState(1, None), entries(1, 8, 1))])
    (log,) = segments(tmp_path / "whole")
    before = log.read_bytes()
    storage.save([Save(2, HardState(3, None), (), Snapshot(6, 3, b"of term 3"), reset=True)])
    storage.close()
    log.write_bytes(before)  # the snapshot is there, nothing of the log's records
    storage = opened(tmp_path / "whole")
    assert storage.boot.snapshot.index == 6
    assert storage.boot.entries == [], "7 and 8 belong to another history than the snapshot"
    storage.save([Save(1, HardState(3, None), entries(7, 7, 3))])
    storage = reopened(storage)
    assert storage.boot.entries == list(entries(7, 7, 3))
    storage.close()


def test_a_crash_between_own_snapshot_and_the_entries_in_it(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    storage.save([Save(1, HardState(1, None), entries(1, 3, 1))])
    (log,) = segments(tmp_path)
    before = log.read_bytes()
    storage.save([Save(2, None, entries(4, 6, 1)), Save(3, None, (), Snapshot(6, 1, b"own"))])
    storage.close()
    log.write_bytes(before)
    storage = opened(tmp_path)
    assert (storage.boot.snapshot.index, storage.boot.entries) == (6, [])
    storage.save([Save(1, None, entries(7, 7, 1))])
    storage = reopened(storage)
    assert storage.boot.entries == list(entries(7, 7, 1))
    storage.close()


def test_an_own_snapshot_keeps_what_follows_it(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    storage.save([Save(1, HardState(1, None), entries(1, 8, 1))])
    storage.save([Save(2, None, (), Snapshot(6, 1, b"own"))])
    storage = reopened(storage)
    assert storage.boot.entries == list(entries(7, 8, 1))
    storage.close()


def test_half_written_files_are_forgotten(tmp_path: Path) -> None:
    storage = opened(tmp_path)
    storage.save([Save(1, HardState(1, None), entries(1, 2, 1))])
    storage.close()
    (tmp_path / f"log-{1:016x}.part").write_bytes(b"half")
    (tmp_path / f"snap-{1:016x}-{1:016x}.part").write_bytes(b"half")
    storage = opened(tmp_path)
    assert storage.boot.entries == list(entries(1, 2, 1))
    assert not list(tmp_path.glob("*.part"))
    storage.close()
