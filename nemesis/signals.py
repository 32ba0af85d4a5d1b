"""SIGKILL and a restart, SIGSTOP and SIGCONT: whom they hit, and how they meet each other.

A kill may hit a server that is paused (SIGKILL needs no consent); a pause looks for servers that
run. A server that was killed while it was paused starts unpaused: its pause is over, and counts,
as it was seen to stand still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from harness.core.cluster import PowerControl, ProcessControl, ProcessState
from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.faults import FaultSpec, Proof
from harness.core.protocols import FaultContext, Resolved
from harness.core.values import Value, freeze
from nemesis import params
from nemesis.holds import Holds
from nemesis.roles import LEADER_WAIT_S, ask_leader, bracket, choose, count_of, leader_words
from nemesis.waiting import first_words, on_all, until

VICTIM_WAIT_S = LEADER_WAIT_S
"""How long a fault waits for a server that it can hit: others may be down for another fault."""
HEAL_LIMIT_S = 10.0
SIGNAL_LIMIT_S = 2.0

WHO: Mapping[str, str] = {
    "one": "one node, whichever",
    "leader": "the leader",
    "minority": "as many as can fail without harm",
    "majority": "so many that the rest cannot go on",
    "all": "every node",
}


@dataclass(frozen=True, slots=True)
class Aim:
    """Whom a planned fault means, and the drawn order in which nodes are taken.

    ``gap_ms`` lies between one node's heal and the next one's.
    """

    who: str
    order: tuple[str, ...]
    gap_ms: int = 0

    @classmethod
    def read(cls, spec: FaultSpec) -> Aim:
        """From a plan.

        Raises:
            UsageError: not parameters of a kill or a pause.
        """
        who = params.text(spec, "who")
        if who not in WHO:
            raise UsageError(f"fault {spec.kind}: unknown role {who!r} (known: {', '.join(WHO)})")
        return cls(who, params.names(spec, "order"), params.whole(spec, "gap_ms"))

    def words(self, nodes: Iterable[str], signal: str, leader: str | None) -> str:
        """``n4 SIGKILL (leader was n4)``."""
        hit = tuple(nodes)
        many = self.who if self.who not in ("one", "leader") else ""
        if many and len(hit) < count_of(self.who, len(self.order)):
            many += ": no more could be hit"
        return f"{' '.join(hit)} {signal}" + bracket(many, leader_words(leader))


async def _pick(
    context: FaultContext, aim: Aim, states: frozenset[str], taken: Holds[str]
) -> tuple[tuple[str, ...], str | None]:
    """(the nodes to hit, the leader if it was meant and is one of them).

    Waits while no server is in one of ``states`` or, if the leader is meant, while nobody leads.

    Raises:
        EnvironmentFailure: no server could be hit in time.
    """
    processes = context.cluster.processes
    loop = asyncio.get_running_loop()
    deadline = loop.time() + VICTIM_WAIT_S
    attempt = 0
    while True:
        leader = await ask_leader(context, attempt) if aim.who == "leader" else None
        held = taken.of_others(context.id)
        able = {
            node
            for node in aim.order
            if node not in held and (await processes.state(node)).state in states
        }
        late = loop.time() >= deadline
        if able and (aim.who != "leader" or leader in able or late):
            chosen = choose(aim.who, aim.order, leader, able)
            return chosen, leader if leader in chosen else None
        if late:
            raise EnvironmentFailure(f"no server is {' or '.join(sorted(states))}")
        await asyncio.sleep(0.1)
        attempt += 1


def _data(aim: Aim, nodes: Iterable[str], leader: str | None) -> dict[str, Value]:
    data: dict[str, Value] = {"who": aim.who, "nodes": tuple(nodes)}
    if aim.who == "leader":
        data["leader"] = leader
    return data


async def _one_by_one(
    nodes: Sequence[str], gap_ms: int, act: Callable[[str], Awaitable[None]]
) -> dict[str, BaseException]:
    """Acts on each node, with a gap in between; an error on one does not spare the others."""
    failed: dict[str, BaseException] = {}
    for place, node in enumerate(nodes):
        if place and gap_ms:
            await asyncio.sleep(gap_ms / 1000)
        failed |= await on_all(act, (node,))
    return failed


class KillFault:
    """SIGKILL to some servers, and their restart."""

    signal = "SIGKILL"

    def __init__(self, aim: Aim, holds: Holds[str]) -> None:
        self._aim = aim
        self._holds = holds
        self._before: dict[str, ProcessState] = {}
        self._killed: set[str] = set()

    async def begin(self, context: FaultContext) -> Resolved:
        """Kills servers that run or are paused."""
        states = frozenset({"running", "stopped"})
        nodes, leader = await _pick(context, self._aim, states, self._holds)
        processes = context.cluster.processes
        for node in nodes:
            self._before[node] = await processes.state(node)
        self._holds.take(context.id, nodes)
        failed = await on_all(partial(self._hit, processes), nodes)
        if failed:
            raise EnvironmentFailure(f"not killed: {first_words(failed)}")
        for node in nodes:
            if (await processes.state(node)).state != "gone":
                raise EnvironmentFailure(f"not killed: {node} still runs")
            self._killed.add(node)
        words = self._aim.words(nodes, self.signal, leader)
        return Resolved(words, _data(self._aim, nodes, leader))

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
            self._holds.release(context.id, (node,))
            if node not in self._holds.of_others(context.id):
                await processes.start(node)

        failed = await _one_by_one(tuple(self._before), self._aim.gap_ms, start)
        self._holds.release(context.id)
        now: dict[str, ProcessState] = {}

        async def running() -> bool:
            now.update({node: await processes.state(node) for node in self._before})
            held = self._holds.of_others(context.id)
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

    def __init__(self, aim: Aim, holds: Holds[str]) -> None:
        super().__init__(aim, holds)
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

    def __init__(self, aim: Aim, holds: Holds[str]) -> None:
        self._aim = aim
        self._holds = holds
        self._targets: tuple[str, ...] = ()
        self._stopped: dict[str, int | None] = {}

    async def begin(self, context: FaultContext) -> Resolved:
        """Stops servers that run; tries others when all of its choice are killed meanwhile."""
        leader: str | None = None
        for _ in range(3):
            states = frozenset({"running"})
            nodes, leader = await _pick(context, self._aim, states, self._holds)
            await self._stop(context, nodes)
            if self._stopped:
                break
        else:
            raise EnvironmentFailure("every server that was to be paused was killed at once")
        words = self._aim.words(self._stopped, "SIGSTOP", leader)
        return Resolved(words, _data(self._aim, self._stopped, leader))

    async def _stop(self, context: FaultContext, nodes: tuple[str, ...]) -> None:
        processes = context.cluster.processes
        self._targets = tuple(dict.fromkeys((*self._targets, *nodes)))
        self._holds.take(context.id, nodes)
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
            self._holds.release(context.id, (node,))
            if node not in self._holds.of_others(context.id):
                await processes.resume(node)

        failed = await _one_by_one(self._targets, self._aim.gap_ms, resume)
        self._holds.release(context.id)
        now: dict[str, str] = {}

        async def awake() -> bool:
            now.update({node: (await processes.state(node)).state for node in self._targets})
            held = self._holds.of_others(context.id)
            return all(node in held or state != "stopped" for node, state in now.items())

        if await until(awake, HEAL_LIMIT_S):
            words = " ".join(f"{node} {state}" for node, state in now.items())
            return Proof(True, words or "nothing was paused")
        stuck = " ".join(node for node, state in now.items() if state == "stopped")
        return Proof(False, f"{stuck} still stopped: {first_words(failed) or 'SIGCONT sent'}")
