"""Cuts directed links and counts what was dropped.

Both ways keep the counters apart from the rules that come and go, so that a count never shrinks:
with nft in named counters, with iptables in a chain of its own for every sender.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from typing import Protocol

from harness.agent import linux, tools
from harness.agent.machines import CLIENTS, Link, Machine
from harness.agent.tools import Command, ToolFailed

CHAIN = "QUORUM"
IPTABLES = ("iptables-legacy", "iptables-nft", "iptables")
"""Tried in this order: the same table through the old interface is four times as fast."""


class Firewall(Protocol):
    """What is cut is the last thing said, all of it in force at once."""

    how: str

    def cut(self, links: Iterable[Link]) -> None:
        """Drops these links' packets and no others."""

    def dropped(self) -> dict[Link, int]:
        """Packets dropped since this was built; links that dropped none may be missing."""

    def remove(self) -> None:
        """Takes everything away that building and cutting put there."""


# -- nft: one table of family bridge, where the nodes' packets are switched ----------------------


def nft_table(table: str, addresses: Sequence[str]) -> str:
    """The table that drops nothing yet: a counter for each ordered pair of addresses.

    ARP passes: a cut is a lost packet, not a missing neighbour. Between nodes packets take the hook
    ``forward``, those of the machine itself, which are the clients', ``output``.
    """
    pairs = list(permutations(range(len(addresses)), 2))
    counters = "".join(f"  counter c{a}_{b} {{ }}\n" for a, b in pairs)
    pairs_counted = ", ".join(f'{addresses[a]} . {addresses[b]} : "c{a}_{b}"' for a, b in pairs)
    drop = "    ip saddr . ip daddr @cut counter name ip saddr . ip daddr map @counted drop\n"
    elements = f"    elements = {{ {pairs_counted} }}\n" if pairs else ""
    return (
        f"table bridge {table} {{\n"
        f"{counters}"
        "  set cut { type ipv4_addr . ipv4_addr; }\n"
        "  map counted {\n"
        "    type ipv4_addr . ipv4_addr : counter\n"
        f"{elements}"
        "  }\n"
        "  chain forward {\n"
        "    type filter hook forward priority -10; policy accept;\n"
        f"{drop}"
        "  }\n"
        "  chain output {\n"
        "    type filter hook output priority -10; policy accept;\n"
        f"{drop}"
        "  }\n"
        "}\n"
    )


def nft_cut(table: str, pairs: Iterable[tuple[str, str]]) -> str:
    """The change to exactly these (from, to) addresses; one file is one transaction."""
    elements = ", ".join(f"{source} . {destination}" for source, destination in pairs)
    add = f"add element bridge {table} cut {{ {elements} }}\n" if elements else ""
    return f"flush set bridge {table} cut\n{add}"


def nft_counts(printed: str, nodes: Sequence[str]) -> dict[Link, int]:
    """From ``nft -j list counters table …``."""
    counts = {}
    for item in json.loads(printed)["nftables"]:
        counter = item.get("counter")
        if counter is not None:
            source, destination = counter["name"].removeprefix("c").split("_")
            counts[nodes[int(source)], nodes[int(destination)]] = int(counter["packets"])
    return counts


class NftFirewall:
    """One table for the whole cluster, in the namespace that switches its packets."""

    how = "nft"

    def __init__(self, table: str, machines: Sequence[Machine], clients: str = "") -> None:
        """Makes the table.

        Raises:
            ToolFailed: nft is missing or refused.
        """
        self._table = table
        self._addresses = {machine.node: machine.address for machine in machines}
        if clients:
            self._addresses[CLIENTS] = clients
        self._nodes = list(self._addresses)
        _nft(nft_table(table, list(self._addresses.values())))

    def cut(self, links: Iterable[Link]) -> None:
        """One transaction."""
        pairs = [(self._addresses[source], self._addresses[to]) for source, to in sorted(links)]
        _nft(nft_cut(self._table, pairs))

    def dropped(self) -> dict[Link, int]:
        """Read from the table's counters."""
        listing = ["nft", "-j", "list", "counters", "table", "bridge", self._table]
        return nft_counts(tools.run(Command(listing)), self._nodes)

    def remove(self) -> None:
        """The table, and all that is in it."""
        _nft(f"delete table bridge {self._table}\n")


def _nft(text: str) -> None:
    tools.run(Command(["nft", "-f", "-"], text))


# -- iptables: a chain in the network namespace of each node -------------------------------------


def iptables_build(
    sources: Sequence[str], chain: str = CHAIN, verdicts: Sequence[str] = ("-j DROP",)
) -> str:
    """A node's empty chain, and a counting one for each sender that packets may come from."""
    chains = "".join(f":{chain}-{number} - [0:0]\n" for number in range(len(sources)))
    ends = "".join(
        f"-A {chain}-{number} {verdict}\n" for number in range(len(sources)) for verdict in verdicts
    )
    return f"*filter\n:{chain} - [0:0]\n{chains}{ends}-I INPUT 1 -j {chain}\nCOMMIT\n"


def iptables_cut(sources: Sequence[str], drop: Iterable[int], chain: str = CHAIN) -> str:
    """The node's chain, anew. Chains that are not named keep their rules and counters."""
    rules = "".join(
        f"-A {chain} -s {sources[number]} -j {chain}-{number}\n" for number in sorted(drop)
    )
    return f"*filter\n:{chain} - [0:0]\n{rules}COMMIT\n"


def iptables_remove(sources: Sequence[str], chain: str = CHAIN) -> str:
    """The inverse of :func:`iptables_build`."""
    chains = [chain, *(f"{chain}-{number}" for number in range(len(sources)))]
    empty = "".join(f":{name} - [0:0]\n" for name in chains)
    gone = "".join(f"-X {name}\n" for name in chains)
    return f"*filter\n{empty}-D INPUT -j {chain}\n{gone}COMMIT\n"


def iptables_counts(printed: str, chain: str = CHAIN) -> dict[int, int]:
    """From ``iptables-save -c``: number of the sender → packets."""
    counts: dict[int, int] = {}
    for line in printed.splitlines():
        match line.split():
            case [figures, "-A", name, *rule] if name.startswith(f"{chain}-") and "-j" in rule:
                number = int(name.removeprefix(f"{chain}-"))
                packets = int(figures.strip("[]").partition(":")[0])
                counts[number] = counts.get(number, 0) + packets
    return counts


class IptablesFirewall:
    """Each node drops, on its way in, what comes from those it is cut from.

    The rules live in the node's network namespace, which outlasts its server. One node's change
    is atomic; the nodes change side by side.
    """

    def __init__(
        self,
        command: str,
        machines: Sequence[Machine],
        clients: str = "",
        chain: str = CHAIN,
        verdicts: Sequence[str] = ("-j DROP",),
    ) -> None:
        """Makes the chains; ``verdicts`` are what becomes of a packet, the first that fits.

        Raises:
            ToolFailed: iptables is missing or refused.
        """
        self.how = "iptables"
        self._command = command
        self._machines = machines
        self._chain = chain
        addresses = {machine.node: machine.address for machine in machines}
        if clients:
            addresses[CLIENTS] = clients
        self._nodes = list(addresses)
        self._sources = list(addresses.values())
        self._numbers = {node: number for number, node in enumerate(addresses)}
        self._cuts: dict[str, frozenset[int]] = {machine.node: frozenset() for machine in machines}
        text = iptables_build(self._sources, chain, verdicts)
        self._restore({machine.node: text for machine in machines})

    def cut(self, links: Iterable[Link]) -> None:
        """Only nodes for which something changes are touched."""
        wanted: dict[str, frozenset[int]] = dict.fromkeys(self._cuts, frozenset())
        for source, to in links:
            wanted[to] |= {self._numbers[source]}
        changed = {node: drop for node, drop in wanted.items() if drop != self._cuts[node]}
        # Until all have changed nothing is certain, so that the next cut writes them all again.
        self._cuts.update(dict.fromkeys(changed, frozenset({-1})))
        self._restore(
            {node: iptables_cut(self._sources, drop, self._chain) for node, drop in changed.items()}
        )
        self._cuts.update(changed)

    def dropped(self) -> dict[Link, int]:
        """Read from the counting chains."""
        listing = [f"{self._command}-save", "-c", "-t", "filter"]
        printed = tools.run_all(Command(listing, netns=machine.netns) for machine in self._machines)
        return {
            (self._nodes[number], machine.node): packets
            for machine, text in zip(self._machines, printed, strict=True)
            for number, packets in iptables_counts(text, self._chain).items()
        }

    def remove(self) -> None:
        """The chains, and the jump to them."""
        text = iptables_remove(self._sources, self._chain)
        self._restore({machine.node: text for machine in self._machines})

    def _restore(self, texts: Mapping[str, str]) -> None:
        argv = [f"{self._command}-restore", "-w", "--noflush"]
        tools.run_all(
            Command(argv, texts[machine.node], machine.netns)
            for machine in self._machines
            if machine.node in texts
        )


# -- which of them -------------------------------------------------------------------------------


def nft_lacks() -> str | None:
    """Why a bridge table cannot be made here, tried in a namespace that is thrown away."""
    try:
        with linux.throwaway_netns():
            _nft(nft_table("probe", ["192.0.2.1", "192.0.2.2"]))
    except (ToolFailed, OSError) as error:
        return str(error)
    return None


def find_iptables() -> str:
    """The first iptables that can do what is asked of it, tried in a throw-away namespace.

    Raises:
        ToolFailed: none can; the message is about the last.
    """
    for command in IPTABLES:
        try:
            with linux.throwaway_netns():
                restore = [f"{command}-restore", "-w", "--noflush"]
                tools.run(Command(restore, iptables_build(["192.0.2.1"])))
                tools.run(Command([f"{command}-save", "-c", "-t", "filter"]))
        except ToolFailed as error:
            last = error
        else:
            return command
    raise last


def build(
    how: str, table: str, machines: Sequence[Machine], clients: str = ""
) -> tuple[Firewall, str]:
    """The firewall that was asked for (``nft``, ``iptables``), or with ``auto`` the better one.

    ``clients`` is the address from which clients come. Returns it and, in words, why it.

    Raises:
        ToolFailed: it cannot be had.
    """
    if how not in ("auto", "nft", "iptables"):
        raise ToolFailed(f"no such firewall: {how!r} (auto, nft, iptables)")
    why = "nft (one change for the whole cluster)"
    if how != "iptables":
        try:
            return NftFirewall(table, machines, clients), why
        except ToolFailed as error:
            if how == "nft":
                raise
            why = f"as nft cannot: {error}"
    else:
        why = "as asked"
    command = find_iptables()
    return IptablesFirewall(command, machines, clients), f"{command} in each node, {why}"
