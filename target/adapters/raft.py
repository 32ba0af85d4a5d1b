"""The reference cluster as a target."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import sys
from collections.abc import Mapping
from urllib.parse import quote

from harness.core.cluster import Cluster, Place, ServerSpec
from harness.core.errors import NodeFailure, UsageError
from harness.core.operations import Call, Completion, Outcome
from harness.core.protocols import Client, NodeStatus, TargetOptions
from harness.core.simulation import Exchanges, Host, SimulatedServer
from harness.core.values import Value, freeze, thaw
from target.adapters.http import Broken, HttpClient, NotSent, Requests, Response
from target.adapters.simulated import SimulatedHttp
from target.adapters.simulation import SimulatedNode
from target.bugs import UnknownBug, resolve
from target.options import CLIENT_PORT, PEER_PORT, parse

PAUSE_S = 0.02
"""Between attempts at the same operation."""
POLL_S = 0.05
LOG_LINES = 5


class RaftTarget:
    """The project's own Raft. Keys are registers, sets, lists or counters by their first use."""

    name = "raft"
    promise = "linearizable reads and writes, and to lose nothing it acknowledged"
    trace_file = "trace.jsonl"

    def __init__(self, options: TargetOptions) -> None:
        """Raises:
        UsageError: a bug that is none.
        """
        try:
            resolve(options.bugs)
        except UnknownBug as error:
            raise UsageError(str(error)) from None
        self.options = options
        # Sessions must differ from those of any other program that talks to the same cluster.
        self._nonce = secrets.token_hex(4)
        self._clients = 0

    def server(self, place: Place) -> ServerSpec:
        """The command that starts a node."""
        peers = ",".join(
            f"{node}={address}:{PEER_PORT}" for node, address in place.addresses.items()
        )
        timeouts = ",".join(str(number) for number in self.options.election_timeout_ms)
        argv = [place.python, "-m", "target.server", "--node", place.node, "--home", place.home]
        argv += ["--peers", peers, "--election-timeout", timeouts]
        argv += ["--seed", str(self.options.seed)]
        for bug in self.options.bugs:
            argv += ["--bug", bug]
        env = {"PYTHONPATH": place.code, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        return ServerSpec(tuple(argv), env)

    def simulated(self, host: Host, rng: random.Random) -> SimulatedServer:
        """The server of a simulated node, by the same command line."""
        addresses = {node: node for node in host.nodes}
        place = Place(host.node, addresses, sys.executable, "", str(host.home))
        return SimulatedNode(host, parse(self.server(place).argv[3:]), rng)

    async def await_ready(self, cluster: Cluster, timeout_s: float) -> None:
        """Returns when all running nodes know one leader and each has served a read.

        Raises:
            NodeFailure: not within the time.
        """
        lacking = "no node runs"
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    running = [
                        node
                        for node in cluster.nodes
                        if (await cluster.processes.state(node)).state == "running"
                    ]
                    lacking = await self._lacking(cluster, running)
                    if not lacking:
                        return
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise NodeFailure(
                f"the cluster is not ready after {timeout_s:g} s: {lacking}"
            ) from None

    async def _lacking(self, cluster: Cluster, running: list[str]) -> str:
        """What is missing to be ready; empty when nothing is."""
        statuses = await self.statuses(cluster, 1.0)
        for node in running:
            if node not in statuses:
                return f"{node} does not answer{_tail(cluster, node)}"
        leaders = {status.leader for status in statuses.values()}
        if len(leaders) != 1 or None in leaders:
            words = ", ".join(f"{node} follows {it.leader}" for node, it in statuses.items())
            return f"no common leader ({words})" if words else "no node runs"
        reads = await asyncio.gather(*(self._serves(cluster, node) for node in running))
        return "; ".join(word for word in reads if word)

    async def _serves(self, cluster: Cluster, node: str) -> str:
        http = _requests(cluster, node)
        try:
            answer = await http.request("GET", "/v1/kv/ready", None, 1.0)
        except (NotSent, Broken, TimeoutError) as error:
            return f"{node} does not serve reads: {error or 'timed out'}"
        finally:
            await http.close()
        return "" if answer.status == 200 else f"{node} does not serve reads: {answer.body}"

    def client(self, cluster: Cluster, node: str, process: int) -> Client:
        """A client of ``process`` that talks to ``node``."""
        self._clients += 1
        # Nobody else can talk to a simulated cluster, and the same run has the same names.
        nonce = "sim" if isinstance(cluster, Exchanges) else self._nonce
        session = f"{nonce}-{process}-{self._clients}"
        return RaftClient(_requests(cluster, node), node, session)

    async def statuses(self, cluster: Cluster, timeout_s: float) -> Mapping[str, NodeStatus]:
        """What each node says of itself; only of those that answered in time."""
        answers = await asyncio.gather(
            *(self._status(cluster, node, timeout_s) for node in cluster.nodes)
        )
        return {status.node: status for status in answers if status is not None}

    async def _status(self, cluster: Cluster, node: str, timeout_s: float) -> NodeStatus | None:
        http = _requests(cluster, node)
        try:
            answer = await http.request("GET", "/v1/status", None, timeout_s)
        except (NotSent, Broken, TimeoutError):
            return None
        finally:
            await http.close()
        match answer.body:
            case {
                "role": str(role),
                "term": int(term),
                "leader": str() | None as leader,
                "wall_ns": int(wall_ns),
            }:
                return NodeStatus(node, role, term, leader, wall_ns)
            case _:
                return None


class RaftClient:
    """One process: one session at one node. Implements :class:`harness.core.protocols.Client`.

    A write whose fate is unknown is sent again under the same number, to the same node, while
    there is time: the session makes it one operation, whatever arrived before.
    """

    def __init__(self, http: Requests, node: str, session: str) -> None:
        self._http = http
        self._node = node
        self._session = session
        self._seq = 0

    async def invoke(self, call: Call, timeout_s: float) -> Completion:
        """One operation. Raises UsageError for a function that the store does not have."""
        key = quote(key_text(call.key), safe="")
        if call.f in ("read", "get"):
            return await self._attempts("GET", f"/v1/kv/{key}", None, timeout_s)
        self._seq += 1
        session: dict[str, object] = {"session": self._session, "seq": self._seq}
        method, path = "POST", f"/v1/kv/{key}/{call.f}"
        match call.f, call.value:
            case (("write" | "put"), value):
                method, path = "PUT", f"/v1/kv/{key}"
                body = {"value": thaw(value), **session}
            case "cas", (expected, new):
                body = {"expect": thaw(expected), "value": thaw(new), **session}
            case (("append" | "add"), value):
                body = {"value": thaw(value), **session}
            case "increment", value:
                body = {"delta": thaw(value), **session}
            case _:
                raise UsageError(f"target raft has no operation {call.f} {call.value!r}")
        return await self._attempts(method, path, body, timeout_s)

    async def _attempts(
        self, method: str, path: str, body: object | None, timeout_s: float
    ) -> Completion:
        """Tries until there is an answer, a definite refusal, or no time left.

        ``doubt`` says why an earlier attempt may have taken effect; from then on a refusal of a
        later one says nothing about the whole. A read has no effect to be in doubt about.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        doubt: str | None = None
        while (left := until - loop.time()) > 0:
            try:
                answer = await self._http.request(method, path, body, left)
            except NotSent as error:
                if doubt is None:
                    return self._failed(str(error))
            except Broken as error:
                if body is not None:
                    doubt = str(error)
            except TimeoutError:
                break
            else:
                if answer.status == 200:
                    return self._succeeded(answer, reads=body is None)
                error_word, definite = str(answer.body.get("error")), answer.body.get("definite")
                if error_word == "mismatch":  # the session's own answer, whichever attempt's
                    return self._failed(error_word, answer)
                if definite is True and doubt is None:
                    return self._failed(error_word, answer)
                if definite is not True and body is not None:
                    doubt = error_word
            await asyncio.sleep(min(PAUSE_S, max(0.0, until - loop.time())))
        return Completion(Outcome.INFO, error=doubt or "timed out", node=self._node)

    def _succeeded(self, answer: Response, *, reads: bool) -> Completion:
        value: Value = freeze(answer.body["value"]) if reads else None
        position = answer.body.get("index")
        return Completion(
            Outcome.OK, value, None, self._node, position if isinstance(position, int) else None
        )

    def _failed(self, error: str, answer: Response | None = None) -> Completion:
        position = answer.body.get("index") if answer is not None else None
        return Completion(
            Outcome.FAIL,
            error=error,
            node=self._node,
            position=position if isinstance(position, int) else None,
        )

    async def close(self) -> None:
        """Idempotent."""
        await self._http.close()


def _requests(cluster: Cluster, node: str) -> Requests:
    if isinstance(cluster, Exchanges):
        return SimulatedHttp(cluster, node)
    return HttpClient(cluster, node, CLIENT_PORT)


def key_text(key: Value) -> str:
    """A key as the store names it: texts as they are, everything else as JSON.

    (So 1 and "1" are one key; no workload uses both.)
    """
    return key if isinstance(key, str) else json.dumps(thaw(key))


def _tail(cluster: Cluster, node: str) -> str:
    """The last lines of a node's log, to end a message with."""
    try:
        lines = (cluster.home(node) / "log.txt").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in lines[-LOG_LINES:])
