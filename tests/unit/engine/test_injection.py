"""Whatever happens to a fault, it is healed, and the record says what happened."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from harness.core.faults import FaultRecord
from harness.engine.finish import to_the_end
from harness.engine.injection import Injector
from tests.unit.engine.parts import (
    NO_CLUSTER,
    Memory,
    ScriptedFault,
    ScriptedTarget,
    as_nemeses,
    as_target,
    journal,
    step,
)


def inject(fault: ScriptedFault, cancel: bool = False) -> tuple[FaultRecord, list[FaultRecord]]:
    memory = Memory()
    target = as_target(ScriptedTarget(lambda call: None))
    injector = Injector(NO_CLUSTER, target, as_nemeses(fault), journal(memory))

    async def go() -> None:
        long_ms = 3_600_000 if cancel else 1
        task = asyncio.create_task(injector.run((step(duration_ms=long_ms),)))
        if cancel:
            await fault.began.wait()
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            await task

    asyncio.run(go())
    return injector.records["S1"], memory.faults


def test_a_fault_begins_is_proven_and_heals() -> None:
    fault = ScriptedFault([])
    record, written = inject(fault)
    assert fault.log == ["begin", "prove", "end"]
    assert record.bit.holds and record.healed.holds and record.error is None
    assert record.words == "n1 | n2"
    assert [entry.ended_ns is None for entry in written] == [True, False]


def test_a_fault_that_did_not_bite_says_so() -> None:
    record, _ = inject(ScriptedFault([], bites=False))
    assert not record.bit.holds and record.healed.holds


def test_a_fault_that_cannot_begin_is_undone_all_the_same() -> None:
    fault = ScriptedFault([], fails_in="begin")
    record, _ = inject(fault)
    assert fault.log == ["begin", "end"]
    assert record.began_ns is None and not record.bit.holds
    assert record.error == "not injected: begin failed"


def test_a_fault_that_cannot_be_healed_is_an_error() -> None:
    record, _ = inject(ScriptedFault([], fails_in="end"))
    assert not record.healed.holds and record.error == "not healed: end failed"


def test_a_proof_that_fails_is_no_proof() -> None:
    record, _ = inject(ScriptedFault([], fails_in="prove"))
    assert not record.bit.holds and record.bit.words == "no proof: prove failed"
    assert record.healed.holds


def test_cancelling_heals_first() -> None:
    fault = ScriptedFault([])
    record, _ = inject(fault, cancel=True)
    assert fault.log == ["begin", "end"]
    assert record.healed.holds
    assert record.bit.words == "the run ended before the proof was taken"


def test_faults_of_one_family_wait_for_each_other() -> None:
    fault = ScriptedFault([])
    target = as_target(ScriptedTarget(lambda call: None))
    injector = Injector(NO_CLUSTER, target, as_nemeses(fault), journal(Memory()))
    asyncio.run(injector.run((step(0, 20), replace(step(1, 1), id="S2"))))
    assert fault.log == ["begin", "prove", "end"] * 2
    assert injector.done
    first, second = injector.records["S1"], injector.records["S2"]
    assert first.ended_ns is not None and second.began_ns is not None
    assert second.asked_ns < first.ended_ns <= second.began_ns


def test_waiting_to_the_end_outlasts_any_number_of_cancellations() -> None:
    done: list[str] = []

    async def work() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        done.append("work")

    async def go() -> None:
        task = asyncio.create_task(to_the_end(work()))
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == ["work"]

    asyncio.run(go())


def test_a_stop_proves_and_heals_what_is_in_force_and_begins_nothing_more() -> None:
    fault = ScriptedFault([])
    target = as_target(ScriptedTarget(lambda call: None))
    injector = Injector(NO_CLUSTER, target, as_nemeses(fault), journal(Memory()))
    hour = 3_600_000
    steps = (step(duration_ms=hour), replace(step(at_ms=hour), id="S2"))

    async def go() -> None:
        task = asyncio.create_task(injector.run(steps))
        await fault.began.wait()
        injector.stop()
        await task

    asyncio.run(go())
    assert fault.log == ["begin", "prove", "end"]
    assert injector.records["S1"].bit.holds and injector.records["S1"].healed.holds
    assert injector.done and list(injector.records) == ["S1"]
