"""The clients: one thread of control each, a process at a time.

A process whose operation ended unknown is dead: its call may still take effect, so it must never
call again (a process is sequential). The thread goes on as a new process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.core.cluster import Cluster
from harness.core.operations import Call, Completion, Outcome
from harness.core.protocols import Client, Target, Workload
from harness.engine.journal import Journal
from harness.engine.patience import Patience

FAILURE_PAUSE_S = 0.05
"""After a definite failure that came back at once: keeps a dead node from flooding the history."""

NAP_S = 0.5
"""A thread that has longer than this to wait looks up: the load may have been stopped."""

GRACE_S = 1.0
"""What a client may take beyond its own time limit before the engine ends the call for it."""


class Pacing(Protocol):
    """When a thread may call next."""

    def following(self, thread: int, now_s: float) -> float:
        """The next moment at or after ``now_s`` (both in seconds of load)."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When a thread may call next. ``rate`` is over all threads; 0 is as fast as they can.

    Slots of the threads are interleaved. Missed slots are skipped, never caught up: a burst
    after a fault would hide what clients see in its wake.
    """

    rate: float
    threads: int

    def following(self, thread: int, now_s: float) -> float:
        """The thread's first slot at or after ``now_s`` (both in seconds of load)."""
        if self.rate <= 0:
            return now_s
        period = self.threads / self.rate
        offset = thread / self.rate
        turns = max(0, -int(-(now_s - offset) // period))
        return offset + turns * period


@dataclass(slots=True)
class Worker:
    """One client thread, bound to one node so that clients sit on both sides of every cut."""

    thread: int
    node: str
    cluster: Cluster
    target: Target
    workload: Workload
    journal: Journal
    pace: Pacing
    timeout_s: float
    stride: int
    """Added to the process number when a process dies: keeps numbers unique over threads."""

    async def run(
        self,
        until_s: float,
        busy: Callable[[], bool] = lambda: False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Calls until the workload has no more, the load is over, or it is ``stopped``.

        It is over ``until_s`` seconds after it began, but not while the nemesis is ``busy``: a
        fault that came late must meet clients too.
        """
        process = self.thread
        client: Client | None = None
        patience = Patience(self.timeout_s + GRACE_S)
        try:
            while not stopped():
                now_s = self.journal.now() / 1e9
                due_s = self.pace.following(self.thread, now_s)
                if due_s >= until_s and not busy():
                    return
                if due_s - now_s > NAP_S:
                    await asyncio.sleep(NAP_S)
                    continue
                await asyncio.sleep(due_s - now_s)
                call = self.workload.next(self.thread)
                if call is None:
                    return
                if client is None:
                    client = self.target.client(self.cluster, self.node, process)
                completion = await perform(
                    self.journal, client, process, self.node, call, self.timeout_s, patience
                )
                self.workload.ended(call, completion)
                if completion.outcome is Outcome.INFO:
                    await client.close()
                    client, process = None, process + self.stride
                elif completion.outcome is Outcome.FAIL:
                    await asyncio.sleep(FAILURE_PAUSE_S)
        finally:
            patience.close()
            if client is not None:
                await client.close()


async def perform(
    journal: Journal,
    client: Client,
    process: int,
    node: str | None,
    call: Call,
    timeout_s: float,
    patience: Patience,
) -> Completion:
    """One recorded operation. Whatever ends the waiting, the call has a completion afterwards."""
    patience.begin()
    index = journal.invoke(process, node, call)
    try:
        completion = await client.invoke(call, timeout_s)
    except BaseException as error:
        patience.end()
        mine = isinstance(error, asyncio.CancelledError) and patience.was_it()
        words = "timed out" if mine else f"{type(error).__name__}: {error}"
        completion = Completion(Outcome.INFO, error=words)
        journal.complete(index, completion)
        if mine:
            return completion
        raise
    journal.complete(index, completion)
    patience.end()
    return completion
