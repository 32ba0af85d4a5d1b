"""Clocks as read from inside nodes, and what follows from the readings: pure functions.

A node read its clock at some instant while it was asked, so a reading gives an interval for its
offset from the true time; a claim is believed when the interval allows it.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """All readings of one fault. The skew came into force between ``since`` and ``until``."""

    since_ns: int = 0
    until_ns: int = 0
    readings: dict[str, list[Reading]] = field(default_factory=dict)

    def add(self, node: str, reading: Reading) -> None:
        """Keeps a reading that was asked for after the skew was in force."""
        if reading.began_ns >= self.until_ns:
            self.readings.setdefault(node, []).append(reading)


def agrees(reading: Reading, offset_ns: int, more_ns: int = 0) -> bool:
    """Whether the clock may have been off by ``offset_ns`` … ``offset_ns + more_ns``."""
    low, high = sorted((offset_ns, offset_ns + more_ns))
    return reading.low_ns - SLACK_NS <= high and low <= reading.high_ns + SLACK_NS


def judge(skew: ClockSkew, nodes: Sequence[str], tally: Tally) -> Proof:
    """Whether the clocks of ``nodes`` were seen to be wrong in the way of ``skew``.

    A node that never answered (it is paused or down for another fault) is left out, but at least
    one must have answered, and every one that did must have shown the skew.
    """
    heard = {node: tally.readings[node] for node in nodes if tally.readings.get(node)}
    silent = [node for node in nodes if node not in heard]
    figures: dict[str, Value] = {
        "readings": sum(map(len, heard.values())),
        "offsets_ms": freeze({node: _extremes(some) for node, some in heard.items()}),
    }
    if not heard:
        return Proof(False, f"no clock could be read: {' '.join(silent)} did not answer", figures)
    honest = [node for node, some in heard.items() if not _shows(skew, some, tally)]
    if honest:
        return Proof(False, f"not seen on the clock of {' '.join(honest)}", figures)
    seen = ", ".join(f"{node} {_span(some)}" for node, some in heard.items())
    unheard = f"; {' '.join(silent)} did not answer" if silent else ""
    return Proof(True, f"clock read inside the server: {seen}{unheard}", figures)


def _shows(skew: ClockSkew, readings: Sequence[Reading], tally: Tally) -> bool:
    wrong = [reading for reading in readings if not agrees(reading, 0)]
    if skew.strobe_ns:
        forth = any(agrees(reading, skew.strobe_ns) for reading in wrong)
        return forth and len(wrong) < len(readings)
    if skew.offset_ns:
        return any(agrees(reading, skew.offset_ns) for reading in wrong)
    return any(_drifted(skew.rate, reading, tally) for reading in wrong)


def _drifted(rate: float, reading: Reading, tally: Tally) -> bool:
    """By as much as the rate makes of the least to the most time that can have passed."""
    shortest = reading.began_ns - tally.until_ns
    longest = reading.ended_ns - tally.since_ns
    start = round((rate - 1) * shortest)
    return agrees(reading, start, round((rate - 1) * longest) - start)


def _extremes(readings: Sequence[Reading]) -> tuple[Value, ...]:
    offsets = [reading.middle_ms for reading in readings]
    return (min(offsets), max(offsets))


def _span(readings: Sequence[Reading]) -> str:
    offsets = [reading.middle_ms for reading in readings]
    low, high = min(offsets), max(offsets)
    return f"{low:+d} ms" if low == high else f"{low:+d} to {high:+d} ms"
