"""Injects the schedule: each step begins, is proven and is healed, and every bit is recorded.

Plans leave time between the faults of one family. On a busy host one may heal late all the same;
the next of its family then waits: two owners of one effect could not be told apart by any proof.

Healing is promised, not hoped for: once ``begin`` was called, ``end`` is called whatever happens
(an error in ``begin``, the load's end, Ctrl-C), and no cancellation cuts it short.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from harness.core.claims import Claims
from harness.core.cluster import Cluster
from harness.core.errors import HarnessError
from harness.core.faults import FaultRecord, FaultStep, Proof
from harness.core.protocols import Fault, FaultContext, Nemesis, Resolved, Target
from harness.engine.finish import to_the_end
from harness.engine.journal import Journal

BEGIN_LIMIT_S = 60.0
PROVE_LIMIT_S = 30.0
END_LIMIT_S = 60.0
"""Faults have bounds of their own, which are shorter: they say what they waited for. Most wait for
faults of other families, which hold what they need (a leader, a server that runs)."""

_NOT_YET = Proof(False, "not asked yet")


class Injector:
    """Runs the steps of a schedule side by side.

    Attributes:
        records: what came of each step, by id.
        done: every step was healed (or given up).
    """

    def __init__(
        self,
        cluster: Cluster,
        target: Target,
        nemeses: Mapping[str, Nemesis],
        journal: Journal,
    ) -> None:
        self._cluster = cluster
        self._target = target
        self._nemeses = nemeses
        self._journal = journal
        self._claims = Claims()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._stop = asyncio.Event()
        self.records: dict[str, FaultRecord] = {}
        self.done = False
        self._begun = False

    def stop(self) -> None:
        """No fault begins any more; those in force are proven and healed now."""
        self._stop.set()

    async def run(self, schedule: tuple[FaultStep, ...]) -> None:
        """Until every step is healed; on cancellation heals what is in force, then raises."""
        try:
            async with asyncio.TaskGroup() as group:
                for step in schedule:
                    group.create_task(self._in_turn(step), name=step.id)
        finally:
            self.done = True
            if self._begun:
                self._journal.phase("heal")

    async def _in_turn(self, step: FaultStep) -> None:
        await self._pause((step.at_ns - self._journal.now()) / 1e9)
        async with self._turns[step.fault.kind]:
            if not self._stop.is_set():
                await self._step(step)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()

    async def _step(self, step: FaultStep) -> None:
        fault = self._nemeses[step.fault.kind].fault(step.fault)
        context = FaultContext(self._cluster, self._target, step.id, self._claims)
        record = FaultRecord(
            id=step.id,
            kind=step.fault.kind,
            asked_ns=step.at_ns,
            began_ns=None,
            ended_ns=None,
            words=step.fault.kind,
            resolved={},
            bit=_NOT_YET,
            healed=_NOT_YET,
        )
        try:
            record = await self._begin(fault, context, record)
            if record.began_ns is not None:
                await self._pause(step.duration_ns / 1e9)
                record = replace(record, bit=await self._prove(fault, context))
        finally:
            # The heal must not be cut short by the very cancellation that asks for it.
            await to_the_end(self._end(fault, context, record))

    async def _begin(self, fault: Fault, context: FaultContext, record: FaultRecord) -> FaultRecord:
        try:
            async with asyncio.timeout(BEGIN_LIMIT_S):
                resolved: Resolved = await fault.begin(context)
        except (HarnessError, OSError, TimeoutError) as error:
            failed = Proof(False, "could not be injected")
            words = str(error) or f"no answer within {BEGIN_LIMIT_S:.0f} s"
            record = replace(record, bit=failed, error=f"not injected: {words}")
        else:
            record = replace(
                record,
                began_ns=self._journal.now(),
                words=resolved.words,
                resolved=resolved.data,
            )
        if record.began_ns is not None and not self._begun:
            self._begun = True
            self._journal.phase("faults")
        self.records[record.id] = record
        self._journal.fault(record)
        return record

    async def _prove(self, fault: Fault, context: FaultContext) -> Proof:
        try:
            async with asyncio.timeout(PROVE_LIMIT_S):
                return await fault.prove(context)
        except (HarnessError, OSError, TimeoutError) as error:
            return Proof(False, f"no proof: {error or 'no answer in time'}")

    async def _end(self, fault: Fault, context: FaultContext, record: FaultRecord) -> None:
        try:
            async with asyncio.timeout(END_LIMIT_S):
                healed = await fault.end(context)
        except (HarnessError, OSError, TimeoutError) as error:
            words = str(error) or f"not healed within {END_LIMIT_S:.0f} s"
            healed = Proof(False, words)
        trouble = record.error
        if not healed.holds:
            trouble = "; ".join(filter(None, [trouble, f"not healed: {healed.words}"]))
        bit = record.bit
        if bit is _NOT_YET:
            bit = Proof(False, "the run ended before the proof was taken")
        record = replace(
            record, ended_ns=self._journal.now(), bit=bit, healed=healed, error=trouble
        )
        self.records[record.id] = record
        self._journal.fault(record)
