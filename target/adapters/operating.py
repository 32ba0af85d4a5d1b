"""What an operator does to the reference cluster: members, leadership, compaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from harness.core.cluster import Cluster
from harness.core.errors import NodeFailure
from harness.core.protocols import Members
from target.adapters.http import Broken, NotSent, Requests, Response, answer_of

LOOK_S = 0.3
"""How long nodes are given to say who they are: one that is paused says nothing."""


class Operated:
    """Implements :class:`harness.core.protocols.HasMembership`, ``HasTransfer``, ``HasCompaction``
    by requests to single nodes."""

    def requests(self, cluster: Cluster, node: str) -> Requests:
        """A way to ask a node."""
        raise NotImplementedError

    async def members(self, cluster: Cluster, timeout_s: float) -> Members | None:
        """See the protocol. The leader has to serve a read first: one that leads no more cannot,
        and whatever an older leader left unfinished is settled by then."""
        leaders = await self._leaders(cluster)
        leader = max(leaders, key=lambda node: _number(leaders[node], "term"), default=None)
        if leader is None:
            return None
        path = "/v1/kv/ready"
        read = await answer_of(self.requests(cluster, leader), "GET", path, None, timeout_s)
        if read is None or read.status != 200:
            return None
        status = await self.status(cluster, leader)
        match status:
            case {"role": "leader", "members": dict(members)} if _number(
                status, "config"
            ) <= _number(status, "commit"):
                return Members(_named(members, "voter"), _named(members, "learner"))
        return None

    async def remove_member(self, cluster: Cluster, node: str, timeout_s: float) -> None:
        """See the protocol."""
        await self._change(cluster, {"remove": node}, timeout_s)

    async def add_learner(self, cluster: Cluster, node: str, timeout_s: float) -> None:
        """See the protocol. The node says itself who it is."""
        identity = _number(await self.status(cluster, node), "identity")
        if identity < 0:
            raise NodeFailure(f"{node} does not say who it is")
        await self._change(cluster, {"learner": node, "identity": identity}, timeout_s)

    async def promote(self, cluster: Cluster, node: str, timeout_s: float) -> None:
        """See the protocol."""
        await self._change(cluster, {"promote": node}, timeout_s)

    async def transfer(self, cluster: Cluster, to: str, timeout_s: float) -> None:
        """See the protocol."""
        leaders = await self._leaders(cluster)
        await self._any(
            cluster, {node: ("/v1/transfer", {"to": to}) for node in leaders}, timeout_s
        )

    async def compact(self, cluster: Cluster, node: str, timeout_s: float) -> int:
        """See the protocol."""
        answer = await self._any(cluster, {node: ("/v1/compact", {})}, timeout_s)
        return _number(answer.body, "value")

    async def _change(self, cluster: Cluster, body: dict[str, object], timeout_s: float) -> None:
        """Asks whoever leads or thinks so. A request that comes late, to a configuration that was
        changed meanwhile, does nothing."""
        leaders = await self._leaders(cluster)
        asked = {
            node: ("/v1/members", {**body, "after": _number(status, "config")})
            for node, status in leaders.items()
        }
        await self._any(cluster, asked, timeout_s)

    async def _any(
        self, cluster: Cluster, asked: Mapping[str, tuple[str, object]], timeout_s: float
    ) -> Response:
        """The first answer that says it was done. The others are not waited for: a leader that is
        cut off would have none.

        Raises:
            NodeFailure: nobody did it; the words of each.
        """
        words = []
        tasks = [
            asyncio.ensure_future(self._post(cluster, node, path, body, timeout_s))
            for node, (path, body) in asked.items()
        ]
        try:
            for ended in asyncio.as_completed(tasks):
                answer = await ended
                if isinstance(answer, Response):
                    return answer
                words.append(answer)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        raise NodeFailure("; ".join(words) or "nobody leads")

    async def _post(
        self, cluster: Cluster, node: str, path: str, body: object, timeout_s: float
    ) -> Response | str:
        """The answer, or in words why there is none or what it refuses."""
        http = self.requests(cluster, node)
        try:
            answer = await http.request("POST", path, body, timeout_s)
        except (NotSent, Broken, TimeoutError) as error:
            return f"{node}: {str(error) or 'no answer in time'}"
        finally:
            await http.close()
        return answer if answer.status == 200 else f"{node}: {answer.body.get('error')}"

    async def _leaders(self, cluster: Cluster) -> Mapping[str, Mapping[str, object]]:
        """The statuses of those that take themselves for the leader."""
        found = await asyncio.gather(*(self.status(cluster, node) for node in cluster.nodes))
        statuses = dict(zip(cluster.nodes, found, strict=True))
        return {node: it for node, it in statuses.items() if it.get("role") == "leader"}

    async def status(self, cluster: Cluster, node: str) -> Mapping[str, object]:
        """What a node answers when it is asked for its status; empty when it does not."""
        http = self.requests(cluster, node)
        answer = await answer_of(http, "GET", "/v1/status", None, LOOK_S)
        return {} if answer is None else answer.body


def _number(data: Mapping[str, object], name: str) -> int:
    """A number of a node's answer, -1 where it has none."""
    value = data.get(name)
    return value if isinstance(value, int) else -1


def _named(members: Mapping[str, object], role: str) -> tuple[str, ...]:
    return tuple(node for node, what in members.items() if what == role)
