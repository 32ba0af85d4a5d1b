"""A long history in columns: a few dozen bytes for each operation instead of some hundred.

The columns are the compiled reader's; operations are made when somebody looks at one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, overload

from harness.core.operations import Call, History, Operation, Outcome
from harness.core.values import Value

_OUTCOMES = (Outcome.OK, Outcome.FAIL, Outcome.INFO, Outcome.INFO)
_UNENDED = 3
NEVER_ENDED = "no completion recorded"


class Rows(Protocol):
    """Some rows of a table, in order of invocation."""

    def __len__(self) -> int:
        """How many."""

    def row(self, place: int) -> int:
        """The number of the row at a place."""


class Posed(Rows, Protocol):
    """The operations of a problem, and its numbers."""

    def numbers(self) -> tuple[list[int], list[bool], list[int]]:
        """Classes, who returned, events: as in a problem."""

    def witness(self, order: Sequence[int]) -> bytes:
        """An order as indices of the history (32 bits each), with what had been left out."""

    def core(self, problem: object) -> object:
        """The compiled search's own copy of the problem."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A register's rules in the numbers of some columns: see native/src/registers.rs."""

    roles: bytes
    initial: int
    nil_is_a_value: bool
    mismatch: int | None


class Part(Rows, Protocol):
    """One object's rows."""

    def glance(
        self,
        rules: Numbered,
        plan: Callable[[int, int, int, int, int], Any],
        look: Callable[[], None],
    ) -> tuple[bytes | None, int | None, int, int, int] | None:
        """A register's verdict, where some quick attempts are enough for one: a witness (indices of
        32 bits each) or the row to blame; configurations met and carried; nanoseconds of search.

        ``plan`` says what to try, in the core's own form, with so many operations, classes of them,
        operations unanswered, cas unanswered, and operations open at once."""

    def glance_list(
        self,
        roles: bytes,
        plan: Callable[[int, int, int, int, int], Any],
        look: Callable[[], None],
    ) -> tuple[bytes | None, int | None, int, int, int] | None:
        """The same of a list whose reads return text. ``roles`` of functions: 0 reads, 1 puts, 2
        appends."""

    def combine(self, by_process: bool) -> list[int]:
        """A row for each combination of what operations can depend on."""

    def pose(self, classes: Sequence[int], keep: Sequence[int]) -> Posed:
        """Those that say something: ``classes`` of each combination (-1: none), and whether each
        class is kept: 0 if it returned, 1 always, 2 never."""


class Table(Protocol):
    """A history in columns: see native/src/table.rs."""

    @staticmethod
    def of(
        operations: tuple[Operation, ...],
    ) -> tuple[Table, list[str], list[Value], list[str | None]] | None:
        """Of operations, with the names, values and errors that its numbers mean; None if there is
        no room for them."""

    def __len__(self) -> int:
        """Operations."""

    def row(
        self, row: int
    ) -> tuple[int, int, int, int, int, int, int, int, int, int, int, int | None]:
        """What :meth:`Columns.operation` makes an operation of."""

    def functions(self) -> list[tuple[int, int]]:
        """Names that are functions, each with its first row."""

    def outcomes(self) -> tuple[int, int, int, int]:
        """How many were ok, failed, ended unknown, never ended."""

    def until_ns(self) -> int:
        """The latest time there is."""

    def parts(
        self,
        by_key: bool,
        same: Sequence[int] | None = None,
        pairs: Mapping[int, tuple[int, int]] | None = None,
    ) -> Sequence[tuple[int, Part]]:
        """Rows by key, or all of them. A table that was made of operations needs no more."""


class Columns:
    """A table and what its numbers mean.

    Attributes:
        table: the compiled columns.
        names: functions and nodes.
        values: keys, arguments and results; number 0 is None.
        words: errors; number 0 is none.
        same: for each value the number of the first that equals it: a value has many spellings,
            and numbers and truth values are compared as Python does (1 = 1.0 = true).
    """

    def __init__(
        self, table: Table, names: list[str], values: list[Value], words: list[str]
    ) -> None:
        self.table = table
        self.names = names
        self.values = values
        self.words: list[str | None] = [None, *words[1:]]
        first: dict[Value, int] = {}
        self.same = [first.setdefault(value, number) for number, value in enumerate(values)]

    @cached_property
    def _paired(self) -> tuple[Mapping[int, tuple[int, int]], Mapping[Value, int]]:
        """Of values that are pairs the numbers of the two in them, and the numbers of those that
        are nowhere else."""
        pairs = [
            (place, value)
            for place, value in enumerate(self.values)
            if isinstance(value, tuple) and len(value) == 2
        ]
        if not pairs:
            return {}, {}
        first: dict[Value, int] = {}
        for place, value in enumerate(self.values):
            first.setdefault(value, place)
        known, count = dict(first), len(self.values)

        def number(value: Value) -> int:
            return first.setdefault(value, count + len(first) - len(known))

        numbered = {place: (number(one), number(other)) for place, (one, other) in pairs}
        return numbered, {value: at for value, at in first.items() if value not in known}

    def number(self, value: Value) -> int:
        """The number of a value; one that no column has if the value is nowhere."""
        try:
            return self.values.index(value)
        except ValueError:
            extra = self._paired[1]
            return extra.get(value, len(self.values) + len(extra))

    def parts(self, keyed: bool) -> Sequence[tuple[int, Part]]:
        """Rows by key, or all of them."""
        return self.table.parts(keyed, self.same, self._paired[0])

    def operation(self, row: int) -> Operation:
        """The operation of a row."""
        index, process, f, key, value, result, outcome, start, end, node, error, position = (
            self.table.row(row)
        )
        values = self.values
        return Operation(
            index,
            process,
            Call(self.names[f], values[key], values[value]),
            _OUTCOMES[outcome],
            start,
            None if outcome >= 2 else end,
            values[result],
            NEVER_ENDED if outcome == _UNENDED else self.words[error],
            self.names[node] if node else None,
            position,
        )

    def functions(self) -> dict[str, int]:
        """The functions that were called, each with the first row that called it."""
        return {self.names[f]: row for f, row in self.table.functions()}


class MadeColumns(Columns):
    """Columns of operations that are there: made for the compiled core."""

    def __init__(
        self,
        table: Table,
        names: list[str],
        values: list[Value],
        words: list[str | None],
        operations: tuple[Operation, ...],
    ) -> None:
        self.table, self.names, self.values, self.words = table, names, values, words
        self.operations = operations

    def number(self, value: Value) -> int:
        """See :class:`Columns`; here those in pairs are among the values."""
        try:
            return self.values.index(value)
        except ValueError:
            return len(self.values)

    def parts(self, keyed: bool) -> Sequence[tuple[int, Part]]:
        """Rows by key, or all of them."""
        return self.table.parts(keyed)

    def operation(self, row: int) -> Operation:
        """The operation of a row, as it was."""
        return self.operations[row]


class _Made(Sequence[Operation]):
    """Operations that are made when they are looked at."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def _row(self, place: int) -> int:
        raise NotImplementedError

    @overload
    def __getitem__(self, place: int) -> Operation: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Operation, ...]: ...
    def __getitem__(self, place: int | slice) -> Operation | tuple[Operation, ...]:
        if isinstance(place, slice):
            return tuple(self[number] for number in range(*place.indices(len(self))))
        count = len(self)
        if not -count <= place < count:
            raise IndexError(place)
        return self.columns.operation(self._row(place % count))

    def __iter__(self) -> Iterator[Operation]:
        make, row = self.columns.operation, self._row
        return (make(row(place)) for place in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


class AllOperations(_Made):
    """Every operation of a history, in order of invocation."""

    def __len__(self) -> int:
        return len(self.columns.table)

    def _row(self, place: int) -> int:
        return place

    def called(self) -> Mapping[str, int]:
        """See :class:`harness.core.operations.Summed`."""
        columns = self.columns
        rows = sorted(columns.functions().items(), key=lambda pair: pair[1])
        return {f: columns.table.row(row)[0] for f, row in rows}

    def outcomes(self) -> tuple[int, int, int]:
        """See :class:`harness.core.operations.Summed`."""
        ok, fail, info, unended = self.columns.table.outcomes()
        return ok, fail, info + unended

    def until_ns(self) -> int:
        """See :class:`harness.core.operations.Summed`."""
        return self.columns.table.until_ns()


class KeptOperations(AllOperations):
    """The same of operations that are there."""

    columns: MadeColumns

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.columns.operations)


def kept(history: History, table: type[Table]) -> History:
    """A history of operations that are there, with columns of them for the compiled core.

    Where they do not fit into columns (an operation that ends before it begins, say) it is as it
    was: whoever reads it as it is has the words for that.
    """
    if isinstance(history.operations, AllOperations):
        return history
    operations = tuple(history.operations)
    try:
        made = table.of(operations)
    except (TypeError, ValueError, OverflowError):
        return history
    if made is None:
        return history
    columns = MadeColumns(*made, operations)
    return replace(history, operations=KeptOperations(columns))


class SomeOperations(_Made):
    """Those of some rows."""

    def __init__(self, columns: Columns, rows: Rows) -> None:
        super().__init__(columns)
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def _row(self, place: int) -> int:
        return self._rows.row(place)


class OfOneObject(SomeOperations):
    """Those of one key: ready to be posed as a problem."""

    def __init__(self, columns: Columns, part: Part) -> None:
        super().__init__(columns, part)
        self.part = part
