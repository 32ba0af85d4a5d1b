"""A stream of chance as the generator that a server expects."""

from __future__ import annotations

import random

from harness.runtime.sim.chance import BITS, Chance


class Drawn(random.Random):
    """All of :class:`random.Random`, from a :class:`Chance`. It cannot be seeded again."""

    def __init__(self, chance: Chance) -> None:
        super().__init__(0)  # never asked for anything
        self._chance = chance

    def random(self) -> float:
        """From 0 up to, and without, 1."""
        return self._chance.fraction()

    def getrandbits(self, k: int, /) -> int:
        """A whole number of so many bits."""
        value = have = 0
        while have < k:
            value = value << BITS | self._chance.number()
            have += BITS
        return value >> have - k
