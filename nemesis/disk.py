"""Disks that fail, planned; :mod:`nemesis.disks` carries it out."""

from __future__ import annotations

import random
from collections.abc import Mapping

from harness.core.errors import UsageError
from harness.core.faults import FaultSpec
from harness.core.protocols import Fault
from harness.core.values import Value
from nemesis.aims import Aim
from nemesis.disks import DAMAGES, REFUSALS, DamageFault, TroubleFault, read_trouble
from nemesis.roles import roles_of_few
from nemesis.schedule import Planner, Window

KINDS: Mapping[str, str] = {
    "flip": "some bits of a file flip while the server is down",
    "misdirect": "a block of a file is found at another place of it after a restart",
    "truncate": "a file ends early after a restart",
    "torn": "the last bytes of a file are zeros after a restart",
    "full": "nothing can be written: no space left",
    "io-error": "nothing can be written: input/output error",
    "read-only": "nothing can be written: the file system has become read-only",
    "slow": "every sync takes long",
}

SILENT = frozenset({"truncate", "torn"})
"""What no server can tell from a crash while it wrote: it forgets what it acknowledged, and that is
more than systems promise to survive. Only done when asked for by name."""


class Disk(Planner):
    """Plans disks that fail. Without a narrowing the kinds take turns, and never hit a majority."""

    name = capability = "disk"
    letter = "F"
    narrowings = KINDS
    only_named = SILENT

    def draw(
        self, rng: random.Random, kind: str, nodes: tuple[str, ...], _window: Window
    ) -> dict[str, Value]:
        """See :class:`Planner`."""
        wanted: dict[str, Value] = {
            "how": kind,
            "who": rng.choice(roles_of_few(len(nodes))),
            "order": tuple(rng.sample(nodes, len(nodes))),
            "gap_ms": 0,
        }
        if kind == "slow":
            # A sync takes half a millisecond or five, on a good day.
            wanted["slow_ms"] = round(10 ** rng.uniform(1, 2.7))
        return wanted

    def fault(self, spec: FaultSpec) -> Fault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        aim = Aim.read(spec)
        how = spec.params.get("how")
        if how in DAMAGES:
            return DamageFault(aim, str(how))
        if how in (*REFUSALS, "slow"):
            return TroubleFault(aim, str(how), read_trouble(spec))
        raise UsageError(f"fault disk: unknown kind {how!r} (known: {', '.join(KINDS)})")
