"""What a client of a store with versions is told: done, surely not done, or nobody knows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from harness.core.errors import UsageError
from harness.core.operations import MISMATCH, Call, Completion, Outcome
from harness.core.values import freeze
from target.adapters.http import Broken, NotSent
from target.adapters.versioned import Change, Held, InDoubt, Refused, VersionedClient

OK, FAIL, INFO = Outcome.OK, Outcome.FAIL, Outcome.INFO
SURE: list[Exception] = [NotSent("connection refused"), Refused("no such request")]
OPEN: list[Exception] = [InDoubt("leader changed"), Broken("reset"), TimeoutError()]


@dataclass
class Memory:
    """A store in memory that can be made to fail, and to be changed behind a client's back."""

    held: dict[str, tuple[str, int]] = field(default_factory=dict)
    version: int = 0
    broken: dict[str, Exception] = field(default_factory=dict)
    before_put: Callable[[], None] = lambda: None
    puts: int = 0

    async def get(self, keys: Sequence[str], timeout_s: float) -> list[Held]:
        if "get" in self.broken:
            raise self.broken["get"]
        found = [self.held.get(key, ("null", 0)) for key in keys]
        return [Held(freeze(json.loads(text)), version) for text, version in found]

    async def put(self, key: str, text: str, timeout_s: float) -> int:
        if "put" in self.broken:
            raise self.broken["put"]
        self.version += 1
        self.held[key] = text, self.version
        return self.version

    async def put_if(self, changes: Sequence[Change], timeout_s: float) -> int | None:
        self.puts += 1
        self.before_put()
        if "put_if" in self.broken:
            raise self.broken["put_if"]
        for it in changes:
            if self.held.get(it.key, (None, 0))[isinstance(it.held, int)] != it.held:
                return None
        return max([await self.put(it.key, it.text, timeout_s) for it in changes])

    async def close(self) -> None:
        pass


def calls(store: Memory, *wanted: Call, timeout_s: float = 5.0) -> list[Completion]:
    client = VersionedClient(store, "n1")

    async def all_of_them() -> list[Completion]:
        return [await client.invoke(call, timeout_s) for call in wanted]

    return asyncio.run(all_of_them())


def outcome(store: Memory, call: Call, timeout_s: float = 5.0) -> tuple[Outcome, str | None]:
    (done,) = calls(store, call, timeout_s=timeout_s)
    return done.outcome, done.error


def test_registers() -> None:
    read = Call("read", "x")
    wanted = [read, Call("cas", "x", (None, 1)), read, Call("cas", "x", (None, 2))]
    wanted += [Call("write", "x", 3), Call("cas", "x", (3, 4)), Call("cas", "x", (3, 5)), read]
    done = calls(Memory(), *wanted)
    assert [item.value for item in done if item.position is not None] == [
        *(None, None, 1, None, None, 4)
    ]
    assert [item.outcome for item in done] == [OK, OK, OK, FAIL, OK, OK, FAIL, OK]
    assert [item.error for item in done if item.outcome is FAIL] == [MISMATCH, MISMATCH]
    assert [item.position for item in done] == [0, 1, 1, None, 2, 3, None, 3]


def test_counters_lists_and_sets() -> None:
    wanted = [Call("increment", "c", 2), Call("increment", "c", 3), Call("read", "c")]
    wanted += [Call(f, f, item) for f in ("append", "add") for item in (1, 2, 1)]
    wanted += [Call("read", "append"), Call("read", "add"), Call("append", "c", 1)]
    done = calls(Memory(), *wanted)
    assert done[2].value == 5
    assert [item.value for item in done[-3:]] == [(1, 2, 1), (2, 1), None]
    assert (done[-1].outcome, done[-1].error) == (FAIL, "wrong type")


def test_queues_locks_and_ids() -> None:
    wanted = [Call("dequeue", "q"), Call("enqueue", "q", 1), Call("enqueue", "q", 2)]
    wanted += [Call("dequeue", "q")] * 3
    wanted += [Call("acquire", "l", 1), Call("acquire", "l", 2), Call("release", "l", 2)]
    wanted += [Call("release", "l", 1), Call("release", "l", 1), Call("acquire", "l", 2)]
    wanted += [Call("generate", "i"), Call("generate", "i")]
    done = calls(Memory(), *wanted)
    assert [item.value for item in done[:6]] == [None, None, None, 1, 2, None]
    assert [item.error for item in done[6:12]] == [
        *(None, MISMATCH, MISMATCH, None, MISMATCH, None)
    ]
    assert [item.value for item in done[6:12] if item.outcome is OK] == [1, None, 2]
    assert [item.value for item in done[12:]] == [1, 2]


def test_banks() -> None:
    look = Call("snapshot", "b", ("x", "y"))
    wanted = [look, Call("transfer", "b", ("x", "y", 1)), Call("open", "b", ("x", "y", 5)), look]
    wanted += [
        Call("transfer", "b", ("x", "y", 4)),
        look,
        Call("transfer", "b", ("x", "y", 2)),
        look,
    ]
    done = calls(Memory(), *wanted)
    assert [it.value for it in done if it.value] == [(None, None), (5, 5), (1, 9), (1, 9)]
    assert [it.error for it in done if it.outcome is not OK] == [MISMATCH, MISMATCH]


def test_a_transfer_is_made_on_both_versions_that_were_read() -> None:
    store = Memory()
    calls(store, Call("open", "b", ("x", "y", 5)))

    def others() -> None:
        if store.puts == 2:
            store.version += 1
            store.held["b/y"] = "9", store.version

    store.before_put = others
    assert outcome(store, Call("transfer", "b", ("x", "y", 5))) == (OK, None)
    assert (store.puts, store.held["b/x"][0], store.held["b/y"][0]) == (3, "0", "14")


@pytest.mark.parametrize("f", ["read", "write", "cas", "increment", "append", "add"])
def test_what_was_surely_not_done_is_a_failure(f: str) -> None:
    call = Call(f, "x", {"read": None, "cas": (None, 1)}.get(f, 1))
    for error in SURE:
        store = Memory(broken=dict.fromkeys(("get", "put", "put_if"), error))
        assert outcome(store, call) == (FAIL, str(error))


@pytest.mark.parametrize("f", ["read", "write", "cas", "increment", "append", "add"])
def test_what_nobody_knows_is_unknown_and_not_tried_again(f: str) -> None:
    call = Call(f, "x", {"read": None, "cas": (None, 1)}.get(f, 1))
    where = {"read": "get", "write": "put"}.get(f, "put_if")
    for error in OPEN:
        store = Memory(broken={where: error})
        assert outcome(store, call) == (INFO, str(error) or "timed out")
        assert store.puts <= 1


def test_a_change_that_never_got_to_its_put_was_not_done() -> None:
    for error in OPEN:
        store = Memory(broken={"get": error})
        assert outcome(store, Call("increment", "c", 1))[0] is FAIL
        assert store.puts == 0


def test_who_was_not_the_fastest_tries_again() -> None:
    store = Memory()

    def others() -> None:
        if store.puts < 3:
            store.version += 1
            store.held["c"] = str(10 * store.puts), store.version

    store.before_put = others
    assert outcome(store, Call("increment", "c", 1)) == (OK, None)
    assert (store.puts, store.held["c"][0]) == (3, "21")


def test_who_is_never_the_fastest_has_done_nothing() -> None:
    store = Memory()

    def others() -> None:
        store.version += 1
        store.held["c"] = "0", store.version

    store.before_put = others
    assert outcome(store, Call("increment", "c", 1), 0.05) == (FAIL, "others were faster each time")
    assert store.puts > 1


def test_what_the_store_cannot_do() -> None:
    with pytest.raises(UsageError, match="no operation delete"):
        calls(Memory(), Call("delete", "x"))
    with pytest.raises(UsageError, match="cannot hold nil"):
        calls(Memory(), Call("write", "x", None))
