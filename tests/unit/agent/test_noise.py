"""Copies whose checksum is right, and flipped bits that a checksum finds."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.agent.nfqueue import Packet
from harness.agent.noise import flipped, ones_sum, whole

HEADER = struct.Struct(">BBHHHBBH4s4s")


def packet(protocol: int, payload: bytes, checksum: int, *, unsummed: bool) -> Packet:
    """An IP packet of some payload behind a header of the protocol, as the kernel shows it."""
    if protocol == 6:
        segment = struct.pack(">HHIIBBHHH", 1, 2, 3, 4, 0x50, 0x18, 99, checksum, 0) + payload
    else:
        segment = struct.pack(">HHHH", 1, 2, 8 + len(payload), checksum) + payload
    ip = HEADER.pack(
        0x45, 0, 20 + len(segment), 7, 0, 64, protocol, 0, b"\x0a\0\0\1", b"\x0a\0\0\2"
    )
    return Packet(1, 2, "10.0.0.1", ip + segment, unsummed)


def dumb_sum(data: bytes) -> int:
    """RFC 1071, word by word, carries folded in."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def verifies(data: bytes) -> bool:
    """Would a receiver take it?"""
    pseudo = data[12:20] + struct.pack(">BBH", 0, data[9], len(data) - 20)
    return dumb_sum(pseudo + data[20:]) == 0xFFFF


@given(st.binary(max_size=99))
def test_the_sum_is_that_of_the_words(data: bytes) -> None:
    assert ones_sum(data) % 0xFFFF == dumb_sum(data) % 0xFFFF


protocols = pytest.mark.parametrize("protocol", [6, 17])


@protocols
@given(payload=st.binary(max_size=99), begun=st.integers(0, 0xFFFF), seed=st.integers(0, 99))
def test_a_copy_verifies_and_a_flipped_bit_does_not(
    protocol: int, payload: bytes, begun: int, seed: int
) -> None:
    waiting = packet(protocol, payload, begun, unsummed=True)
    copy = whole(waiting)
    assert verifies(copy)
    assert len(copy) == len(waiting.payload)
    wrong = flipped(waiting, random.Random(seed).random)
    assert not verifies(wrong)
    changed = int.from_bytes(copy, "big") ^ int.from_bytes(wrong, "big")
    assert changed.bit_count() == 1
    assert wrong[:20] == copy[:20]


@protocols
def test_what_is_complete_is_left_alone(protocol: int) -> None:
    ready = packet(protocol, b"abc", 0x1234, unsummed=False)
    assert whole(ready) == ready.payload


def test_a_protocol_without_a_known_checksum_is_left_alone() -> None:
    strange = packet(17, b"abc", 0, unsummed=True)
    data = bytearray(strange.payload)
    data[9] = 132
    assert whole(Packet(1, 2, "", bytes(data), True)) == bytes(data)
