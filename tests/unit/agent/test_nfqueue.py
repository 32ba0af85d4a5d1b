"""Packets that wait, as the kernel tells of them, and verdicts, as it wants them."""

from __future__ import annotations

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from harness.agent.netlink import Message, attribute, decode, encode
from harness.agent.nfqueue import Packet, general, packets, verdict

TOLD = 3 << 8
addresses = st.binary(min_size=4, max_size=4).map(socket.inet_ntoa)


def payload_from(source: str) -> bytes:
    return bytes(12) + socket.inet_aton(source) + bytes(4)


def told(number: int, family: int, source: str, flags: int = 0, queue: int = 9) -> bytes:
    """What the kernel says of a packet: its header, a mark that nobody reads, flags, its bytes."""
    body = (
        general(family, queue)
        + attribute(1, struct.pack(">IHB", number, 0x0800, 1))
        + attribute(3, struct.pack(">I", 1))
        + attribute(14, struct.pack(">I", flags))
        + attribute(10, payload_from(source))
    )
    return encode(Message(TOLD, 0, 0, body))


@given(st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), addresses), max_size=5))
def test_every_packet_of_a_datagram_is_seen(items: list[tuple[int, str]]) -> None:
    datagram = b"".join(told(number, socket.AF_INET, source) for number, source in items)
    assert list(packets(datagram)) == [
        Packet(number, socket.AF_INET, source, payload_from(source)) for number, source in items
    ]


def test_a_checksum_that_is_not_ready_is_told() -> None:
    for flags, unsummed in ((0, False), (1, True), (2, False), (3, True)):
        [packet] = packets(told(1, socket.AF_INET, "10.0.0.1", flags))
        assert packet.unsummed == unsummed


def test_other_messages_and_short_packets() -> None:
    refused = encode(Message(2, 0, 1, struct.pack("=i", -2) + bytes(16)))
    nameless = encode(Message(TOLD, 0, 0, general(2, 9) + attribute(10, bytes(20))))
    header = attribute(1, struct.pack(">IHB", 4, 0x0800, 1))
    short = encode(Message(TOLD, 0, 0, general(2, 9) + header + attribute(10, bytes(19))))
    assert list(packets(refused + nameless + short)) == [Packet(4, 2, "", bytes(19))]


@given(st.binary(max_size=100))
def test_noise_is_no_packet_of_anybody(data: bytes) -> None:
    body = general(2, 9)[:2] + data
    for packet in packets(encode(Message(TOLD, 0, 0, body))):
        assert 0 <= packet.number <= 0xFFFFFFFF


def test_a_verdict_as_the_kernel_wants_it() -> None:
    for accept in (True, False):
        [message] = decode(verdict(7411, Packet(258, socket.AF_INET, ""), accept))
        assert message.kind == 0x301
        assert message.body == (
            bytes([socket.AF_INET, 0])
            + struct.pack(">H", 7411)
            + struct.pack("=HH", 12, 2)
            + struct.pack(">II", accept, 258)
        )


def test_a_changed_packet_goes_on_as_told() -> None:
    [message] = decode(verdict(7411, Packet(1, socket.AF_INET, ""), True, b"other"))
    assert message.body.endswith(struct.pack("=HH", 9, 10) + b"other" + bytes(3))
