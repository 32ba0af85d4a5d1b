"""Servers that get less than they need, planned; :mod:`nemesis.starving` carries it out."""

from __future__ import annotations

import random
from collections.abc import Mapping

from harness.core.errors import UsageError
from harness.core.faults import FaultSpec
from harness.core.protocols import Fault
from harness.core.values import Value
from nemesis import params
from nemesis.aims import Aim
from nemesis.disks import TroubleFault, read_trouble
from nemesis.roles import roles_of_few
from nemesis.schedule import Planner, Window
from nemesis.starving import KINDS, StarvedFault

ONLY_NAMED: Mapping[str, str] = {
    "io": "the server's disk takes and gives only so many kilobytes a second",
}
"""Only planned when asked for by name: it needs a disk of the harness's own, the others do not."""


class Resources(Planner):
    """Plans limits. Without a narrowing the kinds take turns, and never hit a majority."""

    name = capability = "resources"
    letter = "Q"
    narrowings: Mapping[str, str] = {**KINDS, **ONLY_NAMED}
    only_named = tuple(ONLY_NAMED)
    needs: Mapping[str, str] = {name: name for name in (*KINDS, *ONLY_NAMED)}

    def draw(
        self, rng: random.Random, kind: str, nodes: tuple[str, ...], _window: Window
    ) -> dict[str, Value]:
        """See :class:`Planner`."""
        return {
            "how": kind,
            "who": rng.choice(roles_of_few(len(nodes))),
            "order": tuple(rng.sample(nodes, len(nodes))),
            "gap_ms": 0,
            **_draw(rng, kind),
        }

    def fault(self, spec: FaultSpec) -> Fault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        how = params.text(spec, "how")
        if how in ONLY_NAMED:
            return TroubleFault(Aim.read(spec), how, read_trouble(spec))
        if how not in KINDS:
            raise UsageError(f"fault resources: unknown kind {how!r} (known: {', '.join(KINDS)})")
        amount = params.whole(spec, AMOUNTS[how]) if how in AMOUNTS else 0
        return StarvedFault(Aim.read(spec), how, amount)


AMOUNTS: Mapping[str, str] = {"cpu": "percent", "memory": "kbytes"}
"""What says how much is left of it."""


def _draw(rng: random.Random, kind: str) -> dict[str, Value]:
    match kind:
        case "cpu":
            return {"percent": rng.randint(1, 4)}
        case "memory":
            return {"kbytes": rng.randint(64, 256)}
        case "io":
            # A sync of a journalling file system writes some 16 kB: half a second, or little.
            return {"kbytes_per_s": round(10 ** rng.uniform(1.5, 2.7))}
        case _:
            return {}
