"""Cuts that are told: the sender of a TCP packet gets a reset, as from a firewall that rejects.

In the receiver's network namespace, on its way in: where packets are switched not every kernel can
reject. It takes iptables, whatever drops in silence.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from harness.agent.firewall import IptablesFirewall, find_iptables
from harness.agent.machines import Link, Machine

CHAIN = "QUORUMR"
_VERDICTS = ("-p tcp -j REJECT --reject-with tcp-reset", "-j DROP")


class Rejecter:
    """Its chains come with the first cut."""

    def __init__(self, machines: Sequence[Machine], clients: str = "") -> None:
        """Changes nothing yet."""
        self._machines = machines
        self._clients = clients
        self._made: IptablesFirewall | None = None

    def cut(self, links: Collection[Link]) -> None:
        """Rejects these links' packets and no others.

        Raises:
            ToolFailed: iptables is missing or refused.
        """
        if self._made is None:
            if not links:
                return
            self._made = IptablesFirewall(
                find_iptables(), self._machines, self._clients, CHAIN, _VERDICTS
            )
        self._made.cut(links)

    def dropped(self) -> dict[Link, int]:
        """Packets rejected since this was built."""
        return {} if self._made is None else self._made.dropped()

    def remove(self) -> None:
        """Takes the chains away."""
        if self._made is not None:
            self._made.remove()
