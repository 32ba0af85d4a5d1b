"""Kills, pauses and power losses, planned; :mod:`nemesis.signals` carries them out."""

from __future__ import annotations

import random
from collections.abc import Mapping

from harness.core.errors import UsageError
from harness.core.faults import FaultSpec, FaultStep
from harness.core.protocols import Fault
from harness.core.units import MILLISECOND, SECOND
from harness.core.values import Value
from nemesis import params
from nemesis.aims import WHO, Aim
from nemesis.roles import count_of, majority
from nemesis.rounds import RollingPauseFault
from nemesis.schedule import Window, rotation, shortened, windows
from nemesis.signals import KillFault, PauseFault, PowerFault


def check_who(family: str, who: str, nodes: int) -> None:
    """Whether so many nodes have such a role.

    Raises:
        UsageError: unknown role, or nobody would be hit.
    """
    if who not in WHO:
        raise UsageError(f"unknown {family}: {who!r} (known: {', '.join(WHO)})")
    if count_of(who, nodes) == 0:
        raise UsageError(f"{family}:{who} needs at least 3 nodes, not {nodes}")


def _plan(
    family: str,
    letter: str,
    rng: random.Random,
    nodes: tuple[str, ...],
    duration_ns: int,
    narrowing: str | None,
    intensity: str,
) -> tuple[FaultStep, ...]:
    check_who(family, narrowing or "one", len(nodes))
    times = windows(rng, duration_ns, intensity)
    if narrowing is not None:
        chosen: tuple[str, ...] = (narrowing,) * len(times)
    else:
        others = tuple(who for who in WHO if who != "leader" and count_of(who, len(nodes)))
        # All at once is what no memory survives: only what is on disk comes back.
        chosen = rotation(rng, len(times), ("leader",), others, early=("all",))
    steps = []
    for number, (window, who) in enumerate(zip(times, chosen, strict=True), start=1):
        order = tuple(rng.sample(nodes, len(nodes)))
        time, gap_ms = _timing(window, rng, who, len(nodes), narrowed=narrowing is not None)
        fault = FaultSpec(family, {"who": who, "order": order, "gap_ms": gap_ms})
        steps.append(FaultStep(f"{letter}{number}", time.at_ns, time.duration_ns, fault))
    return tuple(steps)


def _timing(
    window: Window, rng: random.Random, who: str, nodes: int, *, narrowed: bool
) -> tuple[Window, int]:
    """How long, and how many milliseconds between one node's heal and the next one's.

    Without a majority nothing can be answered. Such a fault is short, and its nodes come back one
    by one, so that the system has to go on with the first majority that is there while the rest
    of the fault is still in force. Other faults are now and then too short to be noticed: a server
    that is back within one election time-out meets its peers in the middle of an election, and
    what it forgot shows then.
    """
    count = count_of(who, nodes)
    if count >= majority(nodes) and count > 1:
        spread_ms = rng.randint(window.duration_ns // 3, window.duration_ns // 2) // MILLISECOND
        down = Window(window.at_ns, window.duration_ns - spread_ms * MILLISECOND)
        least = min(SECOND, down.duration_ns)
        return shortened(down, rng, least, 3 * SECOND), spread_ms // (count - 1)
    if not narrowed and rng.random() < 0.3:
        return shortened(window, rng, 50 * MILLISECOND, 500 * MILLISECOND), 0
    return window, 0


class _Signals:
    """What kills and pauses have in common: the plan, and what their faults hold."""

    name: str
    letter: str
    narrowings: Mapping[str, str] = WHO

    def plan(
        self,
        rng: random.Random,
        nodes: tuple[str, ...],
        duration_ns: int,
        narrowing: str | None,
        intensity: str = "normal",
    ) -> tuple[FaultStep, ...]:
        """The schedule; a fault's duration is the time that the servers are down or stand still.

        Raises:
            UsageError: an unknown role, too few nodes for it, or too short a load.
        """
        return _plan(self.name, self.letter, rng, nodes, duration_ns, narrowing, intensity)


class Kill(_Signals):
    """Plans kills. Without a narrowing, every second one hits the leader."""

    name = capability = "kill"
    letter = "K"

    def fault(self, spec: FaultSpec) -> KillFault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return KillFault(Aim.read(spec))


class Power(_Signals):
    """Plans power losses. Without a narrowing, every second one hits the leader."""

    name = capability = "power"
    letter = "W"

    def fault(self, spec: FaultSpec) -> PowerFault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return PowerFault(Aim.read(spec))


ROLLING = "rolling"


class Pause(_Signals):
    """Plans pauses. Without a narrowing, every second one hits the leader."""

    name = capability = "pause"
    letter = "Z"
    narrowings: Mapping[str, str] = {
        **WHO,
        ROLLING: "every server in turn, for a while each: only when asked for by name",
    }

    def plan(
        self,
        rng: random.Random,
        nodes: tuple[str, ...],
        duration_ns: int,
        narrowing: str | None,
        intensity: str = "normal",
    ) -> tuple[FaultStep, ...]:
        """The schedule; see :class:`Kill`. A round takes all of a fault's time."""
        if narrowing != ROLLING:
            return super().plan(rng, nodes, duration_ns, narrowing, intensity)
        steps = []
        for number, window in enumerate(windows(rng, duration_ns, intensity), start=1):
            turn_ms = window.duration_ns // MILLISECOND // len(nodes)
            pause_ms = round(turn_ms * rng.uniform(0.3, 0.8))
            wanted: dict[str, Value] = {
                "who": "all",
                "order": tuple(rng.sample(nodes, len(nodes))),
                "gap_ms": turn_ms - pause_ms,
                "pause_ms": pause_ms,
            }
            fault = FaultSpec(self.name, wanted)
            steps.append(FaultStep(f"Z{number}", window.at_ns, window.duration_ns, fault))
        return tuple(steps)

    def fault(self, spec: FaultSpec) -> Fault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        if "pause_ms" in spec.params:
            return RollingPauseFault(Aim.read(spec), params.whole(spec, "pause_ms"))
        return PauseFault(Aim.read(spec))
