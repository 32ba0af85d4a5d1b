"""The command line of a node."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from target import VERSION
from target.bugs import BUGS, UnknownBug, resolve
from target.raft.duties import Config

PEER_PORT = 7000
CLIENT_PORT = 8080


@dataclass(frozen=True, slots=True)
class Options:
    """``peers``: every node's address for other nodes, this one's included."""

    node: str
    home: Path
    peers: dict[str, tuple[str, int]]
    bind: str
    client_port: int
    raft: Config
    snapshot_entries: int
    seed: str | None


class OptionError(ValueError):
    """The command line makes no sense; the message is for people."""


def elections(numbers: Sequence[int], place: int) -> tuple[tuple[int, int], int]:
    """(this node's range, the shortest time-out in the cluster), in milliseconds.

    Two numbers are a range that every node draws from; otherwise there is one for each node, in
    the order of the nodes.

    Raises:
        OptionError: neither.
    """
    if not all(number > 0 for number in numbers):
        raise OptionError("election time-outs must be positive milliseconds")
    if len(numbers) == 2:
        low, high = numbers
        if low > high:
            raise OptionError(f"an election time-out from {low} to {high} ms is no range")
        return (low, high), low
    if place >= len(numbers):
        raise OptionError(
            f"{len(numbers)} election time-outs: give two for a range, or one for each node"
        )
    return (numbers[place], numbers[place]), min(numbers)


def parse(arguments: Sequence[str]) -> Options:
    """The options of a server.

    Raises:
        OptionError: they make no sense.
        SystemExit: as argparse does.
    """
    parser = argparse.ArgumentParser(
        prog="python3 -m target.server",
        description="One node of the reference cluster: a key-value store on Raft.",
        epilog="Bugs: " + "; ".join(f"{bug.number} {bug.name}: {bug.sentence}" for bug in BUGS),
    )
    parser.add_argument("--node", required=True, help="this node's name")
    parser.add_argument("--home", required=True, type=Path, help="its directory")
    parser.add_argument("--peers", required=True, help="n1=ADDRESS[:PORT],n2=…, all nodes")
    parser.add_argument("--bind", help="address to listen on (its own of --peers)")
    parser.add_argument("--client-port", type=int, default=CLIENT_PORT)
    parser.add_argument(
        "--election-timeout",
        default="100,300",
        help="milliseconds: two numbers are a range, otherwise one for each node",
    )
    parser.add_argument("--heartbeat", type=int, default=0, help="milliseconds")
    parser.add_argument("--snapshot-entries", type=int, default=1_000)
    parser.add_argument("--batch-entries", type=int, default=4, help="the most in one message")
    parser.add_argument("--seed", help="for the election time-outs")
    parser.add_argument("--bug", action="append", default=[], help="name or number, repeatable")
    parser.add_argument("--version", action="version", version=VERSION)
    given = parser.parse_args(arguments)
    peers = _peers(given.peers)
    if given.node not in peers:
        raise OptionError(f"--node {given.node} is not among --peers {given.peers}")
    try:
        numbers = [int(number) for number in given.election_timeout.split(",")]
        bugs = resolve(given.bug)
    except UnknownBug as error:
        raise OptionError(str(error)) from None
    except ValueError:
        raise OptionError(f"--election-timeout {given.election_timeout}: not numbers") from None
    own, shortest = elections(numbers, list(peers).index(given.node))
    heartbeat = given.heartbeat or max(1, min(50, shortest * 2 // 5))
    if heartbeat >= shortest:
        raise OptionError(
            f"a heartbeat every {heartbeat} ms does not fit an election time-out of {shortest} ms"
        )
    return Options(
        node=given.node,
        home=given.home,
        peers=peers,
        bind=given.bind or peers[given.node][0],
        client_port=given.client_port,
        raft=Config(
            name=given.node,
            founders=tuple(peers),
            election_ms=own,
            lease_ms=shortest,
            heartbeat_ms=heartbeat,
            batch_entries=max(1, given.batch_entries),
            trailing=min(200, given.snapshot_entries // 5),
            bugs=bugs,
        ),
        snapshot_entries=given.snapshot_entries,
        seed=given.seed,
    )


def _peers(text: str) -> dict[str, tuple[str, int]]:
    peers = {}
    for item in text.split(","):
        name, equals, address = item.partition("=")
        host, colon, port = address.rpartition(":")
        if not colon:
            host, port = address, str(PEER_PORT)
        if not (name and equals and host and port.isdecimal()):
            raise OptionError(f"--peers {item!r}: write NAME=ADDRESS or NAME=ADDRESS:PORT")
        peers[name] = (host, int(port))
    return peers
