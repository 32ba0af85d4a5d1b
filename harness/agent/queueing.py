"""Shaping where the kernel has no netem: packets wait in a queue for a process of ours.

In each receiver a rule leads the packets of shaped senders to a queue (NFQUEUE), from which
:mod:`harness.agent.delayer` lets them on in time, or drops them. The receiver, not the sender:
there a packet no longer counts as its socket's unsent data, so that a delay does not throttle the
sender as well (TCP small queues). The rule says bypass: without a living helper packets pass.
A copy of a packet is sent from the receiver to itself, over its loopback, which no rule leads to
the queue.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from harness.agent import linux, nfqueue, tools
from harness.agent.firewall import IPTABLES
from harness.agent.machines import Behaviour, Counts, Link, Machine
from harness.agent.nfqueue import QUEUE
from harness.agent.tools import Command, ToolFailed

TABLE = "quorum_shape"
CHAIN = "QUORUM-SHAPE"

_ANSWER_S = 5.0
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from harness.agent.delayer import main; main(sys.argv[2:])"
)


class Rules(Protocol):
    """The way packets get into the queue."""

    @property
    def argv(self) -> Sequence[str]:
        """The tool that reads the text."""

    def build(self) -> str:
        """Rules that queue nothing yet."""

    def change(self, sources: Sequence[str]) -> str:
        """Exactly these senders' packets are queued, from one moment to the next."""

    def remove(self) -> str:
        """The inverse of :meth:`build`."""


class NftRules:
    """A table of family ip in the node's network namespace."""

    argv = ("nft", "-f", "-")

    def build(self) -> str:
        """It comes before the firewall's chain."""
        return (
            f"table ip {TABLE} {{\n"
            "  set shaped { type ipv4_addr; }\n"
            "  chain input {\n"
            "    type filter hook input priority -150; policy accept;\n"
            f'    iifname != "lo" ip saddr @shaped queue num {QUEUE} bypass\n'
            "  }\n"
            "}\n"
        )

    def change(self, sources: Sequence[str]) -> str:
        """Exactly these senders, in one transaction."""
        elements = ", ".join(sources)
        add = f"add element ip {TABLE} shaped {{ {elements} }}\n" if sources else ""
        return f"flush set ip {TABLE} shaped\n{add}"

    def remove(self) -> str:
        """The table and all in it."""
        return f"delete table ip {TABLE}\n"


class IptablesRules:
    """A chain of the mangle table in the node's network namespace."""

    def __init__(self, command: str) -> None:
        self.argv = (f"{command}-restore", "-w", "--noflush")

    def build(self) -> str:
        """It comes before the firewall's chain, as mangle does before filter."""
        return f"*mangle\n:{CHAIN} - [0:0]\n-I INPUT 1 -j {CHAIN}\nCOMMIT\n"

    def change(self, sources: Sequence[str]) -> str:
        """Exactly these senders, in one change."""
        rules = "".join(
            f"-A {CHAIN} -s {source} ! -i lo -j NFQUEUE --queue-num {QUEUE} --queue-bypass\n"
            for source in sources
        )
        return f"*mangle\n:{CHAIN} - [0:0]\n{rules}COMMIT\n"

    def remove(self) -> str:
        """The chain, and the jump to it."""
        return f"*mangle\n:{CHAIN} - [0:0]\n-D INPUT -j {CHAIN}\n-X {CHAIN}\nCOMMIT\n"


def first_of(attempt: Callable[[Rules], None]) -> Rules:
    """The first way for which the attempt succeeds.

    Raises:
        ToolFailed: none; one line with every reason.
    """
    reasons = []
    ways: list[Rules] = [NftRules(), *(IptablesRules(command) for command in IPTABLES)]
    for rules in ways:
        try:
            attempt(rules)
        except (ToolFailed, OSError) as error:
            reasons.append(str(error))
        else:
            return rules
    raise ToolFailed("; ".join(dict.fromkeys(reasons)))


def lacks() -> str | None:
    """Why packets cannot be queued here, tried in a namespace that is thrown away."""

    def attempt(rules: Rules) -> None:
        with linux.throwaway_netns():
            tools.run(Command(rules.argv, rules.build()))
            tools.run(Command(rules.argv, rules.change(["192.0.2.1"])))
            nfqueue.Queue(QUEUE).close()
            _raw().close()

    try:
        first_of(attempt)
    except ToolFailed as error:
        return str(error)
    return None


def _raw() -> socket.socket:
    """A socket that takes packets with their IP headers, for copies of packets."""
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def told(behaviour: Behaviour) -> dict[str, object]:
    """A behaviour for the helper: what is not nothing of it."""
    return {name: value for name, value in asdict(behaviour).items() if value}


class QueueShaper:
    """One helper process for all nodes; it and the rules come with the first shaping."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.how = "nfqueue"
        self._machines = machines
        self._rules: Rules | None = None
        self._helper: _Helper | None = None
        self._before: dict[Link, Counts] = {}
        self._wanted: Mapping[Link, Behaviour] = {}

    def shape(self, links: Mapping[Link, Behaviour]) -> None:
        """The helper learns first, so that a packet never waits for nobody."""
        if not links and self._rules is None:
            return
        if self._helper is None and links:
            self._helper = _Helper(self._machines)
        if self._rules is None:
            # While the helper is starting.
            self._rules = first_of(self._install)
        self._wanted = dict(links)
        sources: dict[str, dict[str, Behaviour]] = {m.node: {} for m in self._machines}
        addresses = {machine.node: machine.address for machine in self._machines}
        for (source, to), behaviour in sorted(links.items()):
            sources[to][addresses[source]] = behaviour
        if self._helper is not None:
            self._tell(self._helper, sources)
        changes = {node: self._rules.change(list(found)) for node, found in sources.items()}
        self._restore(self._rules, changes)

    def shaped(self) -> dict[Link, Counts]:
        """As the helper counted.

        Raises:
            ToolFailed: the helper died while links were to be shaped: packets pass untouched.
        """
        if self._helper is None:
            return dict(self._before)
        try:
            counts = self._helper.counts()
        except ToolFailed:
            self._bury()
            if self._wanted:
                raise
            return dict(self._before)
        return {
            link: counts.get(link, Counts()) + self._before.get(link, Counts())
            for link in {*counts, *self._before}
        }

    def remove(self) -> None:
        """First the rules, then the helper: what waits in its queues is still let through."""
        if self._rules is not None:
            self._restore(self._rules, {m.node: self._rules.remove() for m in self._machines})
        if self._helper is not None:
            self._helper.close()

    def _install(self, rules: Rules) -> None:
        self._restore(rules, {machine.node: rules.build() for machine in self._machines})

    def _tell(self, helper: _Helper, sources: Mapping[str, Mapping[str, Behaviour]]) -> None:
        try:
            helper.tell(sources)
        except ToolFailed:
            # It died in between: another one takes over.
            self._bury()
            self._helper = _Helper(self._machines)
            self._helper.tell(sources)

    def _bury(self) -> None:
        if self._helper is not None:
            for link, counts in self._helper.last.items():
                self._before[link] = self._before.get(link, Counts()) + counts
            self._helper.close()
            self._helper = None

    def _restore(self, rules: Rules, texts: Mapping[str, str]) -> None:
        tools.run_all(Command(rules.argv, texts[m.node], m.netns) for m in self._machines)


class _Helper:
    """The process that holds packets, and a queue's socket for it in every node."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.last: dict[Link, Counts] = {}
        self._machines = machines
        self._by_address = {machine.address: machine.node for machine in machines}
        pairs: list[nfqueue.Queue | socket.socket] = []
        for machine in machines:
            with linux.inside(machine.netns):
                pairs += [nfqueue.Queue(QUEUE), _raw()]
        ours, theirs = socket.socketpair()
        self._talk = ours
        ours.settimeout(_ANSWER_S)
        inherited = [theirs.fileno(), *(one.fileno() for one in pairs)]
        code = str(Path(__file__).resolve().parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOT, code, *map(str, inherited)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=inherited,
        )
        theirs.close()
        for one in pairs:
            one.close()

    def tell(self, sources: Mapping[str, Mapping[str, Behaviour]]) -> None:
        """For each receiver, how packets of which sender's address behave."""
        self._ask(
            [
                {address: told(how) for address, how in sources[machine.node].items()}
                for machine in self._machines
            ]
        )

    def counts(self) -> dict[Link, Counts]:
        """Since it started."""
        return self._ask(None)

    def close(self) -> None:
        """It ends when its line does."""
        self._talk.close()
        try:
            self._process.wait(_ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, request: object) -> dict[Link, Counts]:
        try:
            self._talk.sendall(json.dumps(request).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                part = self._talk.recv(1 << 16)
                if not part:
                    raise ConnectionResetError
                data += part
        except OSError as error:
            raise ToolFailed("the helper that delays packets has died") from error
        self.last = {
            (self._by_address[address], machine.node): Counts(*numbers)
            for machine, counts in zip(self._machines, json.loads(data), strict=True)
            for address, numbers in counts.items()
        }
        return self.last
