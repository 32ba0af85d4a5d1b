"""etcd: how it is started, what its nodes say of themselves, and who talks to it.

What clients ask of it is :mod:`target.adapters.etcd_store`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from harness.core.cluster import Cluster, Place, ServerSpec
from harness.core.errors import UsageError
from harness.core.operations import Call, Outcome
from harness.core.protocols import Client, NodeStatus, Program, TargetOptions
from target.adapters.etcd_store import EtcdStore
from target.adapters.http import HttpClient, answer_of
from target.adapters.ready import await_leader
from target.adapters.versioned import FUNCTIONS, VersionedClient

CLIENT_PORT, PEER_PORT = 2379, 2380
ELECTION_TIMEOUT_MS = 1000
"""etcd's own. A node draws from this to twice as much, and all must be told the same."""


class EtcdTarget:
    """etcd. What a key holds is JSON."""

    name = "etcd"
    functions = FUNCTIONS
    promise = "linearizable writes, and linearizable reads unless serializable ones are asked for"
    programs = (Program("etcd", "etcd-server"),)
    choices: Mapping[str, tuple[str, ...]] = {"reads": ("linearizable", "serializable")}

    def __init__(self, options: TargetOptions) -> None:
        if options.bugs:
            raise UsageError("target etcd has no seeded bugs (--bug is for --target raft)")
        self._election_ms = min(options.election_timeout_ms, default=ELECTION_TIMEOUT_MS)
        self._serializable = options.choices.get("reads") == "serializable"
        self._names: dict[str, str] = {}  # member id → node, as far as it was ever told

    def server(self, place: Place) -> ServerSpec:
        """The command that starts a node."""
        peers = {node: f"http://{at}:{PEER_PORT}" for node, at in place.addresses.items()}
        peer, client = peers[place.node], f"http://{place.addresses[place.node]}:{CLIENT_PORT}"
        argv = ["etcd", "--name", place.node, "--data-dir", f"{place.home}/data"]
        argv += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        argv += ["--listen-client-urls", client, "--advertise-client-urls", client]
        argv += ["--initial-cluster", ",".join(f"{node}={url}" for node, url in peers.items())]
        argv += ["--heartbeat-interval", str(max(1, self._election_ms // 10))]
        return ServerSpec((*argv, "--election-timeout", str(self._election_ms)))

    async def await_ready(self, cluster: Cluster, timeout_s: float) -> None:
        """Returns when all running nodes know one leader and each has served a read by a quorum."""

        async def serves(node: str) -> str:
            client = _client(cluster, node, serializable=False)
            done = await client.invoke(Call("read", "ready"), 1.0)
            await client.close()
            return "" if done.outcome is Outcome.OK else f"{node} serves no reads: {done.error}"

        await await_leader(cluster, self, serves, timeout_s)

    def client(self, cluster: Cluster, node: str, _process: int) -> Client:
        """A client that talks to ``node``."""
        return _client(cluster, node, serializable=self._serializable)

    async def statuses(self, cluster: Cluster, timeout_s: float) -> Mapping[str, NodeStatus]:
        """What each node says of itself; only of those that answered in time."""

        async def ask(node: str) -> NodeStatus | None:
            http = HttpClient(cluster, node, CLIENT_PORT)
            answer = await answer_of(http, "POST", "/v3/maintenance/status", {}, timeout_s)
            match answer and answer.body:
                case {"header": {"member_id": str(member)}, "raftTerm": str(term), **more}:
                    self._names[member] = node
                    led = more.get("leader")  # left out by a node that knows of none
                    role = "leader" if led == member else "follower" if led else "candidate"
                    return NodeStatus(node, role, int(term), str(led) if led else None)
            return None

        answers = [it for it in await asyncio.gather(*map(ask, cluster.nodes)) if it is not None]
        named = (replace(it, leader=self._names.get(it.leader or "")) for it in answers)
        return {status.node: status for status in named}


def _client(cluster: Cluster, node: str, *, serializable: bool) -> VersionedClient:
    http = HttpClient(cluster, node, CLIENT_PORT)
    return VersionedClient(EtcdStore(http, serializable=serializable), node)
