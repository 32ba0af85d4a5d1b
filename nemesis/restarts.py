"""Servers that end and start again: in an orderly way, in a loop, late; see also
:mod:`nemesis.rounds`.

What goes on during a fault's time is a task that ``begin`` starts and ``prove`` or ``end`` stops.
"""

from __future__ import annotations

import asyncio

from harness.core.cluster import ProcessControl, ProcessState
from harness.core.errors import HarnessError
from harness.core.faults import Proof
from harness.core.protocols import FaultContext, HasLeader, Resolved
from nemesis.aims import DOWN, Aim
from nemesis.signals import KillFault

STOP_S = 5.0
"""How long a server that is asked to end may take before it is killed."""
SERVE_LIMIT_S = 5.0
ASK_S = 0.5


async def serves(context: FaultContext, node: str) -> bool:
    """As far as that can be asked; else whether its process is there."""
    if isinstance(context.target, HasLeader):
        return node in await context.target.statuses(context.cluster, ASK_S)
    return (await context.cluster.processes.state(node)).state == "running"


class StopFault(KillFault):
    """SIGTERM to some servers, and their restart."""

    signal = "SIGTERM"

    def __init__(self, aim: Aim) -> None:
        super().__init__(aim)
        self._forced: list[str] = []

    async def _hit(self, processes: ProcessControl, node: str) -> None:
        # Who stands still does not hear the question.
        if not await processes.stop(node, STOP_S):
            self._forced.append(node)

    async def prove(self, context: FaultContext) -> Proof:
        """The processes are gone, and it is told which of them had to be killed."""
        proof = await super().prove(context)
        forced = f"; had to be killed: {' '.join(sorted(self._forced))}" if self._forced else ""
        figures = {**proof.figures, "killed": tuple(sorted(self._forced))}
        return Proof(proof.holds, proof.words + forced, figures)


class CrashLoopFault(KillFault):
    """SIGKILL again and again, soon after each start."""

    signal = "crash loop"

    def __init__(self, aim: Aim, lives_ms: tuple[int, ...]) -> None:
        super().__init__(aim)
        self._lives_ms = lives_ms or (100,)
        self._lives = 0
        self._over = False
        self._task: asyncio.Task[None] | None = None

    async def begin(self, context: FaultContext) -> Resolved:
        """The first kill; the rest goes on by itself."""
        resolved = await super().begin(context)
        self._task = asyncio.create_task(self._loop(context.cluster.processes))
        return resolved

    async def _loop(self, processes: ProcessControl) -> None:
        """At least one life; ends with a kill, so that all are gone then."""
        nodes = tuple(self._before)
        while not self._over or not self._lives:
            for node in nodes:
                await processes.start(node)
            await asyncio.sleep(self._lives_ms[self._lives % len(self._lives_ms)] / 1000)
            for node in nodes:
                await processes.kill(node)
            self._lives += 1

    async def prove(self, context: FaultContext) -> Proof:
        """They lived and died at least once more, and are gone now."""
        self._over = True
        if self._task is not None:
            try:
                await self._task
            except (HarnessError, OSError, TimeoutError) as error:
                return Proof(False, f"the loop ended: {error}", {"lives": self._lives})
        proof = await super().prove(context)
        words = f"{proof.words}; {self._lives} short lives"
        return Proof(
            proof.holds and self._lives > 0, words, {**proof.figures, "lives": self._lives}
        )

    async def end(self, context: FaultContext) -> Proof:
        """No more kills; see :meth:`KillFault.end`."""
        await stop(self._task)
        return await super().end(context)


class LateFault(KillFault):
    """All are killed; all but the last start at once, the last one when the fault ends."""

    def __init__(self, aim: Aim) -> None:
        super().__init__(aim)
        self._early: dict[str, ProcessState] = {}

    async def begin(self, context: FaultContext) -> Resolved:
        """Kills, and starts all but one again."""
        done = await super().begin(context)
        *early, last = self._before
        self._early = {node: self._before.pop(node) for node in early}
        for node in early:
            await self._start(context, node)
        words = f"{done.words}, {last} starts late"
        return Resolved(words, {**done.data, "late": last})

    async def _start(self, context: FaultContext, node: str) -> None:
        claims = context.claims.of(DOWN)
        claims.release(context.id, (node,))
        if node not in claims.of_others(context.id):
            await context.cluster.processes.start(node)

    async def end(self, context: FaultContext) -> Proof:
        """All run again as other processes."""
        for node, state in self._early.items():
            self._before.setdefault(node, state)
        return await super().end(context)


async def stop(task: asyncio.Task[None] | None) -> None:
    """Ends a task; whatever it made of it is of no interest any more."""
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
