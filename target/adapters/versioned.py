"""A client of stores whose keys have versions: what clients call, by optimistic transactions.

A register is written and compared by the store. Everything else (sets, lists, counters, queues,
locks, the accounts of a bank) is read, changed here, and put back on the condition that nobody was
faster; whoever was not is told so for certain, and tries again within the same call. A put whose
fate is unknown is never made again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from harness.core.errors import UsageError
from harness.core.operations import ANSWERED, MISMATCH, Call, Completion, Outcome
from harness.core.values import Value, thaw
from target.adapters.http import Broken, NotSent


class Refused(Exception):
    """The store did not do it, and never will."""


class InDoubt(Exception):
    """The store does not say whether it did it."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a key holds, and since which version; of a key that is not there None and 0."""

    value: Value
    version: int


FUNCTIONS = ANSWERED | {
    *("write", "put", "cas", "add", "append", "increment", "enqueue", "release"),
    *("open", "transfer"),
}
"""All that clients can call here (:class:`harness.core.protocols.HasFunctions`)."""


class Store(Protocol):
    """One connection to a store; texts are JSON.

    Every method may raise, besides what it says: :class:`Refused` and
    :class:`~target.adapters.http.NotSent` (surely not done), :class:`InDoubt`,
    :class:`~target.adapters.http.Broken` and TimeoutError (nobody knows).
    """

    async def get(self, keys: Sequence[str], timeout_s: float) -> list[Held]:
        """What these keys hold, all at one instant."""

    async def put(self, key: str, text: str, timeout_s: float) -> int:
        """Writes; the key's version afterwards."""

    async def put_if(self, changes: Sequence[Change], timeout_s: float) -> int | None:
        """Writes all if all keys hold what they should; None if they did not."""

    async def close(self) -> None:
        """Idempotent."""


@dataclass(frozen=True, slots=True)
class Change:
    """A key's next text, if it holds this text, or still has this version."""

    key: str
    text: str
    held: str | int


class VersionedClient:
    """One process at one node. Implements :class:`harness.core.protocols.Client`."""

    def __init__(self, store: Store, node: str) -> None:
        self._store = store
        self._node = node

    async def invoke(self, call: Call, timeout_s: float) -> Completion:
        """One operation. Raises UsageError for a function that the store does not have."""
        try:
            return await self._invoke(call, key_text(call.key), timeout_s)
        except (NotSent, Refused) as error:
            return self._failed(str(error))
        except (Broken, InDoubt, TimeoutError) as error:
            return Completion(Outcome.INFO, error=str(error) or "timed out", node=self._node)

    async def _invoke(self, call: Call, key: str, timeout_s: float) -> Completion:
        store = self._store
        match call.f, call.value:
            case (("read" | "get"), _):
                (held,) = await store.get([key], timeout_s)
                return Completion(Outcome.OK, held.value, None, self._node, held.version)
            case "snapshot", (*names,):
                all_ = await store.get([account(call.key, name) for name in names], timeout_s)
                return Completion(Outcome.OK, tuple(it.value for it in all_), None, self._node)
            case (("write" | "put"), value):
                return self._done(await store.put(key, _text(value), timeout_s))
            case "cas", (expected, new):
                held_text = 0 if expected is None else _text(expected)
                done = await store.put_if([Change(key, _text(new), held_text)], timeout_s)
                return self._failed(MISMATCH) if done is None else self._done(done)
            case "open", (*names, int()):
                return await self._change(call, [account(call.key, it) for it in names], timeout_s)
            case "transfer", (*names, int()):
                return await self._change(call, [account(call.key, it) for it in names], timeout_s)
            case f, _ if f in FUNCTIONS:
                return await self._change(call, [key], timeout_s)
            case _:
                raise UsageError(f"this store has no operation {call.f} {call.value!r}")

    async def _change(self, call: Call, keys: Sequence[str], timeout_s: float) -> Completion:
        """Until nobody was faster. A read has no effect: as long as nothing else was sent, or all
        of that was refused, the call was surely not done.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while (left := until - loop.time()) > 0:
            try:
                held = await self._store.get(keys, left)
            except (Broken, InDoubt, TimeoutError) as error:
                return self._failed(f"not read: {str(error) or 'timed out'}")
            values, answer = changed(call, [it.value for it in held])
            if not values:
                return Completion(Outcome.OK, answer, None, self._node, held[0].version)
            changes = [
                Change(key, _text(value), it.version)
                for key, value, it in zip(keys, values, held, strict=True)
            ]
            done = await self._store.put_if(changes, until - loop.time())
            if done is not None:
                return replace(self._done(done), value=answer)
        return self._failed("others were faster each time")

    def _done(self, version: int) -> Completion:
        return Completion(Outcome.OK, None, None, self._node, version)

    def _failed(self, error: str) -> Completion:
        return Completion(Outcome.FAIL, error=error, node=self._node)

    async def close(self) -> None:
        """Idempotent."""
        await self._store.close()


def changed(call: Call, held: Sequence[Value]) -> tuple[tuple[Value, ...], Value]:
    """What keys hold after a call, and its answer; nothing where they stay as they are.

    None is what a key holds that nobody has touched. A lock is (whether it is held, its last
    token).

    Raises:
        Refused: as things are it cannot be done; ``mismatch`` if that says what a key holds.
    """
    match call.f, (*held,), call.value:
        case "open", [*_], (*names, int(balance)):
            return tuple(_sum(it, balance) for it, _ in zip(held, names, strict=True)), None
        case "transfer", [source, to], (_, _, int(amount)):
            if _sum(source, 0) < amount:
                raise Refused(MISMATCH)
            return (_sum(source, -amount), _sum(to, amount)), None
        case _, [value], _:
            return _changed(call, value)
    raise Refused("wrong type")


def _sum(held: Value, delta: int) -> int:
    match held:
        case None | int():
            return (held or 0) + delta
    raise Refused("wrong type")


def _changed(call: Call, held: Value) -> tuple[tuple[Value, ...], Value]:
    match call.f, held, call.value:
        case "increment", _, int(delta):
            return (_sum(held, delta),), None
        case "generate", _, None:
            return (_sum(held, 1),), _sum(held, 1)
        case (("append" | "enqueue"), (None | tuple()), element):
            return ((*(held or ()), element),), None
        case "add", (None | tuple()), element:
            return ((*(item for item in held or () if item != element), element),), None
        case "dequeue", (None | ()), _:
            return (), None
        case "dequeue", (oldest, *others), _:
            return (tuple(others),), oldest
        case "acquire", None, _:
            return ((True, 1),), 1
        case "acquire", (False, int(token)), _:
            return ((True, token + 1),), token + 1
        case "release", (True, token), mine if token == mine:
            return ((False, token),), None
        case (("acquire" | "release"), (None | (bool(), int())), _):
            raise Refused(MISMATCH)
    raise Refused("wrong type")


def account(bank: Value, name: Value) -> str:
    """The key of one of a bank's accounts."""
    return f"{key_text(bank)}/{key_text(name)}"


def key_text(key: Value) -> str:
    """A key as a store names it: texts as they are, everything else as JSON.

    (So 1 and "1" are one key; no workload uses both.)
    """
    return key if isinstance(key, str) else json.dumps(thaw(key))


def _text(value: Value) -> str:
    """A value as JSON; the same text for the same value, as stores compare texts.

    Raises:
        UsageError: nil, which is what a key that is not there holds.
    """
    if value is None:
        raise UsageError("this store cannot hold nil")
    return json.dumps(thaw(value), separators=(",", ":"), sort_keys=True)
