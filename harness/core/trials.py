"""Many runs as numbers: what each came to, and what a share of them says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from harness.core.plan import RunSpec
from harness.core.verdict import ExitCode

Z95 = 1.959963984540054
"""The standard normal's 97.5th percentile: two-sided confidence of 95 %."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One run of many.

    Attributes:
        spec: what was run, its seed included.
        word, exit_code, sentence: its ending (:class:`harness.core.run.Ending`).
        found_by: the checks that found a violation.
        found_ns: when the violation was certain, in nanoseconds of the run; None without one.
        outside: whether a check found one that sees nothing but what clients were answered.
        virtual_s: how long the run was by its own clock.
        wall_s: how long it took, checks included; in simulation, how long it kept one core busy.
        digest: a hash over all that was recorded.
    """

    spec: RunSpec
    word: str
    exit_code: ExitCode
    sentence: str
    found_by: tuple[str, ...] = ()
    found_ns: int | None = None
    virtual_s: float = 0.0
    wall_s: float = 0.0
    digest: str = ""
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """``found`` of ``tried``, with Wilson's score interval of 95 % (Wilson 1927; 0 … 1)."""

    found: int
    tried: int

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies. Of nothing tried nothing is known: (0, 1)."""
        n, z2 = self.tried, Z95 * Z95
        if n == 0:
            return 0.0, 1.0
        share = self.found / n
        middle = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
        # At the ends the two terms are equal, but for rounding.
        low = 0.0 if self.found == 0 else max(0.0, middle - half)
        high = 1.0 if self.found == n else min(1.0, middle + half)
        return low, high

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.found}/{self.tried} ({low:.0%}–{high:.0%})"


def share_found(tried: Sequence[Tried]) -> Share:
    """How many of them found a violation."""
    return Share(sum(item.exit_code is ExitCode.VIOLATION for item in tried), len(tried))


def cost_of_finding(tried: Sequence[Tried]) -> float | None:
    """Median wall seconds until the first violation, over the runs as they would follow each other.

    What a user waits who runs one seed after the other, from each seed on in turn; None when none
    of them found anything.
    """
    if not any(item.exit_code is ExitCode.VIOLATION for item in tried):
        return None
    waits = []
    for first in range(len(tried)):
        wait = 0.0
        for offset in range(len(tried)):
            item = tried[(first + offset) % len(tried)]
            wait += item.wall_s
            if item.exit_code is ExitCode.VIOLATION:
                break
        waits.append(wait)
    return median(waits)


def time_to_violation(tried: Sequence[Tried]) -> float | None:
    """Median seconds of the run's own clock until the violation was certain, where there is one."""
    times = [item.found_ns / 1e9 for item in tried if item.found_ns is not None]
    return median(times) if times else None


@dataclass(frozen=True, slots=True)
class Score:
    """One cell of the track record: a defect (None: the control) under one way of testing."""

    bug: str | None
    nemeses: tuple[str, ...]
    workload: str
    runtime: str
    tried: tuple[Tried, ...]
    mix: str = ""
    """The name of this way, if it has one."""

    @property
    def share(self) -> Share:
        """How many runs found a violation."""
        return share_found(self.tried)

    @property
    def from_outside(self) -> Share:
        """How many found one in what clients were answered."""
        return Share(sum(item.outside for item in self.tried), len(self.tried))

    @property
    def found_by(self) -> dict[str, int]:
        """How many runs each check found it in, most first."""
        counts: dict[str, int] = {}
        for item in self.tried:
            for name in item.found_by:
                counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    @property
    def first(self) -> Tried | None:
        """The first run that found it: its seed is what reproduces it."""
        return next((it for it in self.tried if it.exit_code is ExitCode.VIOLATION), None)

    @property
    def unsound(self) -> tuple[Tried, ...]:
        """Runs that tested nothing, or broke."""
        fine = (ExitCode.VALID, ExitCode.VIOLATION)
        return tuple(item for item in self.tried if item.exit_code not in fine)
