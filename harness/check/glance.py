"""One object's verdict by the compiled core alone, from the columns of a history."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from harness.check.limits import Budget
from harness.check.models import Model, RegisterRules
from harness.check.plans import for_list, for_register
from harness.core.columns import Columns, MadeColumns, Numbered, OfOneObject
from harness.core.operations import MISMATCH, Operation
from harness.core.values import Value

_OF_REGISTERS = {"read": 0, "get": 0, "write": 1, "put": 1, "cas": 2}
_OF_LISTS = {"read": 0, "get": 0, "write": 1, "put": 1, "append": 2}
_STRANGE = 255


@dataclass(frozen=True, slots=True)
class Glanced:
    """A verdict without a problem: a witness, or the operation that cannot return."""

    witness: Sequence[int] | None
    culprit: Operation | None
    visited: int
    widest: int
    search_ns: int


def is_posed_by_core(model: Model) -> bool:
    """Whether the core knows what such an object's operations mean."""
    return model.register is not None or model.appends


def by_glance(operations: Sequence[Operation], model: Model, budget: Budget) -> Glanced | None:
    """The compiled core alone with one object's columns: it poses the problem and makes the first
    attempts of :func:`order_of_attempts`. None where that is not enough.

    Raises:
        LimitReached: the budget is used up.
    """
    if not (isinstance(operations, OfOneObject) and is_posed_by_core(model)):
        return None
    columns, part, look = operations.columns, operations.part, budget.look
    if model.register is not None:
        found = part.glance(_numbered(columns, model, model.register), for_register, look)
    else:
        found = part.glance_list(_roles(columns, _OF_LISTS), for_list, look)
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


def _numbered(columns: Columns, model: Model, rules: RegisterRules) -> Numbered:
    observed = rules.failed_cas_observes and MISMATCH in columns.words
    return Numbered(
        roles=_roles(columns, _OF_REGISTERS),
        initial=columns.number(cast("Value", model.init)),
        nil_is_a_value=rules.nil_is_a_value,
        mismatch=columns.words.index(MISMATCH) if observed else None,
    )


def _roles(columns: Columns, known: Mapping[str, int]) -> bytes:
    return bytes(known.get(name, _STRANGE) for name in columns.names)
