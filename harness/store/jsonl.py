"""The history format of our own, version 1: see docs/history-format.md."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import msgspec

from harness.core.columns import AllOperations, Columns
from harness.core.errors import FormatError
from harness.core.operations import (
    Call,
    Event,
    History,
    Invoke,
    Operation,
    Outcome,
    operation,
)
from harness.core.values import Value, freeze, thaw
from harness.native import COMPILED

FORMAT = "quorum-harness-history"
VERSION = 1
HELD = 1 << 16
"""Bytes that wait, at most, before they are written."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a history file.

    ``origin_monotonic_ns`` is the host's CLOCK_MONOTONIC at time zero of the events; ``model`` is
    the model string that the history was made for.
    """

    origin_monotonic_ns: int = 0
    started_utc: str = ""
    model: str | None = None
    nodes: tuple[str, ...] = ()


class _HeaderLine(msgspec.Struct, frozen=True):
    format: str
    version: int
    origin_monotonic_ns: int = 0
    started_utc: str = ""
    model: str | None = None
    nodes: tuple[str, ...] = ()


class _Called(msgspec.Struct, tag_field="type", tag="invoke", gc=False):
    """The line of a call. Fields that a stranger adds are skipped."""

    process: int
    f: str
    index: int | None = None
    time: int | None = None
    key: Any = None
    value: Any = None
    node: str | None = None


class _Ended(msgspec.Struct, tag_field="type", tag="ok", gc=False):
    """The line of a completion. It repeats f and key for people; they are not read."""

    process: int
    index: int | None = None
    of: int | None = None
    time: int | None = None
    value: Any = None
    error: str | None = None
    node: str | None = None
    position: int | None = None


class _Failed(_Ended, tag="fail"):
    pass


class _Unknown(_Ended, tag="info"):
    pass


_Line: TypeAlias = _Called | _Ended | _Failed | _Unknown
_OUTCOMES = {_Ended: Outcome.OK, _Failed: Outcome.FAIL, _Unknown: Outcome.INFO}


class _CalledLine(msgspec.Struct, omit_defaults=True, gc=False):
    """A call as it is written: in this order, without what is null."""

    index: int
    type: str
    process: int
    time: int
    f: str
    key: Any = None
    value: Any = None
    node: str | None = None


class _EndedLine(msgspec.Struct, omit_defaults=True, gc=False):
    """A completion, the same way."""

    index: int
    type: str
    of: int
    process: int
    time: int
    f: str
    key: Any = None
    value: Any = None
    error: str | None = None
    node: str | None = None
    position: int | None = None


class HistoryWriter:
    """Appends events to a file, each with one ``write`` call, so that a crash cuts one line.

    ``held`` lets lines wait for each other: for runs that can be made again to the byte.

    Raises:
        OSError: the file cannot be made, or the disk is full.
    """

    def __init__(self, path: Path, header: Header, *, held: bool = False) -> None:
        self._encoder = msgspec.json.Encoder()
        self._open: dict[int, Invoke] = {}
        self._file: BinaryIO = path.open("wb", buffering=HELD if held else 0)
        first = _HeaderLine(
            format=FORMAT,
            version=VERSION,
            origin_monotonic_ns=header.origin_monotonic_ns,
            started_utc=header.started_utc,
            model=header.model,
            nodes=header.nodes,
        )
        self._file.write(self._encoder.encode(first) + b"\n")

    def write(self, event: Event) -> None:
        """Appends one event.

        Raises:
            KeyError: a completion of a call that was not written or has ended.
        """
        if isinstance(event, Invoke):
            self._open[event.index] = event
            call = event.call
            line: _CalledLine | _EndedLine = _CalledLine(
                event.index,
                "invoke",
                event.process,
                event.at_ns,
                call.f,
                _plain(call.key),
                _plain(call.value),
                event.node,
            )
        else:
            invoke, completion = self._open.pop(event.of), event.completion
            call = invoke.call
            line = _EndedLine(
                event.index,
                completion.outcome.value,
                event.of,
                invoke.process,
                event.at_ns,
                call.f,
                _plain(call.key),
                _plain(completion.value),
                completion.error,
                completion.node or invoke.node,
                completion.position,
            )
        self._file.write(self._encoder.encode(line) + b"\n")

    def close(self) -> None:
        """Idempotent."""
        self._file.close()


def read_jsonl(raw: bytes, path: str) -> tuple[Header, History]:
    """A whole file of our own format.

    A last line that is cut off (it has no newline and is no JSON) is left out with a warning:
    a harness that was killed leaves such a file, and everything before it is evidence.

    Raises:
        FormatError: damaged; the message has path, line and column.
    """
    first, _, rest = raw.partition(b"\n")
    header = _read_header(first, path)
    warnings: list[str] = []
    with _no_collector():
        lines = _decode(rest, path, warnings)
        try:
            times = _times(lines, warnings)
            operations = _pair(lines, range(len(lines)) if times is None else times)
        except _Trouble as trouble:
            number = _line_number(rest, trouble.place)
            raise FormatError(f"{path}:{number}:1: {trouble}") from None
    return header, History(operations, tuple(warnings), timed=times is not None)


def read_columns(path: Path) -> tuple[Header, History] | None:
    """A whole file of our own format, compiled and in columns; None if that cannot be done.

    Then :func:`read_jsonl` can do it, or say what is wrong: there is no compiled part, or the file
    is not in every respect of the usual form.
    """
    if COMPILED is None:
        return None
    try:
        with path.open("rb") as file:
            first = file.readline()
        header = _read_header(first.rstrip(b"\n"), str(path))
    except (OSError, FormatError):
        return None
    table = COMPILED.Table.read(str(path), len(first))
    if table is None:
        return None
    names, texts, words = table.texts()
    decode = msgspec.json.Decoder().decode
    try:
        values = [None, *(_value(decode(text)) for text in texts[1:])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    columns = Columns(
        table, [name.decode() for name in names], values, [word.decode() for word in words]
    )
    return header, History(AllOperations(columns))


def _read_header(line: bytes, path: str) -> Header:
    wanted = f'the header {{"format":"{FORMAT}","version":{VERSION},…}}'
    try:
        read = msgspec.json.decode(line, type=_HeaderLine)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path}:1:{_column(line, error)}: expected {wanted}: {error}") from error
    if read.format != FORMAT:
        raise FormatError(f"{path}:1:1: expected {wanted}, found format {read.format!r}")
    if read.version != VERSION:
        raise FormatError(f"{path}:1:1: version {read.version} is not known here (only {VERSION})")
    return Header(
        origin_monotonic_ns=read.origin_monotonic_ns,
        started_utc=read.started_utc,
        model=read.model,
        nodes=read.nodes,
    )


def _decode(raw: bytes, path: str, warnings: list[str]) -> list[_Line]:
    decoder = msgspec.json.Decoder(_Line)
    try:
        return decoder.decode_lines(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The slow way finds the line.
        pass
    lines: list[_Line] = []
    rows = raw.split(b"\n")
    for number, row in enumerate(rows, start=2):
        if not row.strip():
            continue
        try:
            lines.append(decoder.decode(row))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if number == len(rows) + 1 and not isinstance(error, msgspec.ValidationError):
                warnings.append(f"line {number} is cut off and was left out")
                break
            column = _column(row, error)
            raise FormatError(f"{path}:{number}:{column}: expected an event: {error}") from error
    return lines


def _line_number(raw: bytes, place: int) -> int:
    """Of the event at ``place``: blank lines are no events, and the header is line 1."""
    filled = (number for number, row in enumerate(raw.split(b"\n"), start=2) if row.strip())
    return next(islice(filled, place, None))


def _column(line: bytes, error: Exception) -> int:
    """1-based, in bytes; where the message names a field, the field's."""
    words = str(error)
    _, found, tail = words.rpartition("(byte ")
    if found:
        return int(tail.rstrip(")")) + 1
    _, found, field = words.rpartition("`$.")
    if found:
        return max(0, line.find(b'"' + field.rstrip("`").encode() + b'"')) + 1
    return len(line) + 1 if "truncated" in words else 1


class _Trouble(Exception):
    """The event at ``place`` (counted from 0) does not fit those before it."""

    def __init__(self, place: int, words: str) -> None:
        super().__init__(words)
        self.place = place


def _pair(lines: Sequence[_Line], times: Sequence[int]) -> list[Operation]:
    """Calls with their completions: by ``of`` where it is given, by process where it is not.

    Raises:
        _Trouble: an event does not fit.
    """
    operations: list[Operation | _Called] = []
    starts: list[int] = []
    slots: dict[int, int] = {}
    waiting: dict[int, int] = {}
    for place, line in enumerate(lines):
        if isinstance(line, _Called):
            index = place if line.index is None else line.index
            if index in slots:
                raise _Trouble(place, f"index {index} is there a second time")
            before = waiting.setdefault(line.process, index)
            if before != index:
                raise _Trouble(place, f"process {line.process} calls before {before} ended")
            slots[index] = len(operations)
            operations.append(line)
            starts.append(times[place])
            continue
        of = waiting.get(line.process) if line.of is None else line.of
        slot = None if of is None else slots.get(of)
        call = None if slot is None else operations[slot]
        if of is None or slot is None or not isinstance(call, _Called):
            named = f"process {line.process}" if of is None else f"call {of}"
            raise _Trouble(place, f"this ends {named}, which has no open call")
        del waiting[call.process]
        outcome = _OUTCOMES[line.__class__]
        operations[slot] = Operation(
            of,
            call.process,
            Call(call.f, _value(call.key), _value(call.value)),
            outcome,
            starts[slot],
            None if outcome is Outcome.INFO else times[place],
            _value(line.value),
            line.error,
            line.node or call.node,
            line.position,
        )
    return [
        item if isinstance(item, Operation) else _unended(index, item, starts[slot])
        for (index, slot), item in zip(slots.items(), operations, strict=True)
    ]


def _unended(index: int, call: _Called, start: int) -> Operation:
    asked = Call(call.f, _value(call.key), _value(call.value))
    return operation(Invoke(index, call.process, call.node, start, asked), None)


def _value(data: Any) -> Any:
    return data if data.__class__ in _SCALARS else freeze(data)


def _plain(value: Value) -> object:
    return value if value.__class__ in _SCALARS else thaw(value)


def _times(lines: list[_Line], warnings: list[str]) -> Sequence[int] | None:
    """Each event's time, None when some are missing or they go back: then places are better.

    Equal times are allowed here: a call and a return at one instant count as concurrent, which
    accuses nobody.
    """
    times = [line.time for line in lines]
    known = [time for time in times if time is not None]
    if len(known) == len(times) and all(a <= b for a, b in pairwise(known)):
        return known
    if known:
        missing = "some events have no time" if len(known) < len(times) else "times go back"
        warnings.append(f"{missing}: the order of the lines was taken instead")
    return None


@contextmanager
def _no_collector() -> Iterator[None]:
    """Millions of new objects, none of them garbage: the cycle collector only costs time here."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


_SCALARS = frozenset({int, str, type(None), bool, float})
