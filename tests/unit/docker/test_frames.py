"""Frames of an attached container, however the bytes arrive."""

from __future__ import annotations

import itertools
import struct

from hypothesis import given
from hypothesis import strategies as st

from harness.runtime.docker.frames import STDERR, STDOUT, Demultiplexer

frames = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=40)))


def encode(frame: tuple[int, bytes]) -> bytes:
    stream, payload = frame
    return bytes([stream, 0, 0, 0]) + struct.pack(">I", len(payload)) + payload


@given(frames, st.lists(st.integers(0, 200)))
def test_any_cut_gives_the_same_frames(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(map(encode, sent))
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    demultiplexer = Demultiplexer()
    got: list[tuple[int, bytes]] = []
    for begin, end in itertools.pairwise(edges):
        got += demultiplexer.feed(data[begin:end])
    assert got == [frame for frame in sent if frame[1]]


def test_a_frame_comes_with_its_last_byte() -> None:
    demultiplexer = Demultiplexer()
    data = encode((STDOUT, b"a line\n"))
    assert demultiplexer.feed(data[:-1]) == []
    assert demultiplexer.feed(data[-1:]) == [(STDOUT, b"a line\n")]
