"""What the kernel and the tools can do here, and why the rest cannot be."""

from __future__ import annotations

from harness.agent import disks, firewall, limits, netem, queueing
from harness.agent.tools import ToolFailed


def lacks() -> dict[str, str | None]:
    """For each means the reason why it cannot be used; None where it can.

    Tried for real, what concerns the network in a namespace that is thrown away.
    """
    return {
        "nft": firewall.nft_lacks(),
        "iptables": _iptables(),
        "netem": netem.lacks(),
        "nfqueue": queueing.lacks(),
        "disks": disks.lacks(),
        "limits": limits.lacks(),
        "prlimit": limits.prlimit_lacks(),
    }


def _iptables() -> str | None:
    try:
        firewall.find_iptables()
    except ToolFailed as error:
        return str(error)
    return None
