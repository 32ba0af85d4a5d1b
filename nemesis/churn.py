"""Leaders that fall as soon as they are elected, one after the other, and come back in any order.

What a leader does in its first round trips (the first entry of its term, what it says of commits
and reads before that is on a majority) is what a fault at a random moment rarely meets. Nor does
one at a moment at all, where a window is one message wide: so leaders can also fall between two
messages.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core.cluster import CutsBetweenMessages
from harness.core.errors import EnvironmentFailure, HarnessError, UsageError
from harness.core.faults import FaultSpec, Proof
from harness.core.protocols import FaultContext, Resolved
from harness.core.values import Value
from nemesis import params
from nemesis.aims import DOWN, Aim
from nemesis.cuts import PartitionFault, Wish
from nemesis.roles import majority
from nemesis.schedule import Planner, Window
from nemesis.signals import KillFault

HOWS: Mapping[str, str] = {
    "cut": "each leader is cut off from all others",
    "kill": "each leader is killed",
}
VERBS: Mapping[str, str] = {"cut": "cut off", "kill": "SIGKILL"}
BETWEEN: Mapping[str, str] = {
    "message": "each leader is cut off, or killed, between two of its messages",
}
"""Only planned when asked for by name: it needs a network that sees messages."""
MORE_MESSAGES = 0.6
"""The chance that a leader has one message more before it falls."""
KILLED = 1 / 3
"""The chance of a kill then, and not a cut: who is cut off goes on taking what clients send, and
keeps more that nobody else has."""
LONGEST_ROW = 6
"""Falls in a row in which some come back before others fall."""
LONGEST_DELAY_MS = 400
FIRST_WAIT_S = 30.0
NEXT_WAIT_S = 1.5
"""How long it waits for somebody to lead, and then for somebody else to. An election that takes
longer finds no majority any more, mostly since another fault is in force."""
MESSAGES_WAIT_S = 3.0
"""The same between messages: who leads has to send some, too."""
ROW_S = 9.0
"""No further fall after this: the first ones have been down for long enough."""
POLL_S = 0.005
ANSWER_S = 0.2
_BY_TIME = "use churn:cut or churn:kill, which fall by time"


class Churn(Planner):
    """Plans falls of leaders in a row. Without a narrowing, cuts and kills take turns, by time."""

    name = "churn"
    capability = "partition"
    letter = "U"
    least_nodes = 3
    narrowings: Mapping[str, str] = {**HOWS, **BETWEEN}
    only_named = tuple(BETWEEN)
    needs: Mapping[str, str] = {"cut": "partition", "kill": "kill", "message": "message"}

    def draw(
        self, rng: random.Random, kind: str, nodes: tuple[str, ...], _window: Window
    ) -> dict[str, Value]:
        """See :class:`Planner`."""
        if kind in BETWEEN:
            return _draw_between(rng, len(nodes))
        falls, down = _row(rng, len(nodes))
        return {
            "how": kind,
            "down": down,
            "delays_ms": tuple(_delay_ms(rng) for _ in range(falls)),
            "back": tuple(rng.sample(range(falls), falls)),
            "gap_ms": rng.choice((0, _delay_ms(rng), 5 * _delay_ms(rng))),
        }

    def fault(self, spec: FaultSpec) -> ChurnFault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return ChurnFault(Falls.read(spec))


def _draw_between(rng: random.Random, nodes: int) -> dict[str, Value]:
    """Falls between messages. In most rows two are down at once, so that whoever leads is followed
    by somebody else, and can be the one after that again."""
    falls, down = (rng.randint(3, LONGEST_ROW), 2) if rng.random() < 0.75 else _row(rng, nodes)
    return {
        "hows": tuple("kill" if rng.random() < KILLED else "cut" for _ in range(falls)),
        "down": down,
        "messages": tuple(_messages(rng) for _ in range(falls)),
        "back": tuple(rng.sample(range(falls), falls)),
        "gap_ms": rng.choice((0, _delay_ms(rng), 5 * _delay_ms(rng))),
    }


def _messages(rng: random.Random) -> int:
    """Few, mostly, and often none."""
    messages = 0
    while rng.random() < MORE_MESSAGES:
        messages += 1
    return messages


def _row(rng: random.Random, nodes: int) -> tuple[int, int]:
    """(how many fall, how many of them are down at once): in every second row the first are back
    before the last fall, so that those who led before can lead again."""
    most = majority(nodes)
    if rng.random() < 0.5:
        falls = rng.randint(2, most)
        return falls, falls
    down = rng.randint(max(1, most - 1), most)
    return rng.randint(down + 1, LONGEST_ROW), down


def _delay_ms(rng: random.Random) -> int:
    """0 to 400 ms, most of them short: drawn evenly over orders of magnitude."""
    return int(math.exp(rng.random() * math.log(LONGEST_DELAY_MS + 1))) - 1


@dataclass(frozen=True, slots=True)
class Falls:
    """How leaders fall, how long after each was seen to lead or after how many of its ``messages``
    to another node, and in which order they are back.

    Before more than ``down`` have fallen, the one that fell first comes back.
    """

    hows: tuple[str, ...]
    down: int
    delays_ms: tuple[int, ...]
    back: tuple[int, ...]
    gap_ms: int
    messages: tuple[int, ...] = ()

    @classmethod
    def read(cls, spec: FaultSpec) -> Falls:
        """From a plan.

        Raises:
            UsageError: not parameters of a churn.
        """
        between = "messages" in spec.params
        hows = params.names(spec, "hows") if between else (params.text(spec, "how"),)
        for how in hows:
            if how not in HOWS:
                raise UsageError(f"fault churn: unknown way {how!r} (known: {', '.join(HOWS)})")
        down = params.whole(spec, "down")
        if down < 1:
            raise UsageError(f"fault churn: down should be 1 or more, but is {down}")
        counted = "messages" if between else "delays_ms"
        moments, back = params.wholes(spec, counted), params.wholes(spec, "back")
        if not moments or sorted(back) != list(range(len(moments))):
            raise UsageError(f"fault churn: back should be an order of as many as {counted} has")
        gap_ms = params.whole(spec, "gap_ms")
        if not between:
            return cls(hows * len(moments), down, moments, back, gap_ms)
        if len(hows) != len(moments):
            raise UsageError("fault churn: hows should be as many as messages")
        return cls(hows, down, (0,) * len(moments), back, gap_ms, moments)


@dataclass(slots=True)
class _Fall:
    """One leader's fall: a cut or a kill, with its own proofs."""

    node: str
    context: FaultContext
    fault: PartitionFault | KillFault
    bit: Proof | None = None
    returning: asyncio.Task[Proof] | None = None

    async def prove(self) -> Proof:
        """As it is now; or as it was when it ended."""
        return self.bit or await self.fault.prove(self.context)

    async def come_back(self) -> None:
        """Ends it, and does not wait until that is proven."""
        if isinstance(self.fault, PartitionFault):
            self.bit = await self.fault.prove_quickly(self.context)
        else:
            self.bit = await self.fault.prove(self.context)
        self.returning = asyncio.create_task(self.end())

    async def end(self) -> Proof:
        """That it fails spares none of the others."""
        try:
            return await self.fault.end(self.context)
        except (HarnessError, OSError, TimeoutError) as error:
            return Proof(False, str(error) or type(error).__name__)


class ChurnFault:
    """One row of falls."""

    def __init__(self, falls: Falls) -> None:
        self._falls = falls
        self._fallen: list[_Fall] = []

    @property
    def _down(self) -> list[_Fall]:
        return [fall for fall in self._fallen if fall.returning is None]

    async def begin(self, context: FaultContext) -> Resolved:
        """Takes the leader away, then the next one, until nobody else is elected.

        Raises:
            EnvironmentFailure: nobody led, or one could not be taken away.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + FIRST_WAIT_S + ROW_S - NEXT_WAIT_S
        for number, delay_ms in enumerate(self._falls.delays_ms):
            if len(self._down) >= self._falls.down:
                await self._down[0].come_back()
            next_s = MESSAGES_WAIT_S if self._falls.messages else NEXT_WAIT_S
            wait_s = next_s if self._fallen else FIRST_WAIT_S
            if self._falls.messages:
                fell = await self._between_messages(context, wait_s, number)
            else:
                fell = await self._after_a_while(context, wait_s, number, delay_ms)
            if not fell:
                break
            if number == 0:
                until = loop.time() + ROW_S - NEXT_WAIT_S
            if loop.time() >= until:
                break
        if not self._fallen:
            raise EnvironmentFailure("nobody led whom it could have taken away")
        if self._falls.messages and len(self._down) >= self._falls.down > 1:
            # Who was followed by the last one can lead again while that one is away.
            await self._down[0].come_back()
        return self._resolved()

    def _resolved(self) -> Resolved:
        nodes = tuple(fall.node for fall in self._fallen)
        counts, hows = self._falls.messages[: len(nodes)], self._falls.hows[: len(nodes)]
        data: dict[str, Value] = {"nodes": nodes, "leader": nodes[0]}
        if counts:
            words = ", then ".join(
                f"{node} {VERBS[how]} after {count}"
                for node, how, count in zip(nodes, hows, counts, strict=True)
            )
            words += " messages as leader"
            data |= {"hows": hows, "messages": counts}
        else:
            words = f"{', then '.join(nodes)} {VERBS[hows[0]]} as each came to lead"
            data = {"how": hows[0], **data}
        back = tuple(fall.node for fall in self._fallen if fall.returning is not None)
        if back:
            when = "at once" if counts else "before the last fell"
            words += f"; back {when}: {', '.join(back)}"
        return Resolved(words, data)

    async def _after_a_while(
        self, context: FaultContext, wait_s: float, number: int, delay_ms: int
    ) -> bool:
        """Did somebody come to lead, and fall?"""
        leader = await self._next_leader(context, wait_s, delay_ms)
        if leader is not None:
            await self._fall(context, number, leader)
        return leader is not None

    async def _between_messages(self, context: FaultContext, wait_s: float, number: int) -> bool:
        """Did somebody come to lead, and fall?"""
        network = context.cluster.network
        if not isinstance(network, CutsBetweenMessages):
            raise EnvironmentFailure(f"this network cannot cut between messages: {_BY_TIME}")
        # Whoever is down by another hand has no messages that could come.
        away = {fall.node for fall in self._down}
        there = [node for node in context.cluster.nodes if node not in away]
        trap = f"{context.id}.{number + 1}, caught"
        try:
            leader = await network.cut_after(trap, there, self._falls.messages[number], wait_s)
            if leader is not None:
                await self._fall(context, number, leader)
        finally:
            # Whoever was caught is down by the fall's own hand now.
            await context.cluster.network.cut(trap, {})
        return leader is not None

    async def _fall(self, context: FaultContext, number: int, leader: str) -> None:
        own = replace(context, id=f"{context.id}.{number + 1}")
        fall = _Fall(leader, own, self._fault(number, leader, context.cluster.nodes))
        self._fallen.append(fall)
        await fall.fault.begin(own)

    async def _next_leader(self, context: FaultContext, wait_s: float, delay_ms: int) -> str | None:
        """Somebody who leads, has not fallen yet and is still there after the delay."""
        fallen = {fall.node for fall in self._down}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            leader = await context.leader(ANSWER_S)
            if leader is not None and leader not in fallen:
                await asyncio.sleep(delay_ms / 1000)
                # Another fault may have been quicker: who is down falls no deeper.
                there = (await context.cluster.processes.state(leader)).state != "gone"
                if there and leader not in context.claims.of(DOWN).of_others(context.id):
                    return leader
            if loop.time() >= deadline:
                return None
            await asyncio.sleep(POLL_S)

    def _fault(
        self, number: int, leader: str, nodes: tuple[str, ...]
    ) -> PartitionFault | KillFault:
        if self._falls.hows[number] == "kill":
            return KillFault(Aim("one", (leader,)))
        others = tuple(node for node in nodes if node != leader)
        return PartitionFault(Wish("one", (leader, *others)))

    async def prove(self, context: FaultContext) -> Proof:  # noqa: ARG002
        """Every fall has its proof."""
        if not self._fallen:
            return Proof(False, "nobody fell")
        proofs = await asyncio.gather(*(fall.prove() for fall in self._fallen))
        return self._together(self._fallen, proofs)

    async def end(self, context: FaultContext) -> Proof:  # noqa: ARG002
        """Those who are still down come back in the drawn order."""
        proofs: dict[int, Proof] = {}
        order = [place for place in self._falls.back if place < len(self._fallen)]
        order = [place for place in order if self._fallen[place].returning is None]
        for turn, place in enumerate(order):
            if turn:
                await asyncio.sleep(self._falls.gap_ms / 1000)
            proofs[place] = await self._fallen[place].end()
        for place, fall in enumerate(self._fallen):
            if fall.returning is not None:
                proofs[place] = await fall.returning
        return self._together(self._fallen, [proofs[place] for place in sorted(proofs)])

    def _together(self, falls: Sequence[_Fall], proofs: Sequence[Proof]) -> Proof:
        """Holds when all do; in words, those that do not, or all."""
        told = [(fall.node, proof) for fall, proof in zip(falls, proofs, strict=True)]
        wrong = [(node, proof) for node, proof in told if not proof.holds]
        words = "; ".join(f"{node}: {proof.words}" for node, proof in wrong or told)
        figures: dict[str, Value] = {"falls": len(self._fallen)}
        return Proof(not wrong, words or "nobody fell", figures)
