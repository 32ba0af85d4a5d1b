"""Shaping by the kernel's netem (tc-netem(8)): in each sender, a class of its own for each peer.

A filter on the destination address leads each peer's packets through the netem of its class. The
classes are of ``htb``, at a rate that no virtual cable reaches; with ``default 0`` it lets
whatever is not for a peer (ARP, answers to clients) pass as if it were not there (tc-htb(8)).

netem counts what it sends and drops, but not what it doubles, reorders or corrupts, and what cannot
be counted cannot be proven: those go through :mod:`harness.agent.queueing` here too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from harness.agent import linux, tools
from harness.agent.machines import Behaviour, Counts, Link, Machine
from harness.agent.tools import Command, ToolFailed

_LIMIT = 100_000
"""Packets that may be under way; netem's own 1000 would lose some at a long delay."""
_USUAL_BYTES = 250
_LEAST_LIMIT = 32


def lacks() -> str | None:
    """Why netem cannot be used here, tried in a namespace that is thrown away."""
    try:
        with linux.throwaway_netns():
            tools.run(Command(["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]))
    except (ToolFailed, OSError) as error:
        return str(error)
    return None


def build(device: str, peers: Sequence[str], leaf: str = "netem") -> str:
    """A node's tree, for ``tc -batch``; its leaves shape nothing yet."""
    lines = [f"qdisc replace dev {device} root handle 1: htb default 0"]
    for number, peer in enumerate(peers):
        lines += [
            f"class add dev {device} parent 1: classid {_class(number)} htb rate 10gbit "
            "quantum 60000",
            f"qdisc add dev {device} parent {_class(number)} handle {_handle(number)} "
            f"{leaf} limit {_LIMIT}",
            f"filter add dev {device} parent 1: protocol ip prio 1 "
            f"u32 match ip dst {peer}/32 flowid {_class(number)}",
        ]
    return "\n".join(lines) + "\n"


def change(device: str, behaviours: Mapping[int, Behaviour | None]) -> str:
    """New behaviour for the peers with these numbers; packets under way stay under way.

    A change sets all parameters anew, so that what is not named is off (sch_netem.c).
    """
    return "".join(
        f"qdisc change dev {device} parent {_class(number)} handle {_handle(number)} "
        f"netem limit {_limit(behaviour)}{parameters(behaviour)}\n"
        for number, behaviour in sorted(behaviours.items())
    )


def _limit(behaviour: Behaviour | None) -> int:
    """Packets that may wait: at a limited rate about a second's worth, of usual ones."""
    if behaviour is None or not behaviour.bytes_per_s:
        return _LIMIT
    return max(_LEAST_LIMIT, behaviour.bytes_per_s // _USUAL_BYTES)


def parameters(behaviour: Behaviour | None) -> str:
    """``delay 50000us 10000us loss 10.0000%``, each part only where it is wanted."""
    if behaviour is None:
        return ""
    words = ""
    if behaviour.delay_ns or behaviour.jitter_ns:
        words += f" delay {behaviour.delay_ns // 1000}us"
    if behaviour.jitter_ns:
        words += f" {behaviour.jitter_ns // 1000}us"
    if behaviour.loss:
        words += f" loss random {behaviour.loss:.4%}"
    if behaviour.bytes_per_s:
        words += f" rate {behaviour.bytes_per_s * 8}bit"
    return words


def readings(printed: str) -> dict[int, tuple[int, int]]:
    """From ``tc -s -j qdisc show``: number of the peer → (packets sent, packets dropped)."""
    found = {}
    for qdisc in json.loads(printed or "[]"):
        if qdisc.get("kind") == "netem":
            number = int(qdisc["handle"].rstrip(":"), 16) - 16
            found[number] = int(qdisc["packets"]), int(qdisc["drops"])
    return found


class Tally:
    """Counts of a netem that also carries packets while it shapes nothing."""

    def __init__(self) -> None:
        self._last = (0, 0)
        self._behaviour: Behaviour | None = None
        self.counts = Counts()

    def advance(self, reading: tuple[int, int], behaviour: Behaviour | None) -> None:
        """What passed since the last reading did so under the behaviour told then."""
        sent, dropped = reading[0] - self._last[0], reading[1] - self._last[1]
        told = self._behaviour
        if told is not None:
            full = told.bytes_per_s > 0 and not told.loss
            self.counts += Counts(
                delayed=sent if told.delay_ns or told.jitter_ns else 0,
                lost=0 if full else dropped,
                limited=sent + (dropped if full else 0) if told.bytes_per_s else 0,
            )
        self._last, self._behaviour = reading, behaviour


class NetemShaper:
    """The tree is built with the first shaping and stays until the end, without effect."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        """Changes nothing yet."""
        self.how = "netem"
        self._machines = machines
        self._built = False
        self._wanted: Mapping[Link, Behaviour] = {}
        self._tallies: dict[Link, Tally] = {}

    def shape(self, links: Mapping[Link, Behaviour]) -> None:
        """One ``tc -batch`` in each sender for which something changes."""
        if not links and not self._built:
            return
        self._build()
        texts = {}
        for machine in self._machines:
            changed = {
                number: links.get((machine.node, peer.node))
                for number, peer in enumerate(self._peers(machine))
                if links.get((machine.node, peer.node))
                != self._wanted.get((machine.node, peer.node))
            }
            if changed:
                texts[machine.node] = change(machine.device, changed)
        self._advance(links)
        self._batch(texts)
        self._wanted = dict(links)

    def shaped(self) -> dict[Link, Counts]:
        """Read from the qdiscs' counters."""
        if self._built:
            self._advance(self._wanted)
        return {link: tally.counts for link, tally in self._tallies.items()}

    def remove(self) -> None:
        """The interfaces get back the qdisc they were made with."""
        if self._built:
            self._batch({m.node: f"qdisc del dev {m.device} root\n" for m in self._machines})

    def _peers(self, machine: Machine) -> list[Machine]:
        return [peer for peer in self._machines if peer is not machine]

    def _build(self) -> None:
        if not self._built:
            texts = {}
            for machine in self._machines:
                peers = [peer.address for peer in self._peers(machine)]
                texts[machine.node] = build(machine.device, peers)
            self._batch(texts)
            self._built = True

    def _advance(self, links: Mapping[Link, Behaviour]) -> None:
        printed = tools.run_all(
            Command(["tc", "-s", "-j", "qdisc", "show", "dev", m.device], netns=m.netns)
            for m in self._machines
        )
        for machine, text in zip(self._machines, printed, strict=True):
            read = readings(text)
            for number, peer in enumerate(self._peers(machine)):
                link = machine.node, peer.node
                tally = self._tallies.setdefault(link, Tally())
                tally.advance(read.get(number, (0, 0)), links.get(link))

    def _batch(self, texts: Mapping[str, str]) -> None:
        tools.run_all(
            Command(["tc", "-batch", "-"], texts[m.node], m.netns)
            for m in self._machines
            if m.node in texts
        )


def _class(number: int) -> str:
    return f"1:{number + 1:x}"


def _handle(number: int) -> str:
    return f"{number + 16:x}:"
