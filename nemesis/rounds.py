"""Rounds: every server in turn, the next one when the one before is there again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Protocol

from harness.core.errors import EnvironmentFailure, HarnessError
from harness.core.faults import Proof
from harness.core.protocols import FaultContext, Resolved
from harness.core.values import freeze
from nemesis.aims import DOWN, PAUSED, Aim
from nemesis.restarts import SERVE_LIMIT_S, STOP_S, serves, stop
from nemesis.waiting import until

ROUND_LIMIT_S = 25.0
SIGNAL_LIMIT_S = 2.0


class _Turn(Protocol):
    """What happens to one server in its turn; False when another fault was quicker."""

    async def __call__(self, context: FaultContext, node: str) -> bool: ...


class _Round:
    """Who comes when; a server that another fault keeps down or paused is spared."""

    def __init__(self, aim: Aim, claim: str, turn: _Turn) -> None:
        self._aim = aim
        self._claim = claim
        self._turn = turn
        self._task: asyncio.Task[None] | None = None
        self.met: list[str] = []
        self.spared: list[str] = []
        self.trouble = ""

    def begin(self, context: FaultContext) -> None:
        """Starts with the first one."""
        self._task = asyncio.create_task(self._roll(context))

    async def _roll(self, context: FaultContext) -> None:
        for node in self._aim.order:
            if self.trouble:
                return
            if node in self._held(context):
                self.spared.append(node)
                continue
            await self._take(context, node)
            await asyncio.sleep(self._aim.gap_ms / 1000)
        if self.met or self.trouble:
            return

        async def one_is_free() -> bool:
            return not self._held(context).issuperset(self._aim.order)

        # All were another fault's. A round that met nobody would have been none at all.
        if await until(one_is_free, ROUND_LIMIT_S):
            node = next(node for node in self.spared if node not in self._held(context))
            self.spared.remove(node)
            await self._take(context, node)

    @staticmethod
    def _held(context: FaultContext) -> frozenset[str]:
        """The nodes that another fault keeps down or paused."""
        down, paused = (context.claims.of(what) for what in (DOWN, PAUSED))
        return down.of_others(context.id) | paused.of_others(context.id)

    async def _take(self, context: FaultContext, node: str) -> None:
        context.claims.of(self._claim).take(context.id, (node,))
        try:
            took = await self._turn(context, node)
            (self.met if took else self.spared).append(node)
        except (HarnessError, OSError, TimeoutError) as error:
            self.trouble = f"{node}: {error or type(error).__name__}"
        finally:
            context.claims.of(self._claim).release(context.id, (node,))

    async def over(self) -> None:
        """Returns when all had their turn, or after a while."""
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._task), ROUND_LIMIT_S)

    async def stop(self, context: FaultContext) -> None:
        """Nobody's turn comes any more."""
        await stop(self._task)
        context.claims.of(self._claim).release(context.id)

    @property
    def spared_words(self) -> str:
        """``; spared, as down or paused: n3``."""
        return f"; spared, as down or paused: {' '.join(self.spared)}" if self.spared else ""

    @property
    def failure(self) -> str:
        """What went wrong, or who had no turn; empty when all had one that nobody spared."""
        missing = set(self._aim.order) - set(self.met) - set(self.spared)
        return self.trouble or " ".join(sorted(missing)) or ("" if self.met else "any")


class RollingFault:
    """Every server in turn ends and starts again; the next one when it serves."""

    def __init__(self, aim: Aim, signal: str) -> None:
        self._aim = aim
        self._signal = signal
        self._round = _Round(aim, DOWN, self._restart)
        self._restarted: dict[str, tuple[int | None, int | None]] = {}

    async def begin(self, context: FaultContext) -> Resolved:
        """Starts with the first one."""
        self._round.begin(context)
        order = self._aim.order
        return Resolved(f"{' '.join(order)} {self._signal} in turn", {"who": "all", "nodes": order})

    async def _restart(self, context: FaultContext, node: str) -> bool:
        processes = context.cluster.processes
        before = await processes.state(node)
        if self._signal == "SIGTERM":
            await processes.stop(node, STOP_S)
        else:
            await processes.kill(node)
        if (await processes.state(node)).state != "gone":
            raise EnvironmentFailure("still runs")
        await processes.start(node)
        # A node without a majority may not serve: the next one goes all the same.
        await until(partial(serves, context, node), SERVE_LIMIT_S)
        after = await processes.state(node)
        if after.starts == before.starts:
            raise EnvironmentFailure("did not start again")
        self._restarted[node] = before.pid, after.pid
        return True

    async def prove(self, context: FaultContext) -> Proof:  # noqa: ARG002
        """Each is another process than before, but for those that another fault had."""
        await self._round.over()
        pids = ", ".join(f"{node} {old}→{new}" for node, (old, new) in self._restarted.items())
        figures = {"pids": freeze(self._restarted), "spared": tuple(self._round.spared)}
        if self._round.failure:
            return Proof(False, f"not restarted: {self._round.failure}", figures)
        return Proof(True, f"restarted: {pids}{self._round.spared_words}", figures)

    async def end(self, context: FaultContext) -> Proof:
        """Whoever was just down is started."""
        await self._round.stop(context)
        claims, processes = context.claims, context.cluster.processes

        async def running() -> bool:
            held = claims.of(DOWN).of_others(context.id)
            for node in self._aim.order:
                if node not in held and (await processes.state(node)).state == "gone":
                    await processes.start(node)
                    return False
            return True

        if await until(running, SERVE_LIMIT_S):
            return Proof(True, "every server runs")
        return Proof(False, "a server does not come back")


class RollingPauseFault:
    """Every server in turn stands still for a while (SIGSTOP, SIGCONT)."""

    def __init__(self, aim: Aim, pause_ms: int) -> None:
        self._aim = aim
        self._pause_ms = pause_ms
        self._round = _Round(aim, PAUSED, self._pause)
        self._stood: dict[str, int | None] = {}
        """Who was seen to stand still at the beginning and at the end of its turn."""

    async def begin(self, context: FaultContext) -> Resolved:
        """Starts with the first one."""
        self._round.begin(context)
        order = self._aim.order
        words = f"{' '.join(order)} SIGSTOP in turn, {self._pause_ms} ms each"
        return Resolved(words, {"who": "all", "nodes": order})

    async def _pause(self, context: FaultContext, node: str) -> bool:
        processes = context.cluster.processes

        async def still() -> bool:
            state = (await processes.state(node)).state
            if state == "running":
                await processes.pause(node)
            return state != "running"

        if not await until(still, SIGNAL_LIMIT_S):
            raise EnvironmentFailure("runs on")
        before = await processes.state(node)
        await asyncio.sleep(self._pause_ms / 1000)
        after = await processes.state(node)
        await processes.resume(node)
        if before.state != "stopped":
            return False
        if after.pid == before.pid and after.state == "running":
            raise EnvironmentFailure("ran before its time")
        self._stood[node] = before.pid
        return True

    async def prove(self, context: FaultContext) -> Proof:  # noqa: ARG002
        """Each stood still in its turn, but for those that another fault had."""
        await self._round.over()
        figures = {"pids": freeze(self._stood), "spared": tuple(self._round.spared)}
        if self._round.failure:
            return Proof(False, f"not paused: {self._round.failure}", figures)
        words = f"stood still in turn: {' '.join(self._stood)}{self._round.spared_words}"
        return Proof(True, words, figures)

    async def end(self, context: FaultContext) -> Proof:
        """Whoever just stood still goes on."""
        await self._round.stop(context)
        claims, processes = context.claims, context.cluster.processes
        still: list[str] = []

        async def awake() -> bool:
            held = claims.of(PAUSED).of_others(context.id)
            still.clear()
            for node in self._aim.order:
                if node not in held and (await processes.state(node)).state == "stopped":
                    still.append(node)
                    await processes.resume(node)
            return not still

        if await until(awake, SERVE_LIMIT_S):
            return Proof(True, "nobody stands still")
        return Proof(False, f"{' '.join(still)} still stopped")
