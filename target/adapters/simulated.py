"""A client's requests to a node of a simulated cluster."""

from __future__ import annotations

import json

from harness.core.simulation import Exchanges
from target.adapters.http import Broken, NotSent, Response


class SimulatedHttp:
    """As :class:`target.adapters.http.HttpClient`, by exchanges instead of a connection."""

    def __init__(self, cluster: Exchanges, node: str) -> None:
        self._cluster = cluster
        self._node = node

    async def request(
        self, method: str, path: str, body: object | None, timeout_s: float
    ) -> Response:
        """See :class:`target.adapters.http.Requests`."""
        data = b"" if body is None else json.dumps(body).encode()
        try:
            status, answer = await self._cluster.exchange(self._node, method, path, data, timeout_s)
        except ConnectionRefusedError as error:
            raise NotSent(str(error)) from error
        except ConnectionResetError as error:
            raise Broken(str(error)) from error
        return Response(status, dict(answer))

    async def close(self) -> None:
        """Nothing is open between two requests."""
