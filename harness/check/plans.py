"""The attempts of :mod:`harness.check.attempts` as the compiled core takes them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from harness.check.attempts import (
    OF_TINY,
    TINY,
    Ask,
    Attempt,
    Beams,
    Go,
    Refute,
    Sizes,
    Traits,
    order_of_attempts,
    traits,
)
from harness.native import COMPILED

if TYPE_CHECKING:
    from harness._native import Plan

Compiled: TypeAlias = "tuple[int, int] | tuple[int] | int"
"""An attempt in the numbers of the core."""


@cache
def of(one: Traits) -> tuple[Plan, Plan | None]:
    """What to try before a monitor is asked, and what after it; None if it is not asked."""
    order = order_of_attempts(one)
    if Ask() not in order:
        return _plan(order), None
    place = order.index(Ask())
    return _plan(order[:place]), _plan(order[place + 1 :])


@cache
def tiny() -> Plan:
    """What to try with a problem of a few operations."""
    return _plan(TINY)


def for_register(*sizes: int) -> Plan:
    """What the core tries by itself with a register of these sizes (:class:`Sizes`)."""
    return of(traits(Sizes(*sizes), asks=False, monitored=False))[0]


def for_list(operations: int, *sizes: int) -> Plan:
    """The same of a list."""
    if operations <= OF_TINY:
        return tiny()
    return of(traits(Sizes(operations, *sizes), asks=True, monitored=False))[0]


def _plan(order: Iterable[Attempt]) -> Plan:
    assert COMPILED is not None
    return COMPILED.Plan([_compiled(one) for one in order])


def _compiled(one: Attempt) -> Compiled:
    match one:
        case Beams(first, last):
            return first, last
        case Go(patience):
            return patience
        case Refute(patience):
            return (patience,)
        case Ask():
            raise ValueError("monitors are not compiled")
