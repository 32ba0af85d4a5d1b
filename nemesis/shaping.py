"""Delay, jitter and loss on links between nodes, with the proof by counters and by round trips."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from harness.core.cluster import Link, LinkBehaviour, NetworkControl
from harness.core.errors import UsageError
from harness.core.faults import FaultSpec, Proof
from harness.core.protocols import FaultContext, Resolved
from harness.core.units import MILLISECOND
from harness.core.values import Value
from nemesis import params
from nemesis.holds import Holds
from nemesis.roles import ask_leader, bracket, leader_words
from nemesis.shapes import between
from nemesis.waiting import until

WHERE: Mapping[str, str] = {
    "all": "every link",
    "one": "every link of one node",
    "leader": "every link of the leader",
    "one-way": "what one node sends, not what it hears",
}
MEASURED = 3
"""Round trips are measured on so many links: the others are treated by the same rules."""
TRIP_LIMIT_S = 1.0
HEAL_LIMIT_S = 8.0
BURSTS = 8
"""Rounds of probes that are sent over lossy links on which nothing was lost yet."""
ENOUGH = 120
"""Packets: at a loss of 10 % the chance that all of them pass is 3 in a million."""

WAIT_S = 9.0
"""How long a fault waits for links that pass something, and for the leader if it is meant."""

Trips = dict[Link, int]


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a planned fault does to which links."""

    where: str
    order: tuple[str, ...]
    behaviour: LinkBehaviour

    @classmethod
    def read(cls, spec: FaultSpec) -> Treatment:
        """From a plan.

        Raises:
            UsageError: not parameters of a slow or lossy link.
        """
        where = params.text(spec, "where")
        if where not in WHERE:
            raise UsageError(f"fault {spec.kind}: unknown place {where!r}")
        if "percent" in spec.params:
            behaviour = LinkBehaviour(loss=params.whole(spec, "percent") / 100)
        else:
            behaviour = LinkBehaviour(
                delay_ns=params.whole(spec, "delay_ms") * MILLISECOND,
                jitter_ns=params.whole(spec, "jitter_ms") * MILLISECOND,
            )
        return cls(where, params.names(spec, "order"), behaviour)

    def links(self, node: str) -> frozenset[Link]:
        """The links that are treated, if the one node that is meant is ``node``."""
        others = [other for other in self.order if other != node]
        out = between((node,), others)
        match self.where:
            case "all":
                every = between(self.order, self.order)
                return every - {(name, name) for name in self.order}
            case "one-way":
                return out
            case _:
                return out | between(others, (node,))

    def words(self, node: str, leader: str | None) -> str:
        """``n3 50±20 ms``, ``all links 12 % lost``."""
        behaviour = self.behaviour
        if behaviour.loss:
            how = f"{behaviour.loss:.0%} lost".replace("%", " %")
        else:
            delay, jitter = behaviour.delay_ns, behaviour.jitter_ns
            how = f"{delay // MILLISECOND}±{jitter // MILLISECOND} ms"
        who = "all links" if self.where == "all" else node
        one_way = "what it sends" if self.where == "one-way" else ""
        return f"{who} {how}" + bracket(one_way, leader_words(leader))


class _Shaped:
    """What slow and lossy links have in common: the choice of links, and counters before."""

    which: int
    """Which of the two counters of a link tells of it: packets delayed (0), packets lost (1)."""

    def __init__(self, treatment: Treatment, holds: Holds[Link]) -> None:
        self._treatment = treatment
        self._holds = holds
        self._links: frozenset[Link] = frozenset()
        self._before: Mapping[Link, tuple[int, int]] = {}

    async def begin(self, context: FaultContext) -> Resolved:
        """Shapes links that pass something, and sees to it that something met the shaping.

        Later another fault may cut them, and then nothing would show what was done to them.
        """
        treatment = self._treatment
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while True:
            node, leader = await self._choose(context, deadline)
            await self._shape(context, treatment.links(node))
            late = asyncio.get_running_loop().time() >= deadline
            if late or self._counted(await context.cluster.network.shaped()):
                break
            # Another fault cut these links in the meantime: there may be better ones.
            await self._withdraw(context)
        data: dict[str, Value] = {"where": treatment.where}
        if treatment.where != "all":
            data["nodes"] = (node,)
        if treatment.where == "leader":
            data["leader"] = leader
        return Resolved(treatment.words(node, leader), data)

    async def _choose(self, context: FaultContext, deadline: float) -> tuple[str, str | None]:
        """(the node, the leader if it was meant): the first one that is not cut off.

        Waits for the leader, and for a node that is not cut off, if there is none.
        """
        treatment = self._treatment
        order = treatment.order
        every = between(order, order) - {(node, node) for node in order}
        attempt = 0
        while True:
            leader = await ask_leader(context, attempt) if treatment.where == "leader" else None
            candidates = order if treatment.where != "leader" else filter(None, (leader,))
            passed = await context.cluster.network.probe(tuple(sorted(every)), 0.3)
            for node in candidates:
                if any(passed.get(link) for link in treatment.links(node)):
                    return node, leader
            if asyncio.get_running_loop().time() >= deadline:
                return leader or order[0], leader
            await asyncio.sleep(0.1)
            attempt += 1

    async def _shape(self, context: FaultContext, links: frozenset[Link]) -> None:
        network = context.cluster.network
        await self._measure(context, links)
        self._before = await network.shaped()
        # From here on there is something to undo, whatever becomes of the call.
        self._links = links
        self._holds.take(context.id, links)
        await network.shape(context.id, dict.fromkeys(sorted(links), self._treatment.behaviour))
        await self._try_out(network)

    async def _measure(self, context: FaultContext, links: frozenset[Link]) -> None:
        """What has to be known before anything is done."""

    async def _try_out(self, network: NetworkControl) -> None:
        """Sends something over the links."""

    async def _withdraw(self, context: FaultContext) -> None:
        await context.cluster.network.shape(context.id, {})
        self._holds.release(context.id)

    def _counted(self, after: Mapping[Link, tuple[int, int]]) -> int:
        """Packets delayed or lost on the treated links since the beginning."""
        return _counted(self._before, after, self._links, self.which)

    async def _quiet(self, context: FaultContext) -> bool:
        """Nothing is delayed or lost any more on links that no other fault of ours treats.

        As many packets are sent as make it all but impossible that chance spares them all.
        """
        network = context.cluster.network
        free = self._links - self._holds.of_others(context.id)
        before, open_links, sent = await network.shaped(), free, 0
        while open_links and sent < ENOUGH:
            passed = await network.probe(tuple(sorted(open_links)), 0.3)
            sent += len(open_links)
            # Those that are cut by another fault now would only cost time.
            open_links = frozenset(link for link in open_links if passed.get(link))
        after = await network.shaped()
        free -= self._holds.of_others(context.id)
        return _counted(before, after, free, self.which) == 0


class SlowFault(_Shaped):
    """Delay and jitter on links."""

    which = 0

    def __init__(self, treatment: Treatment, holds: Holds[Link]) -> None:
        super().__init__(treatment, holds)
        self._trips: Trips = {}
        self._slow_trips: Trips = {}

    async def _measure(self, context: FaultContext, links: frozenset[Link]) -> None:
        self._trips = await _round_trips(context.cluster.network, links - self._touched(context))

    async def _try_out(self, network: NetworkControl) -> None:
        self._slow_trips = await _round_trips(network, frozenset(self._trips))

    def _extra(self, link: Link) -> int:
        """By how much a round trip that begins on ``link`` should be longer on average."""
        ways = (link in self._links) + (link[::-1] in self._links)
        return ways * self._treatment.behaviour.delay_ns

    async def prove(self, context: FaultContext) -> Proof:
        """Packets were delayed, and a datagram there and back takes as much longer as asked."""
        if not self._links:
            return Proof(False, "nothing was delayed")
        network = context.cluster.network
        delayed = self._counted(await network.shaped())
        trips = self._slow_trips | await _round_trips(network, frozenset(self._trips))
        pairs = {link: (self._trips[link], trip) for link, trip in trips.items()}
        # A host that is busy makes some trips long by itself, before as well as now.
        quick = [link for link, (_, trip) in pairs.items() if trip < self._extra(link) // 3]
        if not any(now - before >= self._extra(link) // 3 for link, (before, now) in pairs.items()):
            quick = sorted(pairs)
        figures: dict[str, Value] = {
            "delayed": delayed,
            "round_trips_ms": tuple(
                (start, end, _ms(before), _ms(after))
                for (start, end), (before, after) in sorted(pairs.items())
            ),
        }
        if quick:
            start, end = min(quick)
            before, after = pairs[start, end]
            words = f"a round trip {start}→{end} took {_ms(before)} ms, now {_ms(after)} ms"
            return Proof(False, f"hardly slower: {words}", figures)
        if not delayed:
            return Proof(False, "no packet was delayed", figures)
        if not pairs:
            return Proof(True, f"{delayed} packets delayed (no round trip: links are cut)", figures)
        before, after = max(pairs.values(), key=lambda pair: pair[1] - pair[0])
        words = f"{delayed} packets delayed, round trip {_ms(before)} → {_ms(after)} ms"
        return Proof(True, words, figures)

    async def end(self, context: FaultContext) -> Proof:
        """Withdraws the delay; healed when round trips are short again."""
        if not self._links:
            return Proof(True, "nothing had been delayed")
        await self._withdraw(context)
        network = context.cluster.network
        now: Trips = {}

        async def short() -> bool:
            free = frozenset(self._trips) - self._touched(context)
            now.clear()
            now.update(await _round_trips(network, free))
            return all(
                trip - self._trips[link] < self._extra(link) // 3 for link, trip in now.items()
            )

        if not await until(short, HEAL_LIMIT_S):
            (start, end), trip = max(now.items(), key=lambda item: item[1])
            return Proof(False, f"a round trip {start}→{end} still takes {_ms(trip)} ms")
        if now:
            return Proof(True, f"round trips take {_ms(max(now.values()))} ms again")
        # Cut off by another fault: what does not pass cannot be timed, but it can be counted.
        if await until(partial(self._quiet, context), HEAL_LIMIT_S):
            return Proof(True, "no packet is delayed any more")
        return Proof(False, "packets are still delayed")

    def _touched(self, context: FaultContext) -> frozenset[Link]:
        """Links that another fault of ours has slowed since, in one direction or the other."""
        others = self._holds.of_others(context.id)
        return others | frozenset(link[::-1] for link in others)


class LossFault(_Shaped):
    """Links that lose packets at random."""

    which = 1

    def __init__(self, treatment: Treatment, holds: Holds[Link]) -> None:
        super().__init__(treatment, holds)
        self._bursts = 0

    async def _try_out(self, network: NetworkControl) -> None:
        """Probes until one is lost: on a quiet link chance may spare all that the system sends."""
        self._bursts = 0
        while self._bursts < BURSTS and not self._counted(await network.shaped()):
            await network.probe(tuple(sorted(self._links)), 0.2)
            self._bursts += 1

    async def prove(self, context: FaultContext) -> Proof:
        """Packets were lost."""
        if not self._links:
            return Proof(False, "nothing was lossy")
        lost = self._counted(await context.cluster.network.shaped())
        figures: dict[str, Value] = {
            "lost": lost,
            "links": len(self._links),
            "bursts": self._bursts,
        }
        if not lost:
            return Proof(False, "no packet was lost", figures)
        return Proof(True, f"{lost} packets lost", figures)

    async def end(self, context: FaultContext) -> Proof:
        """Withdraws the loss; healed when nothing is lost of what is sent."""
        if not self._links:
            return Proof(True, "nothing had been lossy")
        await self._withdraw(context)

        # The first look may still count what was under way.
        if await self._quiet(context) or await self._quiet(context):
            return Proof(True, "no packet is lost any more")
        return Proof(False, "packets are still lost")


async def _round_trips(network: NetworkControl, links: frozenset[Link]) -> Trips:
    """The shortest of three round trips on a few of the links; without those that are cut."""
    chosen = sorted(links)[:: max(1, len(links) // MEASURED)][:MEASURED]

    async def measure(link: Link) -> int | None:
        first = await network.round_trip(link, TRIP_LIMIT_S)
        if first is None:
            return None
        more = [await network.round_trip(link, TRIP_LIMIT_S) for _ in range(2)]
        return min(trip for trip in (first, *more) if trip is not None)

    trips = await asyncio.gather(*(measure(link) for link in chosen))
    return {link: trip for link, trip in zip(chosen, trips, strict=True) if trip is not None}


def _counted(
    before: Mapping[Link, tuple[int, int]],
    after: Mapping[Link, tuple[int, int]],
    links: Iterable[Link],
    which: int,
) -> int:
    none = (0, 0)
    return sum(after.get(link, none)[which] - before.get(link, none)[which] for link in links)


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / MILLISECOND, 1)
