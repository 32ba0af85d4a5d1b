"""Clocks as read from inside nodes, and what follows from the readings: pure functions.

A node read its clock at some instant while it was asked, so a reading gives an interval for its
offset from the true time; a claim is believed when the interval allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.core.cluster import ClockSkew
from harness.core.faults import Proof
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
    """All readings of one life of a server, which began to lie between ``since`` and ``until``.

    A server that starts under a skew counts a drift from its start. ``until_ns`` is None as long
    as it has not answered: then nobody knows whether its clock is there already.
    """

    since_ns: int = 0
    until_ns: int | None = 0
    readings: list[Reading] = field(default_factory=list)

    def add(self, reading: Reading) -> None:
        """Keeps a reading that was asked for after the skew was in force."""
        if self.until_ns is None:
            self.until_ns = reading.ended_ns
        if reading.began_ns >= self.until_ns:
            self.readings.append(reading)


def agrees(reading: Reading, offset_ns: int, more_ns: int = 0) -> bool:
    """Whether the clock may have been off by ``offset_ns`` … ``offset_ns + more_ns``."""
    low, high = sorted((offset_ns, offset_ns + more_ns))
    return reading.low_ns - SLACK_NS <= high and low <= reading.high_ns + SLACK_NS


def since(first: Reading, later: Reading) -> Reading:
    """How far a clock has gone from the true time since an earlier reading."""
    low, high = later.low_ns - first.high_ns, later.high_ns - first.low_ns
    return Reading(later.began_ns, later.ended_ns, low, high)


def keeps_pace(first: Reading, later: Reading, rate: float) -> bool:
    """Whether a clock runs true between two readings, which one that runs at ``rate`` would not be
    taken to do."""
    gone = since(first, later)
    apart_ns = round((rate - 1) * (later.began_ns - first.ended_ns))
    return agrees(gone, 0) and not agrees(gone, apart_ns)


def _relative(tally: Tally) -> Tally:
    """As seen from the first reading: nobody knows what a monotonic clock should show."""
    if not tally.readings:
        return tally
    first, *rest = tally.readings
    return Tally(first.began_ns, first.ended_ns, [since(first, reading) for reading in rest])


def _plain(skew: ClockSkew, lives: Sequence[Tally]) -> tuple[ClockSkew, Sequence[Tally]]:
    """A monotonic clock that drifts is judged as any clock that does, by what it went."""
    if skew.monotonic_rate == 1:
        return skew, lives
    return ClockSkew(rate=skew.monotonic_rate), [_relative(tally) for tally in lives]


def judge(skew_of: Callable[[str], ClockSkew], lives: Mapping[str, Sequence[Tally]]) -> Proof:
    """Whether the clocks of some nodes were seen to be wrong, each in the way of its skew.

    At least one must have shown it, and none the contrary. Of a node that is paused or killed by
    another fault too little may be heard to tell. ``lives`` are those of each node's server.
    """
    views = {node: _view(skew_of(node), some) for node, some in lives.items()}
    lives = {node: _plain(skew_of(node), some)[1] for node, some in lives.items()}
    seen = [node for node, view in views.items() if view == SHOWN]
    honest = [node for node, view in views.items() if view == HONEST]
    rest = [node for node, view in views.items() if view == UNCLEAR]
    offsets = {
        node: tuple(reading.middle_ms for tally in some for reading in tally.readings)
        for node, some in lives.items()
    }
    figures: dict[str, Value] = {
        "readings": sum(map(len, offsets.values())),
        "offsets_ms": freeze(
            {node: (min(all_), max(all_)) for node, all_ in offsets.items() if all_}
        ),
    }
    if honest:
        return Proof(False, f"not seen on the clock of {' '.join(honest)}", figures)
    if not seen:
        return Proof(False, f"too little was heard of {' '.join(rest)}", figures)
    spans = ", ".join(f"{node} {_span(offsets[node])}" for node in seen)
    more = f"; too little was heard of {' '.join(rest)}" if rest else ""
    return Proof(True, f"clock read inside the server: {spans}{more}", figures)


def is_shown(skew: ClockSkew, lives: Sequence[Tally]) -> bool:
    """Whether a node's clock has been seen to be wrong as asked."""
    return _view(skew, lives) == SHOWN


SHOWN, HONEST, UNCLEAR = "shown", "honest", "unclear"

STROBE_READINGS = 8
"""So many in one of the strobe's two states alone are no chance: 1 in 128."""


def _view(skew: ClockSkew, lives: Sequence[Tally]) -> str:
    skew, lives = _plain(skew, lives)
    views = [_view_of_life(skew, tally) for tally in lives]
    return next((view for view in (SHOWN, HONEST) if view in views), UNCLEAR)


def _view_of_life(skew: ClockSkew, tally: Tally) -> str:
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
    shortest = reading.began_ns - (tally.until_ns or 0)
    longest = reading.ended_ns - tally.since_ns
    start = round((skew.rate - 1) * shortest)
    return agrees(reading, start, round((skew.rate - 1) * longest) - start)


def _span(offsets: Sequence[int]) -> str:
    low, high = min(offsets), max(offsets)
    return f"{low:+d} ms" if low == high else f"{low:+d} to {high:+d} ms"
