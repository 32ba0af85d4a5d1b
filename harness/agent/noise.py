"""What may become of a packet's bytes: a whole copy, or one with a flipped bit.

A flipped bit is what tc-netem(8) means by ``corrupt``: noise behind the sender's checksum, so that
the receiver's kernel finds it and drops the packet. Both need a checksum that is complete.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from harness.agent.nfqueue import Packet

_TCP, _UDP = 6, 17
_CHECKSUM_AT = {_TCP: 16, _UDP: 6}
_ONES = 0xFFFF


def ones_sum(data: bytes) -> int:
    """The 16-bit ones' complement sum (RFC 1071), 0 and 0xFFFF being the same number.

    As 2¹⁶ ≡ 1 modulo 0xFFFF, the sum of the words is the whole number modulo 0xFFFF.
    """
    return int.from_bytes(data + bytes(len(data) % 2), "big") % _ONES


def whole(packet: Packet) -> bytes:
    """The packet with its checksum complete, as it would have been on a wire."""
    data = packet.payload
    begin = (data[0] & 0x0F) * 4
    protocol = data[9]
    at = begin + _CHECKSUM_AT.get(protocol, 0)
    if not packet.unsummed or at == begin or len(data) < at + 2:
        return data
    segment = data[begin:at] + bytes(2) + data[at + 2 :]
    pseudo = data[12:20] + struct.pack(">BBH", 0, protocol, len(segment))
    total = _ONES - (ones_sum(pseudo) + ones_sum(segment)) % _ONES
    return data[:at] + struct.pack(">H", total) + data[at + 2 :]


def flipped(packet: Packet, dice: Callable[[], float]) -> bytes:
    """The packet with one bit flipped somewhere behind its IP header."""
    data = bytearray(whole(packet))
    begin = (data[0] & 0x0F) * 4
    if len(data) > begin:
        bit = int(dice() * (len(data) - begin) * 8)
        data[begin + bit // 8] ^= 1 << bit % 8
    return bytes(data)
