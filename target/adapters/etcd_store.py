"""What clients ask of etcd, by the JSON gateway of its version 3 interface: keys and values in
base64, numbers of 64 bits as text ("gRPC gateway" in its documentation)."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence

from harness.core.values import freeze
from target.adapters.http import HttpClient
from target.adapters.versioned import Change, Held, InDoubt, Refused

REFUSED = (400, 404)
"""Answers to what was not even proposed. Whatever else is answered, a write may come to be."""


class EtcdStore:
    """One connection to a node. Implements :class:`target.adapters.versioned.Store`.

    A version is a revision of the whole store, so it also orders writes to different keys.
    """

    def __init__(self, http: HttpClient, *, serializable: bool) -> None:
        self._http = http
        self._serializable = serializable
        self.close = self._http.close

    async def get(self, keys: Sequence[str], timeout_s: float) -> list[Held]:
        """By the node's own memory alone if reads are serializable; several in a transaction."""
        wanted = [{"key": _code(key), "serializable": self._serializable} for key in keys]
        if len(wanted) == 1:
            return [_held(await self._ask("range", wanted[0], timeout_s))]
        body = {"success": [{"request_range": it} for it in wanted]}
        match await self._ask("txn", body, timeout_s):
            case {"responses": list(answers)} if len(answers) == len(keys):
                return [_held(it.get("response_range")) for it in answers]
        raise InDoubt("an answer that is none to a transaction")

    async def put(self, key: str, text: str, timeout_s: float) -> int:
        """A put."""
        return _revision(await self._ask("put", _entry(key, text), timeout_s))

    async def put_if(self, changes: Sequence[Change], timeout_s: float) -> int | None:
        """A transaction; what is not there was last changed in revision 0."""
        compare = [
            {"key": _code(it.key), "result": "EQUAL"}
            | (
                {"target": "VALUE", "value": _code(it.held)}
                if isinstance(it.held, str)
                else {"target": "MOD", "mod_revision": str(it.held)}
            )
            for it in changes
        ]
        then = [{"request_put": _entry(it.key, it.text)} for it in changes]
        body = await self._ask("txn", {"compare": compare, "success": then}, timeout_s)
        return _revision(body) if body.get("succeeded") else None

    async def _ask(self, what: str, body: object, timeout_s: float) -> dict[str, object]:
        answer = await self._http.request("POST", f"/v3/kv/{what}", body, timeout_s)
        if answer.status == 200:
            return answer.body
        words = str(answer.body.get("error") or answer.status)
        raise Refused(words) if answer.status in REFUSED else InDoubt(words)


def _held(answer: object) -> Held:
    match answer:
        case {"kvs": [{"value": str(text), "mod_revision": str(revision)}]}:
            return Held(freeze(json.loads(b64decode(text))), int(revision))
        case {"header": _, **more} if "kvs" not in more:
            return Held(None, 0)
    raise InDoubt("an answer that is none to a range")


def _code(text: str) -> str:
    return b64encode(text.encode()).decode()


def _entry(key: str, text: str) -> dict[str, str]:
    return {"key": _code(key), "value": _code(text)}


def _revision(body: Mapping[str, object]) -> int:
    match body:
        case {"header": {"revision": str(revision)}}:
            return int(revision)
    raise InDoubt("an answer without a revision")
