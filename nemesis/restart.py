"""Servers that end and start again, planned; :mod:`nemesis.restarts` carries it out."""

from __future__ import annotations

import random
from collections.abc import Mapping

from harness.core.errors import UsageError
from harness.core.faults import FaultSpec
from harness.core.protocols import Fault
from harness.core.units import MILLISECOND
from harness.core.values import Value
from nemesis import params
from nemesis.aims import Aim
from nemesis.restarts import CrashLoopFault, LateFault, StopFault
from nemesis.rounds import RollingFault
from nemesis.schedule import Planner, Window

HOWS: Mapping[str, str] = {
    "orderly": "a server is asked to end (SIGTERM), and started again later",
    "rolling": "every server in turn is asked to end and started again",
    "rolling-kill": "every server in turn is killed and started again",
    "crash-loop": "a server is killed again and again, each time soon after its start",
    "late": "all are killed; all but one start again at once, the last one late",
}
_LIVES = 8
"""Drawn lengths of lives in a crash loop; then they come again."""


class Restart(Planner):
    """Plans restarts. Without a narrowing the ways take turns."""

    name = "restart"
    capability = "kill"
    letter = "B"
    narrowings = HOWS

    def draw(
        self, rng: random.Random, kind: str, nodes: tuple[str, ...], window: Window
    ) -> dict[str, Value]:
        """See :class:`Planner`."""
        wanted: dict[str, Value] = {
            "how": kind,
            "order": tuple(rng.sample(nodes, len(nodes))),
            "who": rng.choice(("one", "leader")),
            "gap_ms": 0,
        }
        if kind in ("late", "rolling", "rolling-kill"):
            wanted["who"] = "all"
        if kind == "crash-loop":
            wanted["lives_ms"] = tuple(_life_ms(rng) for _ in range(_LIVES))
        if kind.startswith("rolling"):
            # All of it takes half of the time, and what the servers need besides.
            wanted["gap_ms"] = window.duration_ns // MILLISECOND // (2 * len(nodes))
        return wanted

    def fault(self, spec: FaultSpec) -> Fault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        aim = Aim.read(spec)
        match spec.params.get("how"):
            case "orderly":
                return StopFault(aim)
            case "rolling":
                return RollingFault(aim, "SIGTERM")
            case "rolling-kill":
                return RollingFault(aim, "SIGKILL")
            case "crash-loop":
                return CrashLoopFault(aim, params.wholes(spec, "lives_ms"))
            case "late":
                return LateFault(aim)
            case how:
                known = ", ".join(HOWS)
                raise UsageError(f"fault restart: unknown way {how!r} (known: {known})")


def _life_ms(rng: random.Random) -> int:
    """Drawn evenly over orders of magnitude: before a server has read its disk, or after it has
    been elected."""
    return round(10 ** rng.uniform(1, 3))
