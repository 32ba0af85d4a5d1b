"""Clocks that lie: an offset, a drift, a strobe. The host's own clock is never touched."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from harness.core.clock import here
from harness.core.cluster import ClockSkew, ProcessState
from harness.core.errors import EnvironmentFailure, HarnessError, UsageError
from harness.core.faults import FaultSpec, FaultStep, Proof
from harness.core.protocols import FaultContext, HasLeader, Resolved
from harness.core.units import MILLISECOND, show_ms
from harness.core.values import Value, freeze
from nemesis import params
from nemesis.holds import Holds
from nemesis.readings import Reading, Tally, agrees, is_shown, judge
from nemesis.roles import count_of
from nemesis.schedule import rotation, windows
from nemesis.waiting import first_words, on_all, until

HEAL_LIMIT_S = 8.0
SHOW_LIMIT_S = 8.0
"""How long a fault waits until a clock is seen to lie: a server may just be starting."""
ASK_S = (0.3, 0.3, 1.0)
"""How long nodes are given to tell their time, in turn. A short while makes a sharp reading when
some node does not answer; but on a busy host nobody may answer so soon."""

_KINDS: Mapping[str, str] = {
    "offset": "the wall clock jumps, and stays wrong by that much",
    "drift": "wall and monotonic clock run too fast or too slow",
    "strobe": "the wall clock jumps forth and back many times a second",
}
_RATES = (0.5, 0.7, 0.8, 1.25, 1.5, 2.0)


class Clock:
    """Plans skewed clocks. Without a narrowing the kinds take turns."""

    name = "clock"
    capability = "clock"
    narrowings = _KINDS

    def __init__(self) -> None:
        self._holds: Holds[str] = Holds()

    def plan(
        self,
        rng: random.Random,
        nodes: tuple[str, ...],
        duration_ns: int,
        narrowing: str | None,
    ) -> tuple[FaultStep, ...]:
        """The schedule.

        Raises:
            UsageError: an unknown kind, or too short a load.
        """
        if narrowing is not None and narrowing not in _KINDS:
            raise UsageError(f"unknown clock fault: {narrowing!r} (known: {', '.join(_KINDS)})")
        times = windows(rng, duration_ns)
        kinds = rotation(rng, len(times), tuple(_KINDS) if narrowing is None else (narrowing,), ())
        many = tuple(who for who in ("one", "minority", "all") if count_of(who, len(nodes)))
        steps = []
        for number, (window, kind) in enumerate(zip(times, kinds, strict=True), start=1):
            wanted: dict[str, Value] = {
                "who": rng.choice(many),
                "order": tuple(rng.sample(nodes, len(nodes))),
                **_draw(rng, kind),
            }
            fault = FaultSpec(self.name, wanted)
            steps.append(FaultStep(f"C{number}", window.at_ns, window.duration_ns, fault))
        return tuple(steps)

    def fault(self, spec: FaultSpec) -> ClockFault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return ClockFault(Lie.read(spec), self._holds)


def _draw(rng: random.Random, kind: str) -> dict[str, Value]:
    """Offsets and strobes are drawn evenly over orders of magnitude, in milliseconds."""
    match kind:
        case "offset":
            size = round(10 ** rng.uniform(2.7, 4.8))
            return {"offset_ms": rng.choice((-1, 1)) * size}
        case "drift":
            return {"rate": rng.choice(_RATES)}
        case _:
            size = round(10 ** rng.uniform(2.6, 3.7))
            return {"strobe_ms": size, "period_ms": rng.randint(40, 250)}


@dataclass(frozen=True, slots=True)
class Lie:
    """A planned skew: whose clock, and how it is wrong."""

    who: str
    order: tuple[str, ...]
    skew: ClockSkew

    @classmethod
    def read(cls, spec: FaultSpec) -> Lie:
        """From a plan.

        Raises:
            UsageError: not parameters of a clock fault.
        """
        who = params.text(spec, "who")
        if who not in ("one", "minority", "all"):
            raise UsageError(f"fault clock: unknown role {who!r} (known: one, minority, all)")
        if "offset_ms" in spec.params:
            skew = ClockSkew(offset_ns=params.whole(spec, "offset_ms") * MILLISECOND)
        elif "rate" in spec.params:
            skew = ClockSkew(rate=params.number(spec, "rate"))
        else:
            skew = ClockSkew(
                strobe_ns=params.whole(spec, "strobe_ms") * MILLISECOND,
                strobe_period_ns=params.whole(spec, "period_ms") * MILLISECOND,
            )
        return cls(who, params.names(spec, "order"), skew)

    @property
    def words(self) -> str:
        """``+2.5 s``, ``×1.5``, ``±800 ms every 120 ms``."""
        skew = self.skew
        if skew.offset_ns:
            sign = "-" if skew.offset_ns < 0 else "+"
            return sign + show_ms(abs(skew.offset_ns))
        if skew.strobe_ns:
            return f"±{show_ms(skew.strobe_ns)} every {show_ms(skew.strobe_period_ns)}"
        return f"×{skew.rate:g}"

    def pause_s(self, number: int) -> float:
        """Before a reading; a strobe wants more of them, to be met in both of its states.

        Multiples of the golden ratio spread evenly and repeat no rhythm, so that a strobe's
        period cannot hide behind that of the readings.
        """
        least = 0.06 if self.skew.strobe_ns else 0.2
        return least * (1 + number * 0.6180339887 % 1)


class ClockFault:
    """Skewed clocks on some nodes, read from inside the nodes' servers all the while."""

    def __init__(self, lie: Lie, holds: Holds[str]) -> None:
        self._lie = lie
        self._holds = holds
        self._lives: dict[str, dict[int, Tally]] = {}
        """Of each node whose clock is skewed: the readings of each of its server's starts."""
        self._watch: asyncio.Task[None] | None = None

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
        data: dict[str, Value] = {"who": lie.who, "nodes": tuple(self._lives)}
        return Resolved(f"{' '.join(self._lives)} {lie.words}", data)

    async def _is_seen(self, context: FaultContext) -> bool:
        """Whether a clock has been seen to lie; sees to it that there is one that can be."""
        skew = self._lie.skew
        if any(is_shown(skew, tuple(lives.values())) for lives in self._lives.values()):
            return True
        if not await self._awake(context, self._lives):
            others = [node for node in self._free(context) if node not in self._lives]
            await self._skew(context, tuple(await self._awake(context, others))[:1])
        return False

    def _free(self, context: FaultContext) -> list[str]:
        """Nodes whose clock no other fault has: one that begins late may meet the next one."""
        held = self._holds.of_others(context.id)
        return [node for node in self._lie.order if node not in held]

    async def _awake(self, context: FaultContext, nodes: Iterable[str]) -> list[str]:
        states = await self._states(context, nodes)
        return [node for node, state in states.items() if state.state == "running"]

    async def _states(self, context: FaultContext, nodes: Iterable[str]) -> dict[str, ProcessState]:
        # More nodes may be taken while these are asked.
        return {node: await context.cluster.processes.state(node) for node in tuple(nodes)}

    async def _skew(self, context: FaultContext, nodes: tuple[str, ...]) -> None:
        # From here on there is something to undo, whatever becomes of the call.
        self._holds.take(context.id, nodes)
        self._lives.update({node: {} for node in nodes})
        before = await self._states(context, nodes)
        since_ns = _now_ns()
        clocks, skew = context.cluster.clocks, self._lie.skew
        failed = await on_all(lambda node: clocks.skew(node, skew), nodes)
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
        known = {node: lives for node, lives in self._lives.items() if lives and node in before}
        for node, lives in known.items():
            lives.setdefault(before[node].starts, Tally(last_ns, None))
        readings = await _read(context, ask_s)
        after = await self._states(context, known)
        for node, lives in known.items():
            starts = before[node].starts
            # Between two equal counts of starts, the answer was of that life.
            if node in readings and after[node].starts == starts:
                lives[starts].add(readings[node])

    async def prove(self, context: FaultContext) -> Proof:
        """The clocks as read inside the nodes were wrong in the way that was asked for."""
        if not isinstance(context.target, HasLeader):
            return Proof(False, f"target {context.target.name} does not tell its clock")
        lives = {node: tuple(some.values()) for node, some in self._lives.items()}
        return judge(self._lie.skew, lives)

    async def end(self, context: FaultContext) -> Proof:
        """True clocks again; healed when each node that answers reads the true time."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
        self._holds.release(context.id)
        clocks, held = context.cluster.clocks, self._holds.of_others(context.id)
        free = [node for node in self._lives if node not in held]
        failed = await on_all(lambda node: clocks.skew(node, ClockSkew()), free)
        if watch is not None:
            # After the clocks: an error of the watch must not stand between them and the heal.
            with suppress(asyncio.CancelledError):
                await watch
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
            for node in self._holds.of_others(context.id):
                wrong.pop(node, None)
            readings = await _read(context, ASK_S[number % len(ASK_S)])
            for node in [node for node in wrong if node in readings]:
                wrong[node] = readings[node].middle_ms
                if agrees(readings[node], 0):
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


def _now_ns() -> int:
    """The loop's time: what a skew is measured against passes as the loop's timers do."""
    return round(asyncio.get_running_loop().time() * 1e9)


def _shown(offset_ms: Value) -> str:
    return "does not answer" if offset_ms is None else f"is off by {offset_ms} ms"


async def _read(context: FaultContext, ask_s: float) -> dict[str, Reading]:
    """The clocks of the nodes that answer; between the true times before and after asking."""
    target = context.target
    if not isinstance(target, HasLeader):
        return {}
    began_ns, true_ns = _now_ns(), here().wall_ns()
    statuses = await target.statuses(context.cluster, ask_s)
    ended_ns, late_ns = _now_ns(), here().wall_ns()
    return {
        node: Reading(began_ns, ended_ns, status.wall_ns - late_ns, status.wall_ns - true_ns)
        for node, status in statuses.items()
        if status.wall_ns is not None
    }
