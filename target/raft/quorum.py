"""What more than half means. Small enough to be tested against counting by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def majority(voters: int) -> int:
    """The fewest nodes of which any two sets must share one."""
    return voters // 2 + 1


def reached(values: Sequence[int], quorum: int) -> int:
    """The greatest number that at least ``quorum`` of the values have reached.

    With the match indices of all voters: the greatest index that so many of them hold.
    """
    return sorted(values, reverse=True)[quorum - 1]


def tally(votes: Mapping[str, bool], voters: int, quorum: int) -> bool | None:
    """True: won. False: cannot be won any more. None: still open."""
    granted = sum(votes.values())
    if granted >= quorum:
        return True
    if voters - (len(votes) - granted) < quorum:
        return False
    return None
