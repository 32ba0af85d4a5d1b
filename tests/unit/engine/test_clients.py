"""Processes: who calls when, what an unknown outcome does to one, and that every call ends."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.operations import Call, Complete, Completion, Invoke, Outcome, pair
from harness.core.plan import RunSpec
from harness.engine.clients import Pace, Worker, perform
from harness.engine.journal import Journal
from harness.engine.patience import Patience
from harness.store.load import load_run
from harness.store.run import RunFolder
from tests.unit.engine.parts import (
    NO_CLUSTER,
    Memory,
    Script,
    ScriptedClient,
    ScriptedTarget,
    as_target,
    journal,
)

OK = Completion(Outcome.OK, 1)
INFO = Completion(Outcome.INFO, error="timed out")
FAIL = Completion(Outcome.FAIL, error="refused")


def worker(target: ScriptedTarget, script: Script, memory: Memory) -> Worker:
    return Worker(
        thread=2,
        node="n3",
        cluster=NO_CLUSTER,
        target=as_target(target),
        workload=script,
        journal=journal(memory),
        pace=Pace(0, 4),
        timeout_s=1.0,
        stride=4,
    )


def reads(count: int) -> list[Call]:
    return [Call("read", f"k{number}") for number in range(count)]


def test_a_process_dies_with_an_unknown_outcome_and_the_thread_goes_on_as_another() -> None:
    answers = [OK, INFO, OK]
    target = ScriptedTarget(lambda call: answers.pop(0))
    memory = Memory()
    asyncio.run(worker(target, Script(reads(3)), memory).run(60.0))
    invoked = [event.process for event in memory.events if isinstance(event, Invoke)]
    assert invoked == [2, 2, 6]
    assert [(node, process) for node, process, _ in target.clients] == [("n3", 2), ("n3", 6)]
    assert all(client.closed for _, _, client in target.clients)


def test_a_definite_failure_keeps_the_process() -> None:
    answers = [FAIL, OK]
    target = ScriptedTarget(lambda call: answers.pop(0))
    memory = Memory()
    script = Script(reads(2))
    asyncio.run(worker(target, script, memory).run(60.0))
    assert len(target.clients) == 1
    assert [outcome for _, outcome in script.heard] == [Outcome.FAIL, Outcome.OK]


def test_a_client_that_never_returns_is_unknown() -> None:
    memory = Memory()
    client = ScriptedClient(lambda call: asyncio.sleep(3600))
    call = Call("write", "k", 1)

    async def go() -> Completion:
        patience = Patience(0.001)
        return await perform(journal(memory), client, 0, "n1", call, 1.0, patience)

    done = asyncio.run(go())
    assert (done.outcome, done.error) == (Outcome.INFO, "timed out")
    assert [op.outcome for op in pair(memory.events)] == [Outcome.INFO]


def test_patience_is_for_each_call_anew() -> None:
    async def go() -> int:
        patience = Patience(0.05)
        for _ in range(20):
            patience.begin()
            await asyncio.sleep(0.01)
            patience.end()
        assert asyncio.current_task() is patience._task
        patience.close()
        await asyncio.sleep(0.1)
        return patience._task.cancelling()

    assert asyncio.run(go()) == 0


@pytest.mark.parametrize("limit_s", [3600.0, 0.02])
def test_who_cancels_the_client_is_not_taken_for_the_limit(limit_s: float) -> None:
    memory = Memory()
    client = ScriptedClient(lambda call: asyncio.sleep(3600))

    async def both(limit_s: float) -> None:
        patience = Patience(limit_s)
        call = Call("write", "k", 1)
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.02, task.cancel)
        # At the same instant the limit may be over as well.
        await perform(journal(memory), client, 0, "n1", call, 1.0, patience)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(both(limit_s))
    assert [op.outcome for op in pair(memory.events)] == [Outcome.INFO]


def test_a_broken_client_ends_the_run_but_not_without_a_completion() -> None:
    def broken(call: Call) -> Completion:
        raise KeyError("bug")

    memory = Memory()
    with pytest.raises(KeyError):
        asyncio.run(worker(ScriptedTarget(broken), Script(reads(1)), memory).run(60.0))
    (operation,) = pair(memory.events)
    assert operation.outcome is Outcome.INFO
    assert "KeyError" in str(operation.error)


def test_the_load_goes_on_while_the_nemesis_is_busy() -> None:
    memory = Memory()
    left = [True, True, False]
    target = ScriptedTarget(lambda call: OK)
    asyncio.run(worker(target, Script(reads(9)), memory).run(0.0, lambda: left.pop(0)))
    assert len(pair(memory.events)) == 2


def test_indexes_and_times_grow_together() -> None:
    memory = Memory()
    asyncio.run(worker(ScriptedTarget(lambda call: OK), Script(reads(50)), memory).run(60.0))
    assert [event.index for event in memory.events] == list(range(100))
    times = [event.at_ns for event in memory.events]
    assert times == sorted(times)
    for event in memory.events:
        if isinstance(event, Complete):
            assert event.at_ns >= memory.events[event.of].at_ns


@given(
    rate=st.floats(0.1, 10_000),
    threads=st.integers(1, 100),
    now=st.floats(0, 1_000),
    data=st.data(),
)
def test_slots_come_at_the_rate_and_are_never_in_the_past(
    rate: float, threads: int, now: float, data: st.DataObject
) -> None:
    thread = data.draw(st.integers(0, threads - 1))
    pace = Pace(rate, threads)
    due = pace.following(thread, now)
    assert now - 1e-6 <= due <= now + (2 * threads) / rate + 1e-6
    turns = (due - thread / rate) * rate / threads
    assert turns == pytest.approx(round(turns), abs=1e-3 * max(1.0, turns))


def test_the_hosts_clock_jumps_and_no_time_of_a_history_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forward by a day, back by a week, at every look."""
    jumps = itertools.cycle((86_400, -7 * 86_400))
    wall = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: wall + next(jumps) * 10**9)
    monkeypatch.setattr(time, "time", lambda: time.time_ns() / 1e9)
    folder = RunFolder.create(tmp_path, RunSpec())

    async def go() -> int:
        log = Journal(folder, ())
        log.begin_load()
        scripted = worker(
            ScriptedTarget(lambda call: asyncio.sleep(0.002, OK)), Script([]), Memory()
        )
        await replace(scripted, workload=Script(reads(20)), journal=log).run(60.0)
        folder.sample(log.now(), {})
        return log.now()

    took = asyncio.run(go())
    folder.finish(took)
    operations = load_run(folder.path).history.operations
    assert len(operations) == 20
    times = [at for item in operations for at in (item.start, item.end)]
    assert times == sorted(times, key=lambda at: at or 0)
    assert all(item.end - item.start >= 1_500_000 for item in operations if item.end)
    assert operations[0].start >= 0 and (times[-1] or 0) <= took < 60 * 10**9


def test_a_stopped_thread_ends_its_call_and_makes_no_other() -> None:
    memory = Memory()
    script = Script(reads(9))
    target = ScriptedTarget(lambda call: OK)
    asyncio.run(worker(target, script, memory).run(60.0, stopped=lambda: len(script.heard) == 2))
    assert [operation.outcome for operation in pair(memory.events)] == [Outcome.OK] * 2


def test_a_thread_that_waits_for_its_turn_notices_the_stop() -> None:
    memory = Memory()
    looks = [False, True]
    waiting = replace(
        worker(ScriptedTarget(lambda call: OK), Script(reads(1)), memory), pace=Pace(0.001, 4)
    )
    asyncio.run(waiting.run(1e9, stopped=lambda: looks.pop(0)))
    assert memory.events == [] and looks == []
