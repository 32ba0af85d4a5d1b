"""Clocks as read from inside nodes, and what follows from the readings: pure functions.

A node read its clock at some instant while it was asked, so a reading gives an interval for its
offset from the true time; a claim is believed when the interval allows it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from harness.core.faults import Proof
from harness.core.protocols import ClockSkew
from harness.core.units import MILLISECOND
from harness.core.values import Value, freeze

SLACK_NS = 50 * MILLISECOND
"""What a reading may be off beside the time that asking took: a server looks at its orders now
and then, and the host is busy."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Asked from ``began_ns`` to ``ended_ns`` (monotonic); the offset is within low … high."""

    began_ns: int
    ended_ns: int
    low_ns: int
    high_ns: int

    @property
    def middle_ms(self) -> int:
        """The likeliest offset."""
        return round((self.low_ns + self.high_ns) / 2 / MILLISECOND)


@dataclass(slots=True)
class Tally:
    """All readings of one node. Its skew came into force between ``since`` and ``until``."""

    since_ns: int = 0
    until_ns: int = 0
    readings: list[Reading] = field(default_factory=list)

    def add(self, reading: Reading) -> None:
        """Keeps a reading that was asked for after the skew was in force."""
        if reading.began_ns >= self.until_ns:
            self.readings.append(reading)


def agrees(reading: Reading, offset_ns: int, more_ns: int = 0) -> bool:
    """Whether the clock may have been off by ``offset_ns`` … ``offset_ns + more_ns``."""
    low, high = sorted((offset_ns, offset_ns + more_ns))
    return reading.low_ns - SLACK_NS <= high and low <= reading.high_ns + SLACK_NS


def judge(skew: ClockSkew, tallies: Mapping[str, Tally], restarted: Collection[str] = ()) -> Proof:
    """Whether the clocks of some nodes were seen to be wrong in the way of ``skew``.

    At least one must have shown it, and none the contrary. Of a node that is paused or killed by
    another fault too little may be heard to tell; one that ``restarted`` meanwhile counts its
    drift from then on, so that what it shows is no contradiction.
    """
    views = {node: _view(skew, tally) for node, tally in tallies.items()}
    seen = [node for node, view in views.items() if view == SHOWN]
    honest = [node for node, view in views.items() if view == HONEST and node not in restarted]
    rest = [node for node in views if node not in seen and node not in honest]
    figures: dict[str, Value] = {
        "readings": sum(len(tally.readings) for tally in tallies.values()),
        "offsets_ms": freeze(
            {node: _extremes(tally) for node, tally in tallies.items() if tally.readings}
        ),
    }
    if honest:
        return Proof(False, f"not seen on the clock of {' '.join(honest)}", figures)
    if not seen:
        return Proof(False, f"too little was heard of {' '.join(rest)}", figures)
    spans = ", ".join(f"{node} {_span(tallies[node])}" for node in seen)
    more = f"; too little was heard of {' '.join(rest)}" if rest else ""
    return Proof(True, f"clock read inside the server: {spans}{more}", figures)


def is_shown(skew: ClockSkew, tally: Tally) -> bool:
    """Whether the clock has been seen to be wrong as asked."""
    return _view(skew, tally) == SHOWN


SHOWN, HONEST, UNCLEAR = "shown", "honest", "unclear"

STROBE_READINGS = 8
"""So many in one of the strobe's two states alone are no chance: 1 in 128."""


def _view(skew: ClockSkew, tally: Tally) -> str:
    readings = tally.readings
    wrong = [reading for reading in readings if not agrees(reading, 0)]
    if skew.strobe_ns:
        forth = [reading for reading in wrong if agrees(reading, skew.strobe_ns)]
        if forth and len(wrong) < len(readings):
            return SHOWN
        few = len(readings) < STROBE_READINGS and len(forth) == len(wrong)
        return UNCLEAR if few else HONEST
    if any(_fits(skew, reading, tally) for reading in wrong):
        return SHOWN
    return UNCLEAR if all(_fits(skew, reading, tally) for reading in readings) else HONEST


def _fits(skew: ClockSkew, reading: Reading, tally: Tally) -> bool:
    """An offset stays; a drift makes of the least to the most time that can have passed so much."""
    if skew.offset_ns:
        return agrees(reading, skew.offset_ns)
    shortest = reading.began_ns - tally.until_ns
    longest = reading.ended_ns - tally.since_ns
    start = round((skew.rate - 1) * shortest)
    return agrees(reading, start, round((skew.rate - 1) * longest) - start)


def _extremes(tally: Tally) -> tuple[Value, ...]:
    offsets = [reading.middle_ms for reading in tally.readings]
    return (min(offsets), max(offsets))


def _span(tally: Tally) -> str:
    offsets = [reading.middle_ms for reading in tally.readings]
    low, high = min(offsets), max(offsets)
    return f"{low:+d} ms" if low == high else f"{low:+d} to {high:+d} ms"
