"""Which subnet a cluster gets: a private /24 that nobody else on the host uses."""

from __future__ import annotations

import ipaddress
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROUTES = Path("/proc/net/route")
POOLS = (ipaddress.ip_network("10.213.0.0/16"), ipaddress.ip_network("172.29.0.0/16"))
"""Where candidates come from: private (RFC 1918), and away from Docker's own automatic pools."""

MAX_NODES = 200
_FIRST_NODE = 11


def candidates(run_id: str, taken: Iterable[str]) -> Iterator[str]:
    """Free /24 subnets, every one of :data:`POOLS` once.

    The run's id says where to begin, so that two runs that start together rarely want the same;
    whoever comes second is told so by the engine and takes the next.
    """
    used = [ipaddress.ip_network(subnet, strict=False) for subnet in taken]
    every = [subnet for pool in POOLS for subnet in pool.subnets(new_prefix=24)]
    begin = zlib.crc32(run_id.encode()) % len(every)
    for subnet in every[begin:] + every[:begin]:
        if not any(subnet.version == other.version and subnet.overlaps(other) for other in used):
            yield str(subnet)


def gateway(subnet: str) -> str:
    """The host's own address in the subnet."""
    return str(ipaddress.ip_network(subnet)[1])


def addresses(subnet: str, nodes: Iterable[str]) -> dict[str, str]:
    """Node → its fixed address."""
    network = ipaddress.ip_network(subnet)
    return {node: str(network[_FIRST_NODE + index]) for index, node in enumerate(nodes)}


def host_routes(path: Path = ROUTES) -> tuple[str, ...]:
    """Subnets that this host has routes to, the default route left out; none without ``/proc``."""
    try:
        lines = path.read_text().splitlines()[1:]
    except OSError:
        return ()
    return tuple(parse_routes(lines))


def parse_routes(lines: Iterable[str]) -> Iterator[str]:
    """Lines of ``/proc/net/route`` (little-endian hexadecimal) as subnets."""
    for line in lines:
        fields = line.split()
        if len(fields) < 8:
            continue
        destination, mask = (
            struct.unpack("<I", bytes.fromhex(fields[column]))[0] for column in (1, 7)
        )
        if mask:
            yield f"{ipaddress.ip_address(destination)}/{ipaddress.ip_address(mask)}"
