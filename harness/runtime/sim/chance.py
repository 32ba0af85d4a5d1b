"""Chance that depends on who draws and when, not on what was drawn before.

A stream that is drawn from in order makes everything depend on everything: one message less, and
all later ones take other times, so that no part of a plan can be left out without another run being
made of the rest. Here a number is a hash of the stream's key, the millisecond, and how many the
stream has given in that millisecond. What happens at one moment changes nothing of another.
"""

from __future__ import annotations

from math import log

from harness.core.rng import derive
from harness.runtime.sim.agenda import Agenda

BITS = 30
"""Of a number, so that a product of two stays a machine word where this is compiled."""
MASK = (1 << BITS) - 1
MOMENT_NS = 1_000_000


class Chance:
    """A stream. ``key`` has :data:`BITS` bits."""

    def __init__(self, agenda: Agenda, key: int) -> None:
        self._agenda = agenda
        self._key = key
        self._moment = -1
        self._base = 0
        self._given = 0

    def number(self) -> int:
        """Of :data:`BITS` bits, evenly."""
        moment = self._agenda.now_ns // MOMENT_NS
        if moment != self._moment:
            self._moment = moment
            self._base = mixed(self._key ^ mixed(moment & MASK))
            self._given = 0
        self._given += 1
        return mixed((self._base + self._given * 0x1E3779B9) & MASK)

    def random(self) -> float:
        """From 0 up to, and without, 1."""
        return self.number() / 1073741824.0

    def fraction(self) -> float:
        """The same, with all the bits that a float has."""
        return ((self.number() << 23) + (self.number() >> 7)) / 9007199254740992.0

    def below(self, limit: int) -> int:
        """A whole number from 0 to, and without, ``limit`` (at most 2³⁰)."""
        return self.number() * limit >> BITS

    def waited(self, mean_ns: int) -> int:
        """An exponential time: now and then one is long."""
        return int(-log(1.0 - self.random()) * mean_ns)

    def around(self, spread_ns: int) -> int:
        """From minus to plus ``spread_ns``, evenly."""
        return int((2.0 * self.random() - 1.0) * spread_ns)


def mixed(value: int) -> int:
    """A permutation of the numbers of :data:`BITS` bits that leaves no pattern to be seen: rounds
    of multiplication and shift, as in the finalisers of hash functions."""
    value ^= value >> 15
    value = value * 0x2C1B3C6D & MASK
    value ^= value >> 12
    value = value * 0x297A2D39 & MASK
    return value ^ value >> 15


def chance(agenda: Agenda, seed: int, name: str) -> Chance:
    """The stream of this name."""
    return Chance(agenda, derive(seed, name).getrandbits(BITS))
