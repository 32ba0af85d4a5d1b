"""Treats packets of directed links: by netem where the kernel has it, else by a queue.

What netem does but does not count (copies, reordering, flipped bits) goes through the queue always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from harness.agent import netem, queueing
from harness.agent.machines import Behaviour, Counts, Link, Machine

_BESIDE = " (duplicates, reordering, corruption: nfqueue, as netem does not count them)"


class ShaperFailed(Exception):
    """No such shaper; one line."""


class Shaper(Protocol):
    """How links behave is the last thing said; packets of other links are not touched."""

    how: str

    def shape(self, links: Mapping[Link, Behaviour]) -> None:
        """These links behave so, and all others as they were made."""

    def shaped(self) -> dict[Link, Counts]:
        """Since this was built; untouched links may be missing."""

    def remove(self) -> None:
        """Takes everything away that shaping put there."""


class SplitShaper:
    """netem for what it counts, a queue for the rest; a packet may meet both."""

    how = "netem"

    def __init__(self, machines: Sequence[Machine]) -> None:
        """Changes nothing yet."""
        self._netem = netem.NetemShaper(machines)
        self._queue = queueing.QueueShaper(machines)

    def shape(self, links: Mapping[Link, Behaviour]) -> None:
        """See :class:`Shaper`."""
        counted, uncounted = {}, {}
        for link, behaviour in links.items():
            counted[link], uncounted[link] = split(behaviour)
        nothing = Behaviour()
        self._netem.shape({link: how for link, how in counted.items() if how != nothing})
        self._queue.shape({link: how for link, how in uncounted.items() if how != nothing})

    def shaped(self) -> dict[Link, Counts]:
        """See :class:`Shaper`."""
        first, second = self._netem.shaped(), self._queue.shaped()
        return {
            link: first.get(link, Counts()) + second.get(link, Counts())
            for link in {*first, *second}
        }

    def remove(self) -> None:
        """See :class:`Shaper`."""
        try:
            self._netem.remove()
        finally:
            self._queue.remove()


def split(behaviour: Behaviour) -> tuple[Behaviour, Behaviour]:
    """(what netem counts of it, what it does not)."""
    counted = replace(behaviour, duplicate=0.0, reorder=0.0, corrupt=0.0, late_ns=0)
    uncounted = replace(behaviour, delay_ns=0, jitter_ns=0, loss=0.0, bytes_per_s=0)
    if not (uncounted.duplicate or uncounted.reorder or uncounted.corrupt):
        uncounted = Behaviour()
    return counted, uncounted


def build(how: str, machines: Sequence[Machine]) -> tuple[Shaper, str]:
    """The shaper that was asked for (``netem``, ``nfqueue``), or with ``auto`` the better one.

    Returns it and, in words, why it. Nothing is changed in the nodes before the first shaping.

    Raises:
        ShaperFailed: no such word.
        ToolFailed: it cannot be had.
    """
    match how:
        case "netem":
            return SplitShaper(machines), f"netem, as asked{_BESIDE}"
        case "nfqueue":
            return queueing.QueueShaper(machines), "nfqueue, as asked"
        case "auto":
            lacks = netem.lacks()
            if lacks is None:
                return SplitShaper(machines), f"netem{_BESIDE}"
            return queueing.QueueShaper(machines), f"nfqueue, as there is no netem ({lacks})"
        case _:
            raise ShaperFailed(f"no such shaper: {how!r} (auto, netem, nfqueue)")
