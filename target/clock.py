"""The only place where the server reads a clock, so that its clock can be made to lie.

The clock is steered by a small JSON file, replaced by rename::

    {"offset_ns": 0, "rate": 1.0, "strobe_ns": 0, "strobe_period_ns": 0, "monotonic_rate": 1.0}

The wall clock shows ``true + offset + (rate - 1) · elapsed`` since the file took effect, and with
a strobe jumps forth by ``strobe_ns`` for every other ``strobe_period_ns``. The monotonic clock runs
at ``rate · monotonic_rate``: it never goes back, and a change of rate does not make it jump.
Without a file both are true. Traces use :func:`time.monotonic_ns` itself: they are the harness's
view, not the node's.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

LOOK_NS = 5_000_000
"""How often the file is looked at, at most: a stat per reading would cost more than the reading."""


_UNREAD = (-1, -1, -1)
"""The identity of no file."""


@dataclass(frozen=True, slots=True)
class Steering:
    """The file's contents; times in nanoseconds."""

    offset_ns: int = 0
    rate: float = 1.0
    strobe_ns: int = 0
    strobe_period_ns: int = 0
    monotonic_rate: float = 1.0

    @property
    def pace(self) -> float:
        """Of the monotonic clock."""
        return self.rate * self.monotonic_rate


class Clock:
    """Reads the clocks of this node. ``complaint`` says what is wrong with the file, or None."""

    def __init__(self, path: Path) -> None:
        self.complaint: str | None = None
        self._path = path
        self._identity: tuple[int, int, int] | None = None
        self._steering = Steering()
        self._since_ns = time.monotonic_ns()
        self._base_ns = self._since_ns
        self._looked_ns = self._since_ns
        self._look()

    def monotonic_ns(self) -> int:
        """Never goes back; runs at the steered rate."""
        now = self._now()
        return self._base_ns + int((now - self._since_ns) * self._steering.pace)

    def monotonic_ms(self) -> int:
        """The same in milliseconds."""
        return self.monotonic_ns() // 1_000_000

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, as far as this node can tell."""
        elapsed = self._now() - self._since_ns
        steering = self._steering
        wall = time.time_ns() + steering.offset_ns + int((steering.rate - 1.0) * elapsed)
        period = steering.strobe_period_ns
        if period > 0 and elapsed // period % 2 == 1:
            wall += steering.strobe_ns
        return wall

    def _now(self) -> int:
        now = time.monotonic_ns()
        if now - self._looked_ns >= LOOK_NS:
            self._looked_ns = now
            self._look()
        return now

    def _look(self) -> None:
        try:
            status = self._path.stat()
        except OSError:
            identity = None
        else:
            identity = (status.st_ino, status.st_mtime_ns, status.st_size)
        if identity == self._identity:
            return
        self._identity = identity
        try:
            steering = Steering() if identity is None else _read(self._path)
            self.complaint = None
        except (OSError, ValueError, TypeError) as error:
            self.complaint = f"{self._path}: {error}"
            if isinstance(error, OSError):
                # No descriptor may be free just now: it is looked at again, as if it were new.
                self._identity = _UNREAD
            return
        # From here on at the new rate, from where the monotonic clock is now.
        now = time.monotonic_ns()
        self._base_ns += int((now - self._since_ns) * self._steering.pace)
        self._since_ns = now
        self._steering = steering


def _read(path: Path) -> Steering:
    steering = Steering(**json.loads(path.read_text()))
    if not (steering.rate > 0 and steering.monotonic_rate > 0):
        raise ValueError(f"rates must be positive, not {steering.rate}, {steering.monotonic_rate}")
    return steering
