"""SIGKILL and a restart, SIGSTOP and SIGCONT: whom they hit, and how they meet each other.

A kill may hit a server that is paused (SIGKILL needs no consent); a pause looks for servers that
run. A server that was killed while it was paused starts unpaused: its pause is over, and counts,
as it was seen to stand still.
"""

from __future__ import annotations

from functools import partial

from harness.core.cluster import PowerControl, ProcessControl, ProcessState
from harness.core.errors import EnvironmentFailure
from harness.core.faults import Proof
from harness.core.protocols import FaultContext, Resolved
from harness.core.values import freeze
from nemesis.aims import DOWN, PAUSED, Aim, one_by_one, pick, resolved
from nemesis.waiting import first_words, on_all, until

HEAL_LIMIT_S = 10.0
SIGNAL_LIMIT_S = 2.0


class KillFault:
    """SIGKILL to some servers, and their restart."""

    signal = "SIGKILL"

    def __init__(self, aim: Aim) -> None:
        self._aim = aim
        self._before: dict[str, ProcessState] = {}
        self._killed: set[str] = set()

    async def begin(self, context: FaultContext) -> Resolved:
        """Kills servers that run or are paused."""
        states = frozenset({"running", "stopped"})
        nodes, leader = await pick(context, self._aim, states, DOWN)
        processes = context.cluster.processes
        for node in nodes:
            self._before[node] = await processes.state(node)
        failed = await on_all(partial(self._hit, processes), nodes)
        if failed:
            raise EnvironmentFailure(f"not killed: {first_words(failed)}")
        for node in nodes:
            if (await processes.state(node)).state != "gone":
                raise EnvironmentFailure(f"not killed: {node} still runs")
            self._killed.add(node)
        words = self._aim.words(nodes, self.signal, leader)
        return Resolved(words, resolved(self._aim, nodes, leader))

    async def _hit(self, processes: ProcessControl, node: str) -> None:
        await processes.kill(node)

    async def prove(self, context: FaultContext) -> Proof:
        """The processes that were killed are gone, and no other took their place."""
        now = {node: await context.cluster.processes.state(node) for node in self._before}
        back = [node for node, state in now.items() if state.state != "gone"]
        figures = {"pids": freeze({node: state.pid for node, state in self._before.items()})}
        if back or not now:
            return Proof(False, f"{' '.join(back) or 'nothing'} runs before its time", figures)
        pids = ", ".join(f"{node} {state.pid}" for node, state in self._before.items())
        return Proof(True, f"process gone: {pids}", figures)

    async def end(self, context: FaultContext) -> Proof:
        """Starts the servers again; healed when each runs as another process."""
        processes = context.cluster.processes

        async def start(node: str) -> None:
            context.claims.of(DOWN).release(context.id, (node,))
            if node not in context.claims.of(DOWN).of_others(context.id):
                await processes.start(node)

        failed = await one_by_one(tuple(self._before), self._aim.gap_ms, start)
        context.claims.of(DOWN).release(context.id)
        now: dict[str, ProcessState] = {}

        async def running() -> bool:
            now.update({node: await processes.state(node) for node in self._before})
            held = context.claims.of(DOWN).of_others(context.id)
            return all(node in held or self._is_back(node, state) for node, state in now.items())

        back = await until(running, HEAL_LIMIT_S)
        figures = {"pids": freeze({node: state.pid for node, state in now.items()})}
        if failed:
            return Proof(False, f"not started: {first_words(failed)}", figures)
        if not back:
            gone = [node for node, state in now.items() if not self._is_back(node, state)]
            return Proof(False, f"started, but not there: {' '.join(gone)}", figures)
        pids = ", ".join(f"{node} {state.pid}" for node, state in now.items())
        return Proof(True, f"running again: {pids}" if now else "nothing was killed", figures)

    def _is_back(self, node: str, state: ProcessState) -> bool:
        """It runs, and as another process than the one that was killed."""
        before = self._before[node]
        same = (state.pid, state.starts) == (before.pid, before.starts)
        return state.state != "gone" and not (same and node in self._killed)


class PowerFault(KillFault):
    """Some machines lose their power, and what was not synced; their servers start again."""

    signal = "power lost"

    def __init__(self, aim: Aim) -> None:
        super().__init__(aim)
        self._lost: dict[str, int] = {}

    async def _hit(self, processes: ProcessControl, node: str) -> None:
        if not isinstance(processes, PowerControl):
            raise EnvironmentFailure("these machines cannot lose their power")
        self._lost[node] = await processes.power_off(node)

    async def prove(self, context: FaultContext) -> Proof:
        """The processes are gone; how much of what they wrote went with them is told."""
        proof = await super().prove(context)
        lost = sum(self._lost.values())
        words = f"{proof.words}; {lost} unsynced bytes lost"
        return Proof(proof.holds, words, {**proof.figures, "lost_bytes": lost})


class PauseFault:
    """SIGSTOP to some servers, and SIGCONT."""

    def __init__(self, aim: Aim) -> None:
        self._aim = aim
        self._targets: tuple[str, ...] = ()
        self._stopped: dict[str, int | None] = {}

    async def begin(self, context: FaultContext) -> Resolved:
        """Stops servers that run; tries others when all of its choice are killed meanwhile."""
        leader: str | None = None
        for _ in range(3):
            states = frozenset({"running"})
            nodes, leader = await pick(context, self._aim, states, PAUSED)
            await self._stop(context, nodes)
            if self._stopped:
                break
        else:
            raise EnvironmentFailure("every server that was to be paused was killed at once")
        words = self._aim.words(self._stopped, "SIGSTOP", leader)
        return Resolved(words, resolved(self._aim, self._stopped, leader))

    async def _stop(self, context: FaultContext, nodes: tuple[str, ...]) -> None:
        processes = context.cluster.processes
        self._targets = tuple(dict.fromkeys((*self._targets, *nodes)))
        failed = await on_all(processes.pause, nodes)
        for node in nodes:
            if not await until(partial(self._is_down, context, node), SIGNAL_LIMIT_S):
                why = first_words({node: failed[node]}) if node in failed else f"{node} runs on"
                raise EnvironmentFailure(f"not paused: {why}")

    async def _is_down(self, context: FaultContext, node: str) -> bool:
        """Stopped, which is noted, or killed: a process on its way out may be neither for a moment,
        and one that was started at that moment did not hear the signal.
        """
        processes = context.cluster.processes
        state = await processes.state(node)
        if state.state == "stopped":
            self._stopped[node] = state.pid
        elif state.state == "running":
            await on_all(processes.pause, (node,))
        return state.state != "running"

    async def prove(self, context: FaultContext) -> Proof:
        """Each stood still at the beginning, and does so now or was killed in between."""
        still, killed, awake = [], [], []
        for node, pid in self._stopped.items():
            state = await context.cluster.processes.state(node)
            if state.pid != pid:
                killed.append(node)
            elif state.state == "stopped":
                still.append(node)
            else:
                awake.append(node)
        figures = {"pids": freeze(self._stopped)}
        if awake or not self._stopped:
            return Proof(False, f"{' '.join(awake) or 'nobody'} ran before its time", figures)
        words = [f"stopped: {' '.join(still)}"] if still else []
        words += [f"stopped, then killed: {' '.join(killed)}"] if killed else []
        return Proof(True, "; ".join(words), figures)

    async def end(self, context: FaultContext) -> Proof:
        """Continues the servers; healed when none stands still (a server that is gone does not)."""
        processes = context.cluster.processes

        async def resume(node: str) -> None:
            context.claims.of(PAUSED).release(context.id, (node,))
            if node not in context.claims.of(PAUSED).of_others(context.id):
                await processes.resume(node)

        failed = await one_by_one(self._targets, self._aim.gap_ms, resume)
        context.claims.of(PAUSED).release(context.id)
        now: dict[str, str] = {}

        async def awake() -> bool:
            now.update({node: (await processes.state(node)).state for node in self._targets})
            held = context.claims.of(PAUSED).of_others(context.id)
            return all(node in held or state != "stopped" for node, state in now.items())

        if await until(awake, HEAL_LIMIT_S):
            words = " ".join(f"{node} {state}" for node, state in now.items())
            return Proof(True, words or "nothing was paused")
        stuck = " ".join(node for node, state in now.items() if state == "stopped")
        return Proof(False, f"{stuck} still stopped: {first_words(failed) or 'SIGCONT sent'}")
