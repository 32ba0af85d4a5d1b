"""Clocks that lie: an offset, a drift, a strobe, a jump. The host's own is never touched."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from harness.core.clock import here
from harness.core.cluster import ClockSkew, ProcessState
from harness.core.errors import EnvironmentFailure, HarnessError
from harness.core.faults import Proof
from harness.core.protocols import FaultContext, HasLeader, Resolved
from harness.core.units import SECOND
from harness.core.values import Value, freeze
from nemesis.lies import Lie
from nemesis.readings import Reading, Tally, agrees, is_shown, judge, keeps_pace, since
from nemesis.roles import count_of
from nemesis.waiting import first_words, on_all, until

HEAL_LIMIT_S = 8.0
SHOW_LIMIT_S = 8.0
"""How long a fault waits until a clock is seen to lie: a server may just be starting."""
ASK_S = (0.3, 0.3, 1.0)
"""How long nodes are given to tell their time, in turn. A short while makes a sharp reading when
some node does not answer; but on a busy host nobody may answer so soon."""
FOREVER_NS = 1_000_000 * SECOND


class ClockFault:
    """Skewed clocks on some nodes, read from inside the nodes' servers all the while."""

    def __init__(self, lie: Lie) -> None:
        self._lie = lie
        self._lives: dict[str, dict[int, Tally]] = {}
        """Of each node whose clock is skewed: the readings of each of its server's starts."""
        self._after: dict[str, dict[int, Tally]] = {}
        """The same since the clocks of a jump were set right, before the fault's end."""
        self._over: tuple[int, int] | None = None
        """When that was: from, until."""
        self._watch: asyncio.Task[None] | None = None
        self._return: asyncio.Task[None] | None = None
        self._first: dict[str, Reading] = {}
        """From which on a monotonic clock seems to run as it should again."""

    async def begin(self, context: FaultContext) -> Resolved:
        """Skews clocks of servers that run, and goes on reading them; waits until one shows it.

        If all of them are killed before that, another node is taken: a clock that nobody ever
        read is no fault that is known to have been there.
        """
        lie = self._lie
        candidates = self._free(context) or list(lie.order)
        ranked = tuple(dict.fromkeys((*await self._awake(context, candidates), *candidates)))
        await self._skew(context, ranked[: count_of(lie.who, len(lie.order))])
        self._watch = asyncio.create_task(self._read_on(context), name=f"{context.id} clocks")
        if isinstance(context.target, HasLeader):
            await until(partial(self._is_seen, context), SHOW_LIMIT_S)
        if lie.hold_ns:
            self._return = asyncio.create_task(self._jump_back(context))
        data: dict[str, Value] = {"who": lie.who, "nodes": tuple(self._lives)}
        return Resolved(f"{' '.join(self._lives)} {lie.words}", data)

    async def _is_seen(self, context: FaultContext) -> bool:
        """Whether a clock has been seen to lie; sees to it that there is one that can be."""
        seen = (
            is_shown(self._lie.of(node), tuple(lives.values()))
            for node, lives in self._lives.items()
        )
        if any(seen):
            return True
        if not await self._awake(context, self._lives):
            others = [node for node in self._free(context) if node not in self._lives]
            await self._skew(context, tuple(await self._awake(context, others))[:1])
        return False

    async def _jump_back(self, context: FaultContext) -> None:
        await asyncio.sleep(self._lie.hold_ns / 1e9)
        clocks, nodes, since_ns = context.cluster.clocks, tuple(self._lives), _now_ns()
        # What is asked from here on may be answered by either clock, until all are right.
        self._over = since_ns, since_ns + FOREVER_NS
        self._after = {node: {} for node in nodes}
        before = await self._states(context, nodes)
        failed = await on_all(lambda node: clocks.skew(node, ClockSkew()), nodes)
        if failed:
            raise EnvironmentFailure(f"clock not set right: {first_words(failed)}")
        for node in nodes:
            self._after[node][before[node].starts] = Tally(since_ns, None)
        self._over = since_ns, _now_ns()

    def _free(self, context: FaultContext) -> list[str]:
        """Nodes whose clock no other fault has: one that begins late may meet the next one."""
        held = context.claims.of("clock").of_others(context.id)
        return [node for node in self._lie.order if node not in held]

    async def _awake(self, context: FaultContext, nodes: Iterable[str]) -> list[str]:
        states = await self._states(context, nodes)
        return [node for node, state in states.items() if state.state == "running"]

    async def _states(self, context: FaultContext, nodes: Iterable[str]) -> dict[str, ProcessState]:
        # More nodes may be taken while these are asked.
        return {node: await context.cluster.processes.state(node) for node in tuple(nodes)}

    async def _skew(self, context: FaultContext, nodes: tuple[str, ...]) -> None:
        # From here on there is something to undo, whatever becomes of the call.
        context.claims.of("clock").take(context.id, nodes)
        self._lives.update({node: {} for node in nodes})
        before = await self._states(context, nodes)
        since_ns = _now_ns()
        clocks, lie = context.cluster.clocks, self._lie
        failed = await on_all(lambda node: clocks.skew(node, lie.of(node)), nodes)
        if failed:
            raise EnvironmentFailure(f"clock not skewed: {first_words(failed)}")
        for node in nodes:
            # A server that stands still, or is about to begin, learns of it nobody knows when:
            # its first answer is the first sign that it has.
            self._lives[node][before[node].starts] = Tally(since_ns, None)

    async def _read_on(self, context: FaultContext) -> None:
        last_ns = _now_ns()
        for number in itertools.count():
            await asyncio.sleep(self._lie.pause_s(number))
            # One failed look is no reason to stop looking.
            with suppress(HarnessError, OSError, TimeoutError):
                now_ns = _now_ns()
                await self._look(context, last_ns, ASK_S[number % len(ASK_S)])
                last_ns = now_ns

    async def _look(self, context: FaultContext, last_ns: int, ask_s: float) -> None:
        """One reading of each clock; a server that was not there at ``last_ns`` started since."""
        before = await self._states(context, self._lives)
        told = self._after if self._over is not None else self._lives
        known = {node: lives for node, lives in told.items() if lives and node in before}
        for node, lives in known.items():
            lives.setdefault(before[node].starts, Tally(last_ns, None))
        readings = await self._read(context, ask_s)
        if told is self._lives and self._over is not None:
            return  # The clocks were set right while they were asked.
        after = await self._states(context, known)
        for node, lives in known.items():
            starts = before[node].starts
            # Between two equal counts of starts, the answer was of that life.
            if node in readings and after[node].starts == starts:
                lives[starts].add(readings[node])

    async def _read(self, context: FaultContext, ask_s: float) -> dict[str, Reading]:
        return await _read(context, ask_s, monotonic=self._lie.skew.monotonic_rate != 1)

    async def prove(self, context: FaultContext) -> Proof:
        """The clocks as read inside the nodes were wrong in the way that was asked for."""
        if not isinstance(context.target, HasLeader):
            return Proof(False, f"target {context.target.name} does not tell its clock")
        if self._return is not None:
            await self._return
        lives = {node: tuple(some.values()) for node, some in self._lives.items()}
        proof = judge(self._lie.of, lives)
        late = [
            node
            for node, some in self._after.items()
            if not all(agrees(reading, 0) for tally in some.values() for reading in tally.readings)
        ]
        if proof.holds and late:
            return Proof(False, f"did not jump back: {' '.join(late)}", proof.figures)
        return proof

    async def end(self, context: FaultContext) -> Proof:
        """True clocks again; healed when each node that answers reads the true time."""
        watch, self._watch = self._watch, None
        for task in (watch, self._return):
            if task is not None:
                task.cancel()
        context.claims.of("clock").release(context.id)
        clocks, held = context.cluster.clocks, context.claims.of("clock").of_others(context.id)
        free = [node for node in self._lives if node not in held]
        failed = await on_all(lambda node: clocks.skew(node, ClockSkew()), free)
        for task in (watch, self._return):
            # After the clocks: an error of theirs must not stand between them and the heal.
            if task is not None:
                with suppress(asyncio.CancelledError, HarnessError, OSError, TimeoutError):
                    await task
        if failed:
            return Proof(False, f"clock not set right: {first_words(failed)}")
        return await self._true_again(context)

    async def _true_again(self, context: FaultContext) -> Proof:
        """Waits for each node to read the true time, to be down, or to be another fault's."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + HEAL_LIMIT_S
        wrong: dict[str, Value] = dict.fromkeys(self._lives)
        true: dict[str, Value] = {}
        down: dict[str, str] = {}
        for number in itertools.count():
            for node in context.claims.of("clock").of_others(context.id):
                wrong.pop(node, None)
            readings = await self._read(context, ASK_S[number % len(ASK_S)])
            for node in [node for node in wrong if node in readings]:
                wrong[node] = readings[node].middle_ms
                if self._is_true(node, readings[node]):
                    true[node] = wrong.pop(node)
            silent = [node for node in wrong if node not in readings]
            for node, state in (await self._states(context, silent)).items():
                if state.state != "running":
                    wrong.pop(node)
                    down[node] = state.state
            if not wrong or loop.time() > deadline:
                break
            await asyncio.sleep(0.1)
        figures: dict[str, Value] = {"offsets_ms": freeze({**true, **wrong})}
        if wrong:
            shown = ", ".join(f"{node} {_shown(offset)}" for node, offset in wrong.items())
            return Proof(False, f"not seen to be right again: {shown}", figures)
        words = [f"right again: {' '.join(true)}"] if true else []
        words += [f"set right while {state}: {node}" for node, state in down.items()]
        return Proof(True, "; ".join(words) or "nothing was skewed", figures)

    def _is_true(self, node: str, reading: Reading) -> bool:
        """A wall clock shows the time; a monotonic one, which is never set, runs as fast as it."""
        rate = self._lie.skew.monotonic_rate
        if rate == 1:
            return agrees(reading, 0)
        first = self._first.get(node)
        if first is not None and keeps_pace(first, reading, rate):
            return True
        if first is None or not agrees(since(first, reading), 0):
            self._first[node] = reading
        return False


def _now_ns() -> int:
    """The loop's time: what a skew is measured against passes as the loop's timers do."""
    return round(asyncio.get_running_loop().time() * 1e9)


def _shown(offset_ms: Value) -> str:
    return "does not answer" if offset_ms is None else f"is off by {offset_ms} ms"


async def _read(context: FaultContext, ask_s: float, *, monotonic: bool) -> dict[str, Reading]:
    """The clocks of the nodes that answer; between the true times before and after asking."""
    target = context.target
    if not isinstance(target, HasLeader):
        return {}
    began_ns, true_ns = _now_ns(), here().wall_ns()
    statuses = await target.statuses(context.cluster, ask_s)
    ended_ns, late_ns = _now_ns(), here().wall_ns()
    if monotonic:
        true_ns, late_ns = began_ns, ended_ns
    shown = {
        node: status.monotonic_ns if monotonic else status.wall_ns
        for node, status in statuses.items()
    }
    return {
        node: Reading(began_ns, ended_ns, clock_ns - late_ns, clock_ns - true_ns)
        for node, clock_ns in shown.items()
        if clock_ns is not None
    }
