"""Which subnet a cluster gets."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.runtime.docker import subnets

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""

networks = st.builds(
    lambda address, bits: str(ipaddress.ip_network((address, bits), strict=False)),
    st.integers(0, (1 << 32) - 1)
    | st.integers(
        int(ipaddress.ip_address("10.213.0.0")), int(ipaddress.ip_address("10.213.255.255"))
    ),
    st.integers(8, 32),
)


def dumb_overlap(one: str, other: str) -> bool:
    a, b = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return int(a[0]) <= int(b[-1]) and int(b[0]) <= int(a[-1])


@settings(max_examples=20)
@given(st.text(min_size=1), st.lists(networks, max_size=8))
def test_candidates_are_all_that_is_free(run_id: str, taken: list[str]) -> None:
    found = list(subnets.candidates(run_id, taken))
    every = [str(net) for pool in subnets.POOLS for net in pool.subnets(new_prefix=24)]
    free = [net for net in every if not any(dumb_overlap(net, other) for other in taken)]
    assert sorted(found) == sorted(free)


def test_two_runs_rarely_begin_with_the_same() -> None:
    firsts = {next(subnets.candidates(f"{number:08x}", ())) for number in range(20)}
    assert len(firsts) > 15


def test_ipv6_networks_are_no_obstacle() -> None:
    assert next(subnets.candidates("a", ["fd00::/8"])) == next(subnets.candidates("a", ()))


def test_nodes_have_addresses_of_their_own() -> None:
    nodes = tuple(f"n{number}" for number in range(subnets.MAX_NODES))
    given_out = subnets.addresses("10.213.7.0/24", nodes)
    assert list(given_out) == list(nodes)
    network = ipaddress.ip_network("10.213.7.0/24")
    reserved = {subnets.gateway(str(network)), str(network[0]), str(network[-1])}
    assert len({*given_out.values(), *reserved}) == len(nodes) + len(reserved)
    assert all(ipaddress.ip_address(address) in network for address in given_out.values())


def test_routes_of_the_host_are_read(tmp_path: Path) -> None:
    path = tmp_path / "route"
    path.write_text(ROUTES)
    assert subnets.host_routes(path) == ("172.17.0.0/255.255.0.0", "192.0.2.0/255.255.255.0")
    assert subnets.host_routes(tmp_path / "none") == ()
    assert "10.213.0.0/24" in list(subnets.candidates("x", subnets.host_routes(path)))
