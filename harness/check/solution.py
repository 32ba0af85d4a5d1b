"""What comes out of a search."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Solution:
    """What a search found.

    Attributes:
        order: a legal order of the problem's operations, None when there is none.
        dead: without an order, the position of the first event that none can pass; None of both
            where a search that may not look everywhere found neither.
        visited: configurations looked at.
        widest: configurations carried at once, at most.
    """

    order: list[int] | None
    dead: int | None
    visited: int
    widest: int
