"""The netlink codec: what is written is read again, and damage is never more than missing."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from harness.agent.netlink import (
    NESTED,
    Message,
    attribute,
    attributes,
    decode,
    encode,
    nested,
)

kinds = st.integers(0, 0x3FFF)
attribute_lists = st.lists(st.tuples(kinds, st.binary(max_size=40)), max_size=6)
messages = st.lists(
    st.builds(
        Message,
        kind=st.integers(0, 0xFFFF),
        flags=st.integers(0, 0xFFFF),
        sequence=st.integers(0, 0xFFFFFFFF),
        body=st.binary(max_size=60),
    ),
    max_size=5,
)


@given(attribute_lists)
def test_attributes_come_back(items: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(*item) for item in items)
    assert len(data) % 4 == 0
    assert list(attributes(data)) == items


@given(kinds, attribute_lists)
def test_nested_attributes_come_back(kind: int, items: list[tuple[int, bytes]]) -> None:
    data = nested(kind, *(attribute(*item) for item in items))
    assert struct.unpack_from("=HH", data)[1] == kind | NESTED
    [(read, inside)] = attributes(data)
    assert read == kind
    assert list(attributes(inside)) == items


@given(messages)
def test_messages_come_back(items: list[Message]) -> None:
    assert list(decode(b"".join(encode(item) for item in items))) == items


@given(messages, st.integers(0, 200))
def test_a_cut_datagram_loses_only_its_end(items: list[Message], length: int) -> None:
    whole = b"".join(encode(item) for item in items)
    read = list(decode(whole[:length]))
    assert read == items[: len(read)]


@given(st.binary(max_size=80))
def test_noise_is_read_without_fuss(data: bytes) -> None:
    assert sum(4 + len(payload) for _, payload in attributes(data)) <= len(data)
    assert sum(16 + len(message.body) for message in decode(data)) <= len(data)


def test_a_message_as_the_kernel_knows_it() -> None:
    # RTM_NEWLINK (16), REQUEST | ACK, number 7, one attribute IFLA_IFNAME (3).
    assert encode(Message(16, 5, 7, attribute(3, b"eth0\0"))) == bytes.fromhex(
        "1c000000100005000700000000000000090003006574683000000000"
    )
