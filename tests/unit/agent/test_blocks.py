"""A disk in memory as the kernel asks for it, and what is wrong with it."""

from __future__ import annotations

import errno
import json
import os
import struct
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.agent import fuse
from harness.agent.blocks import Store, obey

SIZE = 1 << 16


def asked(opcode: int, body: bytes = b"", unique: int = 9) -> fuse.Request:
    """A message of the kernel's, parsed: a header of 40 bytes and a body."""
    head = struct.pack("=IIQQIIIHH", 40 + len(body), opcode, unique, 1, 0, 0, 0, 0, 0)
    return fuse.request(head + body)


def reading(offset: int, size: int) -> fuse.Request:
    return asked(fuse.READ, struct.pack("=QQIIQII", 0, offset, size, 0, 0, 0, 0))


def writing(offset: int, data: bytes) -> fuse.Request:
    return asked(fuse.WRITE, struct.pack("=QQIIQII", 0, offset, len(data), 0, 0, 0, 0) + data)


def told(answer: bytes) -> tuple[int, bytes]:
    """(errno, body)."""
    length, error, unique = struct.unpack_from("=IiQ", answer)
    assert length == len(answer)
    assert unique == 9
    return -error, answer[16:]


@pytest.fixture
def store() -> Iterator[Store]:
    memory = os.memfd_create("test")
    os.ftruncate(memory, SIZE)
    yield Store(memory)
    os.close(memory)


@given(
    st.lists(st.tuples(st.integers(0, SIZE - 100), st.binary(min_size=1, max_size=99)), max_size=9)
)
def test_what_is_written_is_read(writes: list[tuple[int, bytes]]) -> None:
    memory = os.memfd_create("test")
    try:
        os.ftruncate(memory, SIZE)
        store = Store(memory)
        dumb = bytearray(SIZE)
        for offset, data in writes:
            dumb[offset : offset + len(data)] = data
            answer, hold = store.answer(writing(offset, data))
            assert (*told(answer), hold) == (0, struct.pack("=II", len(data), 0), 0)
        assert told(store.answer(reading(0, SIZE))[0]) == (0, bytes(dumb))
    finally:
        os.close(memory)


def test_a_broken_disk_refuses_what_changes_it(store: Store) -> None:
    assert json.loads(obey(b"[[0, true, 0]]", [store])) == [[0, 0, 0]]
    assert told(store.answer(writing(0, b"x"))[0]) == (errno.EIO, b"")
    assert told(store.answer(asked(fuse.FSYNC))[0]) == (errno.EIO, b"")
    assert told(store.answer(reading(0, 1))[0]) == (0, b"\0")
    assert json.loads(obey(b"null", [store])) == [[2, 0, 0]]
    obey(b"[[0, false, 0]]", [store])
    assert told(store.answer(writing(0, b"x"))[0])[0] == 0


def test_a_slow_disk_holds_syncs_back(store: Store) -> None:
    obey(b"[[7, false, 0]]", [store])
    assert store.answer(asked(fuse.FSYNC))[1] == 7
    assert store.answer(writing(0, b"x"))[1] == 0
    assert json.loads(obey(b"null", [store])) == [[0, 1, 0]]
    obey(b"[[0, false, 0]]", [store])
    assert store.answer(asked(fuse.FSYNC))[1] == 0
    assert store.fast


def test_a_rate_is_shared_by_all_that_is_asked_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5_000_000_000)
    obey(b"[[0, false, 1000]]", [store])
    assert not store.fast
    assert store.answer(writing(0, bytes(500)))[1] == 500_000_000
    assert store.answer(reading(0, 250))[1] == 750_000_000
    # A sync waits for what was written before it.
    assert store.answer(asked(fuse.FSYNC))[1] == 750_000_000
    # To be told the same again lets nothing through.
    assert json.loads(obey(b"[[0, false, 1000]]", [store])) == [[0, 0, 2]]
    assert store.answer(asked(fuse.FSYNC))[1] == 750_000_000
    monkeypatch.setattr(time, "monotonic_ns", lambda: 6_000_000_000)
    assert store.answer(asked(fuse.FSYNC))[1] == 0
    assert store.answer(writing(0, b"x"))[1] == 1_000_000
    obey(b"[[0, false, 0]]", [store])
    assert store.answer(writing(0, bytes(500)))[1] == 0
    assert json.loads(obey(b"null", [store])) == [[0, 0, 3]]


def test_what_the_kernel_asks_first(store: Store) -> None:
    error, body = told(store.answer(asked(fuse.INIT, bytes(64)))[0])
    assert (error, len(body)) == (0, 64)
    assert struct.unpack_from("=II", body) == (7, 31)
    error, body = told(store.answer(asked(fuse.GETATTR, bytes(16)))[0])
    assert (error, len(body)) == (0, 104)
    assert struct.unpack_from("=Q", body, 24) == (SIZE,)
    assert len(told(store.answer(asked(fuse.OPEN, bytes(8)))[0])[1]) == 16
    unknown = 43
    assert told(store.answer(asked(unknown))[0]) == (errno.ENOSYS, b"")
