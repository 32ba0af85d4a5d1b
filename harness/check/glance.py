"""One register's verdict by the compiled core alone, from the columns of a history."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from harness.check.limits import Budget
from harness.check.models import Model
from harness.check.plans import at_a_glance
from harness.core.columns import MadeColumns, Numbered, OfOneObject
from harness.core.operations import MISMATCH, Operation
from harness.core.values import Value

_ROLES = {"read": 0, "get": 0, "write": 1, "put": 1, "cas": 2}
_STRANGE = 255


@dataclass(frozen=True, slots=True)
class Glanced:
    """A verdict without a problem: a witness, or the operation that cannot return."""

    witness: Sequence[int] | None
    culprit: Operation | None
    visited: int
    widest: int
    search_ns: int


def by_glance(operations: Sequence[Operation], model: Model, budget: Budget) -> Glanced | None:
    """The compiled core alone with one register's columns: it poses the problem and makes the
    first attempts of :func:`order_of_attempts`. None where that is not enough.

    Raises:
        LimitReached: the budget is used up.
    """
    rules = model.register
    if rules is None or not isinstance(operations, OfOneObject):
        return None
    columns = operations.columns
    roles = bytes(_ROLES.get(name, _STRANGE) for name in columns.names)
    observed = rules.failed_cas_observes and MISMATCH in columns.words
    numbered = Numbered(
        roles=roles,
        initial=columns.number(cast("Value", model.init)),
        nil_is_a_value=rules.nil_is_a_value,
        mismatch=columns.words.index(MISMATCH) if observed else None,
    )
    found = operations.part.glance(numbered, at_a_glance, budget.look)
    if found is None:
        return None
    order, row, visited, widest, took = found
    culprit = None if row is None else columns.operation(row)
    witness: Sequence[int] | None = None
    if order is not None:
        numbers = array("I", order)
        # A long history that was read into columns keeps its witness as small.
        witness = tuple(numbers) if isinstance(columns, MadeColumns) else numbers
    return Glanced(witness, culprit, visited, widest, took)
