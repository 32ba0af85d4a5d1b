"""What all promises share: how breaches are kept and told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.check.telling import SHOWN


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that was not kept, by the event that showed it.

    ``t`` is the event's CLOCK_MONOTONIC in ns, ``node`` whose event it was. ``index`` is that of an
    entry whose write was wrongly answered; ``steps`` are otherwise the events that contradict each
    other: (time, sentence), in order.
    """

    kind: str
    sentence: str
    t: int
    node: str
    index: int | None = None
    steps: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True)
class Promise:
    """One promise: what was found against it, the first :data:`SHOWN` in words."""

    looked_at: int = 0
    count: int = 0
    found: list[Breach] = field(default_factory=list)

    def broken(
        self,
        kind: str,
        sentence: str,
        t: int,
        node: str,
        *,
        index: int | None = None,
        steps: tuple[tuple[int, str], ...] = (),
    ) -> None:
        """One more breach."""
        self.count += 1
        if len(self.found) < SHOWN:
            self.found.append(Breach(kind, sentence, t, node, index, steps))

    def words(self) -> str:
        """What was looked at: ``12 terms with a leader``."""
        raise NotImplementedError


def listed(names: Sequence[str]) -> str:
    """``n1``, ``n1 and n2``, ``n1, n2 and n3``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
