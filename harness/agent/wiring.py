"""Builds the netns cluster's network: a bridge here, one namespace per node, a cable to each.

rtnetlink(7) requests, so that nothing but the kernel is needed.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from harness.agent import linux
from harness.agent.netlink import CREATE, EXCLUSIVE, Netlink, attribute, nested

BRIDGE = "hub"
DEVICE = "eth0"
PREFIX = 24
_SUBNET = "10.77.0"
HUB_ADDRESS = f"{_SUBNET}.1"
MOST_NODES = 200

_NEWLINK, _NEWADDR = 16, 20
_IFNAME, _MASTER, _LINKINFO, _NET_NS_FD = 3, 10, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_ADDRESS, _LOCAL, _BROADCAST = 1, 2, 4
_UP = 1


def address(number: int) -> str:
    """The address of the node with this number (from 1)."""
    return f"{_SUBNET}.{10 + number}"


class Hub:
    """The current network namespace as the switch of a cluster, clients included."""

    def __init__(self) -> None:
        _no_ipv6()
        self._netlink = Netlink(socket.NETLINK_ROUTE)
        _up(self._netlink, "lo")
        body = _link(0) + _name(BRIDGE) + nested(_LINKINFO, attribute(_INFO_KIND, b"bridge\0"))
        self._netlink.ask("making a bridge", _NEWLINK, CREATE | EXCLUSIVE, body)
        _set_address(self._netlink, BRIDGE, HUB_ADDRESS)
        _up(self._netlink, BRIDGE)

    def add_node(self, number: int) -> int:
        """A new network namespace with ``eth0`` on the bridge; the descriptor holds it.

        Raises:
            OSError: the kernel refused.
        """
        netns = linux.new_netns()
        port = f"port{number}"
        peer = attribute(_VETH_PEER, _link(0) + _name(DEVICE) + _number(_NET_NS_FD, netns))
        info = nested(_LINKINFO, attribute(_INFO_KIND, b"veth\0"), attribute(_INFO_DATA, peer))
        with linux.inside(netns):
            _no_ipv6()
        self._netlink.ask(
            "making a pair of veth devices",
            _NEWLINK,
            CREATE | EXCLUSIVE,
            _link(0) + _name(port) + _number(_MASTER, socket.if_nametoindex(BRIDGE)) + info,
        )
        _up(self._netlink, port)
        with linux.inside(netns):
            node = Netlink(socket.NETLINK_ROUTE)
            try:
                _up(node, "lo")
                _set_address(node, DEVICE, address(number))
                _up(node, DEVICE)
            finally:
                node.close()
        return netns


def _no_ipv6() -> None:
    # A link-local address would be a way around the firewall, which speaks IPv4.
    sysctl = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
    if sysctl.exists():
        sysctl.write_text("1")


def _link(index: int, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


def _name(name: str) -> bytes:
    return attribute(_IFNAME, name.encode() + b"\0")


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _up(netlink: Netlink, name: str) -> None:
    index = socket.if_nametoindex(name)
    netlink.ask(f"bringing {name} up", _NEWLINK, 0, _link(index, _UP, _UP))


def _set_address(netlink: Netlink, name: str, where: str) -> None:
    packed = socket.inet_aton(where)
    broadcast = packed[:3] + b"\xff"
    head = struct.pack("=BBBBI", socket.AF_INET, PREFIX, 0, 0, socket.if_nametoindex(name))
    body = (
        head
        + attribute(_LOCAL, packed)
        + attribute(_ADDRESS, packed)
        + attribute(_BROADCAST, broadcast)
    )
    netlink.ask(f"giving {name} an address", _NEWADDR, CREATE | EXCLUSIVE, body)
