"""Frames and messages: there and back, in any pieces; what is no frame is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target.events import Forward, Forwarded
from target.raft.messages import (
    Append,
    AppendReply,
    Entry,
    InstallSnapshot,
    ReadAsk,
    ReadReply,
    RequestVote,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
)
from target.wire import Hello, Unframer, Wired, WireError, frame, parse

numbers = st.integers(0, (1 << 64) - 1)
entries = st.builds(Entry, numbers, numbers, st.integers(0, 255), st.binary(max_size=20))
messages: st.SearchStrategy[Wired] = st.one_of(
    st.builds(Hello, numbers, st.text(), st.text()),
    st.builds(RequestVote, numbers, numbers, numbers, st.booleans(), st.booleans()),
    st.builds(VoteReply, numbers, st.booleans(), st.booleans(), numbers),
    st.builds(
        Append,
        numbers,
        numbers,
        numbers,
        numbers,
        numbers,
        st.lists(entries, max_size=4).map(tuple),
    ),
    st.builds(AppendReply, numbers, st.booleans(), numbers, numbers, numbers, numbers, numbers),
    st.builds(
        InstallSnapshot,
        numbers,
        numbers,
        numbers,
        numbers,
        st.booleans(),
        numbers,
        st.binary(),
        st.binary(),
    ),
    st.builds(SnapshotReply, numbers, numbers, numbers, numbers, numbers),
    st.builds(TimeoutNow, numbers),
    st.builds(ReadAsk, numbers),
    st.builds(ReadReply, numbers, numbers),
    st.builds(Forward, numbers, st.binary()),
    st.builds(Forwarded, numbers, st.binary()),
)


@given(st.lists(messages, max_size=5), st.lists(st.integers(1, 30), min_size=1))
def test_there_and_back_in_any_pieces(sent: list[Wired], sizes: list[int]) -> None:
    stream = b"".join(frame(message) for message in sent)
    unframer = Unframer()
    received = []
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        received += [parse(payload) for payload in unframer.feed(stream[at : at + size])]
        at, turn = at + size, turn + 1
    assert received == sent


@given(messages, st.data())
def test_no_flipped_bit_gets_through(message: Wired, data: st.DataObject) -> None:
    framed = bytearray(frame(message))
    place = data.draw(st.integers(0, len(framed) - 1))
    framed[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        payloads = Unframer().feed(bytes(framed))
    except WireError:
        return
    assert payloads == [], "a longer frame than there is: it waits for the rest"


@given(st.binary(max_size=40))
def test_garbage_is_no_message(payload: bytes) -> None:
    try:
        message = parse(payload)
    except WireError:
        return
    assert Unframer().feed(frame(message))[0][:1] == payload[:1]


def test_words_of_refusal() -> None:
    with pytest.raises(WireError, match="a frame of"):
        Unframer().feed(b"\xff" * 8)
    with pytest.raises(WireError, match="TimeoutNow: 10 bytes, 9 expected"):
        parse(Unframer().feed(frame(TimeoutNow(1)))[0] + b"x")
