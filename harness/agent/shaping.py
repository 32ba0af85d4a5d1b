"""Delays and loses packets of directed links: netem where the kernel has it, else by a queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from harness.agent import netem, queueing
from harness.agent.machines import Behaviour, Link, Machine


class ShaperFailed(Exception):
    """No such shaper; one line."""


class Shaper(Protocol):
    """How links behave is the last thing said; packets of other links are not touched."""

    how: str

    def shape(self, links: Mapping[Link, Behaviour]) -> None:
        """These links behave so, and all others as they were made."""

    def shaped(self) -> dict[Link, tuple[int, int]]:
        """(packets delayed, packets lost) since this was built; untouched links may be missing."""

    def remove(self) -> None:
        """Takes everything away that shaping put there."""


def build(how: str, machines: Sequence[Machine]) -> tuple[Shaper, str]:
    """The shaper that was asked for (``netem``, ``nfqueue``), or with ``auto`` the better one.

    Returns it and, in words, why it. Nothing is changed in the nodes before the first shaping.

    Raises:
        ShaperFailed: no such word.
        ToolFailed: it cannot be had.
    """
    match how:
        case "netem":
            return netem.NetemShaper(machines), "netem, as asked"
        case "nfqueue":
            return queueing.QueueShaper(machines), "nfqueue, as asked"
        case "auto":
            lacks = netem.lacks()
            if lacks is None:
                return netem.NetemShaper(machines), "netem"
            return queueing.QueueShaper(machines), f"nfqueue, as there is no netem ({lacks})"
        case _:
            raise ShaperFailed(f"no such shaper: {how!r} (auto, netem, nfqueue)")
