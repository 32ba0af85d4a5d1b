"""Workloads: unique values, keys that retire, proportions, and the same calls for the same seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.check.catalogue import parse_model
from harness.check.checkers import CHECKERS
from harness.core.operations import MISMATCH, Call, Completion, Outcome
from harness.core.protocols import Workload, WorkloadOptions
from harness.core.rng import derive
from harness.core.values import Value, thaw
from workloads.append import Append
from workloads.bank import Bank
from workloads.cas_register import CasRegister
from workloads.counter import Counter
from workloads.keys import GROUP, LOOKS, Keys, is_reader
from workloads.lock import Lock
from workloads.queue import Queue
from workloads.register import Register
from workloads.set import GrowSet
from workloads.unique_ids import UniqueIds

NODES = ("n1", "n2", "n3", "n4", "n5")
Make = Callable[[Any, WorkloadOptions], Workload]
READ: tuple[Make, ...] = (Register, GrowSet, Counter, Append, CasRegister)
"""Those that end with reads."""
ALL: tuple[Make, ...] = (*READ, Queue, Lock, Bank, UniqueIds)
SEEDS = st.integers(0, 2**32)
THREADS = st.integers(1, 30)


def made(make: Make, seed: int, threads: int) -> Workload:
    return make(derive(seed, "workload"), WorkloadOptions(NODES, threads))


class Store:
    """What a perfect store would answer."""

    def __init__(self) -> None:
        self.held: dict[Value, Any] = {}

    def answer(self, call: Call) -> Completion:
        held = self.held.get(call.key)
        match call.f, call.value:
            case "read", _:
                return Completion(Outcome.OK, held)
            case "write", value:
                self.held[call.key] = value
            case "cas", (expected, new):
                if held != expected:
                    return Completion(Outcome.FAIL, error=MISMATCH)
                self.held[call.key] = new
            case "increment", int() as delta:
                self.held[call.key] = (held or 0) + delta
            case (("add" | "append" | "enqueue"), element):
                self.held[call.key] = (*(held or ()), element)
            case "dequeue", _:
                self.held[call.key] = (held or ())[1:]
                return Completion(Outcome.OK, held[0] if held else None)
            case "generate", _:
                self.held[call.key] = (held or 0) + 1
                return Completion(Outcome.OK, self.held[call.key])
            case ("acquire", _) | ("release", int()):
                return self.lock(call, *(held or (False, 0)))
            case "open", (*names, int(balance)):
                self.held[call.key] = dict.fromkeys(names, balance)
            case "transfer", (source, to, int(amount)):
                if not held or held[source] < amount:
                    return Completion(Outcome.FAIL, error=MISMATCH)
                moved = {source: held[source] - amount, to: held[to] + amount}
                self.held[call.key] = held | moved
            case "snapshot", (*names,):
                return Completion(Outcome.OK, tuple((held or {}).get(name) for name in names))
            case f, _:
                raise AssertionError(f"unknown function {f}")
        return Completion(Outcome.OK)

    def lock(self, call: Call, taken: bool, token: int) -> Completion:
        if taken == (call.f == "acquire") or (taken and token != call.value):
            return Completion(Outcome.FAIL, error=MISMATCH)
        self.held[call.key] = (not taken, token if taken else token + 1)
        return Completion(Outcome.OK, None if taken else token + 1)


def drive(
    workload: Workload, turns: list[int], store: Store | None = None
) -> Iterator[tuple[Call, Completion]]:
    """Threads call in the order of ``turns``, one call at a time."""
    store = store or Store()
    for thread in turns:
        call = workload.next(thread)
        assert call is not None
        completion = store.answer(call)
        workload.ended(call, completion)
        yield call, completion


def rounds(threads: int, calls: int) -> list[int]:
    return [number % threads for number in range(calls)]


def fresh_value(call: Call) -> Value:
    """The value that a call would bring into the store, if it must be unique."""
    match call:
        case Call(f="cas", value=(_, new)):
            return new
        case Call(f="write" | "add" | "append" | "enqueue"):
            return call.value
        case _:
            return None


@pytest.mark.parametrize("make", ALL)
@given(seed=SEEDS, threads=THREADS, turns=st.lists(st.integers(0, 29), max_size=600))
def test_no_value_comes_twice_to_a_key(
    make: Make, seed: int, threads: int, turns: list[int]
) -> None:
    calls = [
        call
        for call, _ in drive(made(make, seed, threads), [turn % threads for turn in turns])
        if fresh_value(call) is not None
    ]
    pairs = [(call.key, fresh_value(call)) for call in calls]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("make", ALL)
@settings(max_examples=15)
@given(seed=SEEDS, threads=THREADS)
def test_keys_retire_and_are_shared_by_few(make: Make, seed: int, threads: int) -> None:
    workload = made(make, seed, threads)
    uses: Tally[Value] = Tally()
    users: dict[Value, set[int]] = {}
    last: dict[Value, int] = {}
    for place, thread in enumerate(rounds(threads, 200 * threads)):
        call = workload.next(thread)
        assert call is not None
        uses[call.key] += 1
        users.setdefault(call.key, set()).add(thread)
        last[call.key] = place
    assert max(uses.values()) <= 180
    # All but the live keys had a whole life; a group's share of 1,000 calls has room for several.
    groups = max(1, round(threads / GROUP))
    short = [key for key, count in uses.items() if count < 40]
    assert len(short) <= groups
    assert len(uses) > groups
    for some in users.values():
        assert len(some) <= GROUP + 2
        assert max(some) - min(some) == len(some) - 1, "neighbours, who talk to different nodes"


@pytest.mark.parametrize(
    ("make", "reader", "writer"),
    [
        (Register, {"read": 0.9, "write": 0.05, "cas": 0.05}, {"read": 1 / 3, "write": 1 / 3}),
        (GrowSet, {"add": 1 / 3, "read": 2 / 3}, {"add": 0.9, "read": 0.1}),
        (Counter, {"increment": 0.2, "read": 0.8}, {"increment": 0.9, "read": 0.1}),
        (Append, {"append": 0.2, "read": 0.8}, {"append": 0.75, "read": 0.25}),
        (CasRegister, {"cas": 0.2, "read": 0.8}, {"cas": 0.75, "read": 0.25}),
        (Queue, {"enqueue": 0.3, "dequeue": 0.7}, {"enqueue": 0.7, "dequeue": 0.3}),
    ],
)
def test_proportions(make: Make, reader: dict[str, float], writer: dict[str, float]) -> None:
    workload = made(make, 7, 10)
    for thread, expected in ((0, reader), (1, writer)):
        assert is_reader(thread, len(NODES)) is (expected is reader)
        found = Tally(call.f for call, _ in drive(workload, [thread] * 10_000))
        for f, share in expected.items():
            # Four standard deviations of 10,000 draws are at most 0.02.
            assert abs(found[f] / 10_000 - share) < 0.02


@given(st.integers(1, 9), st.integers(1, 4))
def test_every_node_has_readers_and_writers_if_there_are_threads(nodes: int, each: int) -> None:
    kinds: dict[int, list[bool]] = {}
    for thread in range(nodes * each):
        kinds.setdefault(thread % nodes, []).append(is_reader(thread, nodes))
    for some in kinds.values():
        assert abs(some.count(True) - some.count(False)) <= 1


def test_a_cas_often_succeeds_and_often_does_not() -> None:
    ends = Tally(
        completion.outcome
        for call, completion in drive(made(Register, 7, 10), rounds(10, 5_000))
        if call.f == "cas"
    )
    assert ends[Outcome.OK] > ends.total() // 4
    assert ends[Outcome.FAIL] > ends.total() // 20


def test_a_cas_of_a_fresh_key_expects_nothing() -> None:
    workload = made(Register, 7, 5)
    cases = [call for _ in range(40) if (call := workload.next(1)) and call.f == "cas"]
    assert cases
    for call in cases:
        assert isinstance(call.value, tuple)
        assert call.value[0] is None


def test_a_cas_expects_what_was_seen() -> None:
    workload = made(Register, 7, 5)
    first = workload.next(1)
    assert first is not None
    workload.ended(Call("write", first.key, 901), Completion(Outcome.INFO))
    workload.ended(Call("write", first.key, 902), Completion(Outcome.FAIL))
    workload.ended(Call("read", first.key), Completion(Outcome.OK, 903))
    expected = {
        call.value[0]
        for _ in range(30)
        if (call := workload.next(1)) and call.key == first.key and isinstance(call.value, tuple)
    }
    assert expected == {903}


def test_increments_only_go_up() -> None:
    deltas = {
        call.value
        for call, _ in drive(made(Counter, 7, 10), rounds(10, 1_000))
        if call.f == "increment"
    }
    assert deltas == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("make", READ)
@settings(max_examples=15)
@given(seed=SEEDS, threads=THREADS)
def test_in_the_end_every_key_is_read_and_the_last_ones_everywhere(
    make: Make, seed: int, threads: int
) -> None:
    workload = made(make, seed, threads)
    keys = list(dict.fromkeys(call.key for call, _ in drive(workload, rounds(threads, 1_500))))
    final = workload.final()
    assert {call.f for _, call in final} == {"read"}
    assert {call.key for _, call in final} >= set(keys)
    everywhere = {
        key for key in keys if {node for node, call in final if call.key == key} >= set(NODES)
    }
    assert keys[-1] in everywhere
    groups = max(1, round(threads / GROUP))
    assert groups <= len(everywhere) <= 3 * groups
    assert len(final) == len(set(final))


def test_a_long_run_does_not_end_in_endless_reads() -> None:
    workload = made(Register, 7, 10)
    for thread in rounds(10, 100_000):
        workload.next(thread)
    final = workload.final()
    assert LOOKS // 2 <= len(final) <= LOOKS + 6 * len(NODES)


@given(SEEDS, THREADS, st.lists(st.integers(0, 29), min_size=50, max_size=300))
def test_a_thread_draws_the_same_whatever_others_do(
    seed: int, threads: int, turns: list[int]
) -> None:
    """What a thread does next depends on its own past; only which key is live is common.

    (And in a bank, who came first and opened it.)
    """
    for make in (it for it in ALL if it is not Bank):
        one, two = made(make, seed, threads), made(make, seed, threads)
        alone = [call.f for _ in range(20) if (call := one.next(0)) is not None]
        among: list[str] = []
        for turn in turns:
            two.next(turn % threads) if turn % threads else None
            if len(among) < 20 and (call := two.next(0)) is not None:
                among.append(call.f)
        assert among == alone[: len(among)]


def test_in_the_end_queues_are_drained() -> None:
    store, workload = Store(), made(Queue, 7, 10)
    for _ in drive(workload, rounds(10, 2_000), store):
        pass
    found: dict[Value, list[Value]] = {}
    for _, call in workload.final():
        assert call.f == "dequeue"
        found.setdefault(call.key, []).append(store.answer(call).value)
    assert len(found) > 10
    assert {key for key, held in store.held.items() if held} == set()
    assert all(values[-1] is None and None not in values[:-1] for values in found.values())


def test_who_has_a_lock_releases_it_next_and_nobody_else_does() -> None:
    holder: dict[Value, int] = {}
    store, workload = Store(), made(Lock, 7, 10)
    for thread in rounds(10, 3_000):
        call = workload.next(thread)
        assert call is not None
        assert (call.f == "release") == (thread in holder.values())
        done = store.answer(call)
        workload.ended(call, done)
        if call.f == "release":
            assert holder.pop(call.key) == thread
        elif done.outcome is Outcome.OK:
            holder[call.key] = thread


def test_locks_and_banks_that_nobody_knows_about_are_given_up() -> None:
    for make in (Lock, Bank):
        workload, keys = made(make, 7, 5), []
        for _ in range(5):
            call = workload.next(0)
            assert call is not None
            assert call.f in ("acquire", "open")
            keys.append(call.key)
            workload.ended(call, Completion(Outcome.INFO))
        assert len(set(keys)) == 5


def test_before_a_bank_is_open_others_only_look() -> None:
    workload = made(Bank, 7, 5)
    first = workload.next(0)
    assert first is not None
    early = {call.f for thread in rounds(5, 20) if (call := workload.next(thread))}
    workload.ended(first, Completion(Outcome.OK))
    late = {call.f for thread in rounds(5, 20) if (call := workload.next(thread))}
    assert (first.f, early, late) == ("open", {"snapshot"}, {"snapshot", "transfer"})


@pytest.mark.parametrize("make", ALL)
@given(seed=SEEDS)
def test_they_call_what_they_say(make: Make, seed: int) -> None:
    workload = made(make, seed, 10)
    called = {call.f for call, _ in drive(workload, rounds(10, 300))}
    assert called == workload.functions
    assert {call.f for _, call in workload.final()} <= workload.functions
    if workload.model is not None:
        assert workload.functions <= parse_model(workload.model).functions


@pytest.mark.parametrize("make", ALL)
def test_models_and_checkers_exist(make: Make) -> None:
    workload = made(make, 1, 5)
    assert set(workload.checkers) <= CHECKERS.keys()
    assert (workload.model is not None) == ("linearizable" in workload.checkers)
    if workload.model is not None:
        parse_model(workload.model)


@given(st.integers(1, 100))
def test_groups_are_even(threads: int) -> None:
    keys = Keys(derive(1, "keys"), threads, (5, 5))
    sizes = Tally(keys.group(thread) for thread in range(threads))
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert max(sizes.values()) <= GROUP + 2


DUMP = """
import json, sys
from tests.property.test_workloads import everything
json.dump(everything(), sys.stdout)
"""


def everything() -> Any:
    """Calls of every workload under a perfect store, as JSON data."""
    return [
        [[call.f, thaw(call.key), thaw(call.value)] for call, _ in drive(workload, rounds(7, 400))]
        for make in ALL
        for workload in (made(make, 5, 7),)
    ]


def test_the_same_seed_gives_the_same_calls_under_any_hash_seed() -> None:
    outputs = set()
    for hash_seed in ("0", "1", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", DUMP],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert json.loads(outputs.pop()) == json.loads(json.dumps(everything()))
