"""Members that leave, learn and lose their disks, planned; :mod:`nemesis.members` does it."""

from __future__ import annotations

import random
from collections.abc import Mapping

from harness.core.errors import UsageError
from harness.core.faults import FaultSpec
from harness.core.values import Value
from nemesis.aims import Aim
from nemesis.members import MembersFault
from nemesis.operators import RaceFault
from nemesis.roles import count_of
from nemesis.schedule import Planner, Window

HOWS: Mapping[str, str] = {
    "remove": "some leave, and come back as they are",
    "learner": "some lose their vote and only follow, and get it back",
    "replace": "one leaves, and comes back with an empty disk",
    "race": "two operators ask whoever leads for changes, each for another node's, over and over",
    "wipe": "one loses its disk and starts without; then it leaves and comes back",
}
ALONE = ("replace", "wipe")
"""One node at a time: while its disk is gone nobody else's may go."""


class Membership(Planner):
    """Plans changes of membership. Without a narrowing the ways take turns, lost disks first."""

    name = capability = "membership"
    letter = "M"
    narrowings = HOWS
    early = ("wipe", "race")
    least_nodes = 3

    def draw(
        self, rng: random.Random, kind: str, nodes: tuple[str, ...], _window: Window
    ) -> dict[str, Value]:
        """See :class:`Planner`."""
        whom = ("one", "leader") if kind in ALONE else ("one", "leader", "minority")
        return {
            "how": kind,
            "who": rng.choice(whom) if kind != "race" else "minority",
            "order": tuple(rng.sample(nodes, len(nodes))),
            "gap_ms": 0,
        }

    def fault(self, spec: FaultSpec) -> MembersFault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        aim, how = Aim.read(spec), spec.params.get("how")
        if how not in HOWS:
            raise UsageError(f"fault membership: unknown way {how!r} (known: {', '.join(HOWS)})")
        if how in ALONE and count_of(aim.who, len(aim.order)) > 1:
            raise UsageError(f"fault membership: {how} is for one node, not for {aim.who}")
        return RaceFault(aim) if how == "race" else MembersFault(aim, str(how))
