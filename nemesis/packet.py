"""Links that treat packets badly, planned; :mod:`nemesis.shaping` carries it out."""

from __future__ import annotations

import random
from collections.abc import Mapping

from harness.core.faults import FaultSpec
from harness.core.protocols import Fault
from harness.core.values import Value
from nemesis.schedule import Planner, Window
from nemesis.shaping import WHERE, CountedFault, SlowFault, Treatment


class _Links(Planner):
    """What all families have in common: they treat the links between nodes."""

    capability: str
    narrowings: Mapping[str, str] = WHERE
    least_nodes = 2

    def draw(
        self, rng: random.Random, kind: str, nodes: tuple[str, ...], _window: Window
    ) -> dict[str, Value]:
        """See :class:`Planner`."""
        order = tuple(rng.sample(nodes, len(nodes)))
        return {"where": kind, "order": order, **self._draw(rng, kind)}

    def _draw(self, rng: random.Random, where: str) -> dict[str, Value]:
        """How bad it is. One node alone may be hit harder: the others can go on without it."""
        raise NotImplementedError

    def fault(self, spec: FaultSpec) -> Fault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return CountedFault(Treatment.read(spec))


class Slow(_Links):
    """Plans delays on links, with jitter (which reorders packets)."""

    name = capability = "slow"
    letter = "S"

    def _draw(self, rng: random.Random, where: str) -> dict[str, Value]:
        """50 ± 20 ms on the whole: a round trip stays below common election time-outs."""
        low, high = (30, 70) if where == "all" else (40, 150)
        delay = rng.randint(low, high)
        return {"delay_ms": delay, "jitter_ms": rng.randint(delay // 5, delay // 2)}

    def fault(self, spec: FaultSpec) -> Fault:
        """A fresh injection.

        Raises:
            UsageError: parameters that no plan of ours holds.
        """
        return SlowFault(Treatment.read(spec))


class Loss(_Links):
    """Plans links that lose packets at random."""

    name = capability = "loss"
    letter = "L"

    def _draw(self, rng: random.Random, where: str) -> dict[str, Value]:
        """5 to 20 %; around one node alone up to 40 %."""
        return {"percent": rng.randint(5, 20) if where == "all" else rng.randint(10, 40)}


class Duplicate(_Links):
    """Plans links that deliver some messages twice, the second time late."""

    name = capability = "duplicate"
    letter = "D"

    def _draw(self, rng: random.Random, where: str) -> dict[str, Value]:  # noqa: ARG002
        """10 to 40 %. Later than an election, now and then: what is repeated then is history."""
        return {"percent": rng.randint(10, 40), "late_ms": _late_ms(rng)}


class Reorder(_Links):
    """Plans links on which some messages are overtaken by later ones."""

    name = capability = "reorder"
    letter = "O"

    def _draw(self, rng: random.Random, where: str) -> dict[str, Value]:
        """5 to 20 %; around one node alone up to 40 %."""
        high = 20 if where == "all" else 40
        return {"percent": rng.randint(5, high), "late_ms": _late_ms(rng)}


class Corrupt(_Links):
    """Plans links that flip bits in some messages."""

    name = capability = "corrupt"
    letter = "X"

    def _draw(self, rng: random.Random, where: str) -> dict[str, Value]:
        """1 to 5 %; around one node alone up to 20 %. Who notices drops the connection."""
        return {"percent": rng.randint(1, 5) if where == "all" else rng.randint(5, 20)}


class Rate(_Links):
    """Plans links that let only so many bytes a second pass."""

    name = capability = "rate"
    letter = "R"

    def _draw(self, rng: random.Random, where: str) -> dict[str, Value]:
        """256 to 1024 kbit/s; around one node alone down to 64: a queue grows under load."""
        low = 256 if where == "all" else 64
        return {"kbit_per_s": rng.randint(low, 4 * low)}


def _late_ms(rng: random.Random) -> int:
    """Drawn evenly over orders of magnitude, 10 ms to two seconds."""
    return round(10 ** rng.uniform(1, 3.3))
