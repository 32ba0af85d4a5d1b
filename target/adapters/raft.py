"""The reference cluster as a target."""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import cast
from urllib.parse import quote

from harness.core.cluster import Cluster, Place, ServerSpec
from harness.core.errors import UsageError
from harness.core.operations import ANSWERED, Call, Completion, Outcome
from harness.core.protocols import Client, NodeStatus, TargetOptions
from harness.core.simulation import Exchanges, Host, SimulatedServer
from harness.core.values import freeze, thaw
from target.adapters.http import Broken, HttpClient, NotSent, Requests, Response, answer_of
from target.adapters.operating import Operated
from target.adapters.ready import await_leader
from target.adapters.simulated import SimulatedHttp
from target.adapters.simulation import SimulatedNode
from target.adapters.versioned import FUNCTIONS, account, key_text
from target.bugs import UnknownBug, resolve
from target.options import CLIENT_PORT, PEER_PORT, parse

PAUSE_S = 0.02
"""Between attempts at the same operation."""
ELECTION_TIMEOUT_MS = (100, 300)
CHOICES: Mapping[str, tuple[str, ...]] = {
    # So few that a short run compacts its logs, and a node that was cut off gets a snapshot.
    "snapshot-entries": ("30", "5", "1000"),
    "batch-entries": ("4", "1", "64"),
    "sessions": ("yes", "no"),
}


class RaftTarget(Operated):
    """The project's own Raft. The first use of a key decides what it is."""

    name = "raft"
    functions = FUNCTIONS
    promise = "linearizable reads and writes, and to lose nothing it acknowledged"
    trace_file = "trace.jsonl"
    clock_file = "clock.json"
    choices = CHOICES
    harmless = frozenset(CHOICES)

    def __init__(self, options: TargetOptions) -> None:
        """Raises:
        UsageError: a bug that is none.
        """
        try:
            resolve(options.bugs)
        except UnknownBug as error:
            raise UsageError(str(error)) from None
        self.options = options
        self._chosen = {name: values[0] for name, values in CHOICES.items()} | dict(options.choices)
        # Sessions must differ from those of any other program that talks to the same cluster.
        self._nonce = secrets.token_hex(4)
        self._clients = 0

    def server(self, place: Place) -> ServerSpec:
        """The command that starts a node."""
        peers = ",".join(
            f"{node}={address}:{PEER_PORT}" for node, address in place.addresses.items()
        )
        timeouts = self.options.election_timeout_ms or ELECTION_TIMEOUT_MS
        argv = [place.python, "-m", "target.server", "--node", place.node, "--home", place.home]
        argv += ["--peers", peers, "--election-timeout", ",".join(map(str, timeouts))]
        argv += ["--seed", str(self.options.seed)]
        for name in ("snapshot-entries", "batch-entries"):
            argv += [f"--{name}", self._chosen[name]]
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
        await await_leader(cluster, self, partial(self._serves, cluster), timeout_s)

    async def _serves(self, cluster: Cluster, node: str) -> str:
        http = _requests(cluster, node)
        try:
            answer = await http.request("GET", "/v1/kv/ready", None, 1.0)
            status = await http.request("GET", "/v1/status", None, 1.0)
        except (NotSent, Broken, TimeoutError) as error:
            return f"{node} does not serve reads: {str(error) or 'timed out'}"
        finally:
            await http.close()
        if answer.status != 200:
            return f"{node} does not serve reads: {answer.body}"
        # Before that a member that loses its disk cannot be told from the one that it was.
        return "" if status.body.get("settled") else f"{node} does not know who the members are"

    def client(self, cluster: Cluster, node: str, process: int) -> Client:
        """A client of ``process`` that talks to ``node``."""
        self._clients += 1
        # Nobody else can talk to a simulated cluster, and the same run has the same names.
        nonce = "sim" if _exchanges(type(cluster)) else self._nonce
        session: str | None = f"{nonce}-{process}-{self._clients}"
        if self._chosen["sessions"] == "no":
            session = None
        return RaftClient(_requests(cluster, node), node, session)

    def requests(self, cluster: Cluster, node: str) -> Requests:
        """A way to ask a node."""
        return _requests(cluster, node)

    async def statuses(self, cluster: Cluster, timeout_s: float) -> Mapping[str, NodeStatus]:
        """What each node says of itself; only of those that answered in time."""
        answers = await asyncio.gather(
            *(self._node_status(cluster, node, timeout_s) for node in cluster.nodes)
        )
        return {status.node: status for status in answers if status is not None}

    async def _node_status(
        self, cluster: Cluster, node: str, timeout_s: float
    ) -> NodeStatus | None:
        http = _requests(cluster, node)
        answer = await answer_of(http, "GET", "/v1/status", None, timeout_s)
        match answer and answer.body:
            case {
                "role": str(role),
                "term": int(term),
                "leader": str() | None as leader,
                "wall_ns": int(wall_ns),
                "monotonic_ns": int(monotonic_ns),
            }:
                return NodeStatus(node, role, term, leader, wall_ns, monotonic_ns)
            case _:
                return None


class RaftClient:
    """One process: one session at one node. Implements :class:`harness.core.protocols.Client`.

    A write whose fate is unknown is sent again under the same number, to the same node, while
    there is time: the session makes it one operation, whatever arrived before. Without a session it
    is sent once.
    """

    def __init__(self, http: Requests, node: str, session: str | None) -> None:
        self._http = http
        self._node = node
        self._session = session
        self._seq = 0

    async def invoke(self, call: Call, timeout_s: float) -> Completion:
        """One operation. Raises UsageError for a function that the store does not have."""
        method, path, body, writes = _request(call)
        if writes and self._session is not None:
            self._seq += 1
            body = {**(body or {}), "session": self._session, "seq": self._seq}
        done = await self._attempts(method, path, body, timeout_s, reads=not writes)
        return done if call.f in ANSWERED else replace(done, value=None)

    async def _attempts(
        self, method: str, path: str, body: object | None, timeout_s: float, *, reads: bool
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
                if not reads:
                    doubt = str(error)
            except TimeoutError:
                break
            else:
                if answer.status == 200:
                    return self._succeeded(answer)
                error_word, definite = str(answer.body.get("error")), answer.body.get("definite")
                if error_word == "mismatch":  # the session's own answer, whichever attempt's
                    return self._failed(error_word, answer)
                if definite is True and doubt is None:
                    return self._failed(error_word, answer)
                if definite is not True and not reads:
                    doubt = error_word
            if doubt is not None and self._session is None:
                break  # a second one would be another write
            await asyncio.sleep(min(PAUSE_S, max(0.0, until - loop.time())))
        return Completion(Outcome.INFO, error=doubt or "timed out", node=self._node)

    def _succeeded(self, answer: Response) -> Completion:
        value = freeze(answer.body["value"])
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


def _request(call: Call) -> tuple[str, str, dict[str, object] | None, bool]:
    """Method, path and body for a call, and whether it writes.

    Raises:
        UsageError: a function that the store does not have.
    """
    key = key_text(call.key)
    path = f"/v1/kv/{quote(key, safe='')}"
    match call.f, call.value:
        case (("read" | "get"), _):
            return "GET", path, None, False
        case (("write" | "put"), value):
            return "PUT", path, {"value": thaw(value)}, True
        case "cas", (expected, new):
            return "POST", f"{path}/cas", {"expect": thaw(expected), "value": thaw(new)}, True
        case (("append" | "add" | "enqueue"), value):
            return "POST", f"{path}/{call.f}", {"value": thaw(value)}, True
        case "increment", value:
            return "POST", f"{path}/increment", {"delta": thaw(value)}, True
        case "generate", _:
            return "POST", f"{path}/next", {}, True
        case (("dequeue" | "acquire"), _):
            return "POST", f"{path}/{call.f}", {}, True
        case "release", token:
            return "POST", f"{path}/release", {"token": thaw(token)}, True
        case "snapshot", (*accounts,):
            names = [account(call.key, name) for name in accounts]
            return "POST", "/v1/snapshot", {"keys": names}, False
        case "open", (*accounts, int(balance)):
            steps = [["increment", account(call.key, name), balance] for name in accounts]
            return "POST", "/v1/txn", {"steps": steps}, True
        case "transfer", (source, to, int(amount)):
            poorer, richer = account(call.key, source), account(call.key, to)
            steps = [["at_least", poorer, amount]]
            steps += [["increment", poorer, -amount], ["increment", richer, amount]]
            return "POST", "/v1/txn", {"steps": steps}, True
        case _:
            raise UsageError(f"target raft has no operation {call.f} {call.value!r}")


@cache
def _exchanges(kind: type[Cluster]) -> bool:
    """Asked for every client: looking at a protocol's members takes its time."""
    return issubclass(kind, Exchanges)


def _requests(cluster: Cluster, node: str) -> Requests:
    if _exchanges(type(cluster)):
        return SimulatedHttp(cast(Exchanges, cluster), node)
    return HttpClient(cluster, node, CLIENT_PORT)
