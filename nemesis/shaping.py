"""Links that treat packets badly: which links those are, and how it is known that they do.

A delay shows in round trips; whatever chance or a rate does shows in counters alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from harness.core.claims import Holds
from harness.core.cluster import Link, LinkBehaviour, LinkCounts, NetworkControl
from harness.core.errors import UsageError
from harness.core.faults import FaultSpec, Proof
from harness.core.protocols import FaultContext, Resolved
from harness.core.units import MILLISECOND
from harness.core.values import Value
from nemesis import params
from nemesis.roles import LEADER_WAIT_S, ask_leader, bracket, leader_words
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

WAIT_S = LEADER_WAIT_S
"""How long a fault waits for links that pass something, and for the leader if it is meant."""

COUNTERS: Mapping[str, str] = {
    "slow": "delayed",
    "loss": "lost",
    "duplicate": "duplicated",
    "reorder": "reordered",
    "corrupt": "corrupted",
    "rate": "limited",
}
"""Which counter of a link tells of which family; also the word for what happens to a packet."""

Trips = dict[Link, int]


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a planned fault does to which links."""

    kind: str
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
        behaviour = _behaviour(spec)
        return cls(spec.kind, where, params.names(spec, "order"), behaviour)

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
        how = _words(self.kind, self.behaviour)
        who = "all links" if self.where == "all" else node
        one_way = "what it sends" if self.where == "one-way" else ""
        return f"{who} {how}" + bracket(one_way, leader_words(leader))


def _behaviour(spec: FaultSpec) -> LinkBehaviour:
    match spec.kind:
        case "slow":
            return LinkBehaviour(
                delay_ns=params.whole(spec, "delay_ms") * MILLISECOND,
                jitter_ns=params.whole(spec, "jitter_ms") * MILLISECOND,
            )
        case "rate":
            return LinkBehaviour(bytes_per_s=params.whole(spec, "kbit_per_s") * 125)
        case "duplicate":
            late_ns = params.whole(spec, "late_ms") * MILLISECOND
            return LinkBehaviour(duplicate=params.whole(spec, "percent") / 100, late_ns=late_ns)
        case "reorder":
            late_ns = params.whole(spec, "late_ms") * MILLISECOND
            return LinkBehaviour(reorder=params.whole(spec, "percent") / 100, late_ns=late_ns)
        case "corrupt":
            return LinkBehaviour(corrupt=params.whole(spec, "percent") / 100)
        case _:
            return LinkBehaviour(loss=params.whole(spec, "percent") / 100)


def _words(kind: str, behaviour: LinkBehaviour) -> str:
    """``50±20 ms``, ``12 % lost``, ``64 kbit/s``."""
    match kind:
        case "slow":
            delay, jitter = behaviour.delay_ns, behaviour.jitter_ns
            return f"{delay // MILLISECOND}±{jitter // MILLISECOND} ms"
        case "rate":
            return f"{behaviour.bytes_per_s // 125} kbit/s"
        case "duplicate" | "reorder":
            share = behaviour.duplicate or behaviour.reorder
            late = behaviour.late_ns // MILLISECOND
            return f"{round(share * 100)} % {COUNTERS[kind]}, {late} ms later"
        case _:
            share = behaviour.corrupt or behaviour.loss
            return f"{round(share * 100)} % {COUNTERS[kind]}"


class _Shaped:
    """What all treated links have in common: the choice of links, and counters before."""

    def __init__(self, treatment: Treatment) -> None:
        self._treatment = treatment
        self._counter = COUNTERS[treatment.kind]
        self._links: frozenset[Link] = frozenset()
        self._before: Mapping[Link, LinkCounts] = {}

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

    def _claims(self, context: FaultContext) -> Holds[Link]:
        """Who counts in the same counter."""
        return context.claims.of(self._counter)

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
        self._claims(context).take(context.id, links)
        await network.shape(context.id, dict.fromkeys(sorted(links), self._treatment.behaviour))
        await self._try_out(network)

    async def _measure(self, context: FaultContext, links: frozenset[Link]) -> None:
        """What has to be known before anything is done."""

    async def _try_out(self, network: NetworkControl) -> None:
        """Sends something over the links."""

    async def _withdraw(self, context: FaultContext) -> None:
        await context.cluster.network.shape(context.id, {})
        self._claims(context).release(context.id)

    def _counted(self, after: Mapping[Link, LinkCounts]) -> int:
        """Packets delayed or lost on the treated links since the beginning."""
        return _counted(self._before, after, self._links, self._counter)

    async def _quiet(self, context: FaultContext) -> bool:
        """Nothing is delayed or lost any more on links that no other fault of ours treats.

        As many packets are sent as make it all but impossible that chance spares them all.
        """
        network = context.cluster.network
        free = self._links - self._claims(context).of_others(context.id)
        before, open_links, sent = await network.shaped(), free, 0
        while open_links and sent < ENOUGH:
            passed = await network.probe(tuple(sorted(open_links)), 0.3)
            sent += len(open_links)
            # Those that are cut by another fault now would only cost time.
            open_links = frozenset(link for link in open_links if passed.get(link))
        after = await network.shaped()
        free -= self._claims(context).of_others(context.id)
        return _counted(before, after, free, self._counter) == 0


NONE = LinkCounts()


class SlowFault(_Shaped):
    """Delay and jitter on links."""

    def __init__(self, treatment: Treatment) -> None:
        super().__init__(treatment)
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
        # Nor does one tell anything that another fault had made longer before than this one could.
        fair = {link: pair for link, pair in pairs.items() if pair[0] < self._extra(link)}
        grown = [now - before >= self._extra(link) // 3 for link, (before, now) in fair.items()]
        if fair and not any(grown):
            quick = sorted(fair)
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
        """Links that another fault slows, in one direction or the other."""
        others = self._claims(context).of_others(context.id)
        others |= context.claims.of(COUNTERS["rate"]).of_others(context.id)
        return others | frozenset(link[::-1] for link in others)


class CountedFault(_Shaped):
    """Links that lose, double, reorder or damage packets at random, or let only so many pass."""

    def __init__(self, treatment: Treatment) -> None:
        super().__init__(treatment)
        self._bursts = 0

    async def _try_out(self, network: NetworkControl) -> None:
        """Probes until one is met: on a quiet link chance may spare all that the system sends."""
        self._bursts = 0
        while self._bursts < BURSTS and not self._counted(await network.shaped()):
            await network.probe(tuple(sorted(self._links)), 0.2)
            self._bursts += 1

    async def prove(self, context: FaultContext) -> Proof:
        """Packets were treated so."""
        what = self._counter
        if not self._links:
            return Proof(False, f"no link was chosen, nothing was {what}")
        count = self._counted(await context.cluster.network.shaped())
        figures: dict[str, Value] = {
            what: count,
            "links": len(self._links),
            "bursts": self._bursts,
        }
        if not count:
            return Proof(False, f"no packet was {what}", figures)
        return Proof(True, f"{count} packets {what}", figures)

    async def end(self, context: FaultContext) -> Proof:
        """Withdraws it; healed when nothing of what is sent is treated so."""
        if not self._links:
            return Proof(True, f"nothing had been {self._counter}")
        await self._withdraw(context)

        # The first look may still count what was under way.
        if await self._quiet(context) or await self._quiet(context):
            return Proof(True, f"no packet is {self._counter} any more")
        return Proof(False, f"packets are still {self._counter}")


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
    before: Mapping[Link, LinkCounts],
    after: Mapping[Link, LinkCounts],
    links: Iterable[Link],
    counter: str,
) -> int:
    def count(counts: Mapping[Link, LinkCounts], link: Link) -> int:
        number: int = getattr(counts.get(link, NONE), counter)
        return number

    return sum(count(after, link) - count(before, link) for link in links)


def _ms(nanoseconds: int) -> float:
    return round(nanoseconds / MILLISECOND, 1)
