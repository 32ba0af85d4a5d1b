"""Histories of other tools: Jepsen's and Knossos' EDN, Jepsen's log, Porcupine's key-value logs.

What their words mean, where it matters for a verdict:

- ``:fail :cas`` without an error is a refusal *because the register held something else*
  (:data:`~harness.core.operations.MISMATCH`); Knossos drops it, which a model may choose to do.
- ``:info`` and an invocation without an end are unknown and have no end.
- ``:fail :read :timed-out`` failed: it says nothing.
- The value of a read is the one it completed with, even if its invocation has one.
- A time that is missing or does not grow is worth less than the order of the lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from harness.core.errors import FormatError
from harness.core.operations import MISMATCH, Call, History, Operation, Outcome
from harness.core.values import Value, show
from harness.store.edn import Form, Keyword, Map, Text, read, value_of, write

_READS = frozenset({"read", "get"})
_SILENT = frozenset({"write", "cas", "put", "append", "add", "delete", "inc", "enqueue"})
"""Completions of these repeat the argument: it is no result."""
_REFUSALS = frozenset({MISMATCH, "did-not-match", "did-not-succeed", "precondition-failed"})
_TYPES = {"ok": Outcome.OK, "fail": Outcome.FAIL, "info": Outcome.INFO}
_TIMED_OUT = "timed-out"


@dataclass(frozen=True, slots=True)
class Entry:
    """A client's event as it stands in a file. ``trouble`` makes an error at its place."""

    index: int
    process: int
    type: str
    f: str
    value: Value
    trouble: Callable[[str], FormatError]
    key: Value = None
    time: int | None = None
    error: str | None = None
    node: str | None = None


def assemble(entries: Sequence[Entry], warnings: Sequence[str] = ()) -> History:
    """Calls with their completions, by process.

    Raises:
        FormatError: a completion without its call, or a call while one of the process is open.
    """
    if _are_keyed(entries):
        entries = [_split_key(entry) for entry in entries]
    times = _times(entries)
    timed = times is not None
    if times is None:
        times = [entry.index for entry in entries]
    operations: list[Operation] = []
    open_calls: dict[int, int] = {}
    for entry, at in zip(entries, times, strict=True):
        if entry.type == "invoke":
            if entry.process in open_calls:
                before = operations[open_calls[entry.process]].index
                words = f"process {entry.process} calls before its call at event {before} ended"
                raise entry.trouble(words)
            open_calls[entry.process] = len(operations)
            operations.append(_invoked(entry, at))
            continue
        slot = open_calls.pop(entry.process, None)
        if slot is None:
            raise entry.trouble(f"process {entry.process} has no open call that could end here")
        operations[slot] = _ended(operations[slot], entry, at)
    return History(tuple(operations), tuple(warnings), timed)


def _invoked(entry: Entry, at: int) -> Operation:
    value = None if entry.f in _READS else entry.value
    return Operation(
        index=entry.index,
        process=entry.process,
        call=Call(entry.f, entry.key, value),
        outcome=Outcome.INFO,
        start=at,
        end=None,
        error="no completion recorded",
        node=entry.node,
    )


def _ended(operation: Operation, entry: Entry, at: int) -> Operation:
    call = operation.call
    if entry.f != call.f:
        raise entry.trouble(
            f"{entry.f} cannot end the {call.f} that process {entry.process} called"
        )
    outcome = _TYPES[entry.type]
    error = entry.error
    if outcome is Outcome.OK and call.f in ("write", "cas") and entry.value != call.value:
        told = f"{call.f} {show(entry.value)}"
        raise entry.trouble(f"{told} cannot end {call.f} {show(call.value)}")
    if outcome is Outcome.FAIL and call.f == "cas" and (error is None or error in _REFUSALS):
        error = MISMATCH
    silent = outcome is not Outcome.OK or call.f in _SILENT
    return replace(
        operation,
        outcome=outcome,
        end=None if outcome is Outcome.INFO else at,
        result=None if silent else entry.value,
        error=error,
        node=entry.node or operation.node,
    )


def _times(entries: Sequence[Entry]) -> list[int] | None:
    """None when they cannot be used."""
    times = [entry.time for entry in entries]
    known = [time for time in times if time is not None]
    if known and len(known) == len(times) and all(a < b for a, b in pairwise(known)):
        return known
    return None


def _are_keyed(entries: Sequence[Entry]) -> bool:
    """Are the values ``[key value]`` pairs, as ``jepsen.independent`` makes them?

    Only then does a read ask for ``[k nil]`` and a cas for ``[k [old new]]``.
    """
    calls = [entry for entry in entries if entry.type == "invoke"]
    shown = False
    for call in calls:
        match call.f, call.value:
            case "read", (_, None):
                shown = True
            case "cas", (_, (_, _)):
                shown = True
            case (("read" | "write"), (_, _)):
                pass
            case _:
                return False
    return shown and all(entry.key is None for entry in calls)


def _split_key(entry: Entry) -> Entry:
    match entry.value:
        case (key, value):
            return replace(entry, key=key, value=value)
        case _:
            return entry


# -- EDN ----------------------------------------------------------------------------------------


def read_edn(text: Text, *, porcupine: bool = False) -> History:
    """Maps in a vector or a list, or bare. ``porcupine`` insists on keys and on its functions.

    Raises:
        FormatError: damaged; the message has path, line and column.
    """
    forms = read(text)
    warnings = []
    if forms.cut is not None:
        warnings.append(f"the file breaks off in line {text.line(forms.cut)}: read up to there")
    entries: list[Entry] = []
    for index, form in enumerate(forms.items):
        if not isinstance(form, Map):
            raise text.trouble(
                forms.starts[index], f"expected the map of an event, found {_brief(form)}"
            )
        entry = _entry(text, form, index)
        if entry is None:
            continue
        if porcupine and (entry.key is None or entry.f not in ("get", "put", "append")):
            raise text.trouble(form.at, "expected a get, put or append with its :key")
        entries.append(entry)
    return assemble(entries, warnings)


def _entry(text: Text, form: Map, index: int) -> Entry | None:
    """None for events of the nemesis and of other parts that are no clients."""

    def trouble(words: str) -> FormatError:
        return text.trouble(form.at, words)

    process = form.get("process")
    if isinstance(process, Keyword) or process == "nemesis":
        return None
    if type(process) is not int:
        raise trouble(f"expected :process with a number, found {_brief(process)}")
    kind, f = form.get("type"), form.get("f")
    if not isinstance(kind, str) or kind not in ("invoke", *_TYPES):
        raise trouble(f"expected :type with :invoke, :ok, :fail or :info, found {_brief(kind)}")
    if not isinstance(f, str):
        raise trouble(f"expected :f with the name of a function, found {_brief(f)}")
    value, time, error = form.get("value"), form.get("time"), form.get("error")
    if isinstance(value, Keyword) and value == _TIMED_OUT:
        value, error = None, value
    node = form.get("node")
    return Entry(
        index=index,
        process=process,
        type=str(kind),
        f=str(f),
        value=value_of(value),
        trouble=trouble,
        key=value_of(form.get("key")),
        time=time if type(time) is int else None,
        error=None if error is None else _word(error),
        node=str(node) if isinstance(node, str) else None,
    )


def _word(error: Form) -> str:
    return str(error) if isinstance(error, str) else show(value_of(error))


def _brief(form: Form) -> str:
    return "nothing" if form is None else show(value_of(form))[:40]


def to_edn(history: History) -> str:
    """A history for Knossos and Jepsen: a vector of maps; keyed values as ``[key value]``.

    Events stand in the order of their times, calls before returns at equal times.
    """
    keyed = any(operation.call.key is not None for operation in history.operations)
    events: list[tuple[int, int, int, str]] = []
    for operation in history.operations:
        call = operation.call
        asked = _keyed(call.key, call.value) if keyed else call.value
        events.append((operation.start, 0, operation.index, _map(operation, "invoke", asked)))
        if operation.end is not None:
            told = operation.result if call.f not in _SILENT else call.value
            told = _keyed(call.key, told) if keyed else told
            kind = operation.outcome.value
            events.append((operation.end, 1, operation.index, _map(operation, kind, told)))
    lines = [line for _, _, _, line in sorted(events)]
    return "[" + "\n ".join(lines) + "]\n"


def _keyed(key: Value, value: Value) -> Value:
    return (key, value)


def _map(operation: Operation, kind: str, value: Value) -> str:
    time = operation.start if kind == "invoke" else operation.end
    error = ""
    if kind == "fail" and operation.error is not None:
        error = f", :error {write(operation.error)}"
    return (
        f"{{:process {operation.process}, :type :{kind}, :f :{operation.call.f}, "
        f":value {write(value)}, :time {time}{error}}}"
    )


# -- Jepsen's log -------------------------------------------------------------------------------

_WHEN = r"(?:\d{4}-\d\d-\d\d[ T]\S+\s+)?"
"""Some loggers begin with the time of day."""
LOGGED = re.compile(rf"{_WHEN}(?:INFO|WARN|ERROR|DEBUG)\s".encode())
"""The beginning of a log."""
_LINE = re.compile(
    rf"{_WHEN}INFO\s+(?:\[[^\]]*\]\s+)?jepsen\.util(?:\s+-|:)"
    r"\s+(\S+)\s+:(\S+)\s+:(\S+)(?:\s+(\S.*?))?\s*"
)
_OTHERS = re.compile(
    rf"{_WHEN}(?:INFO|WARN|ERROR|DEBUG)\s+(?:\[[^\]]*\]\s+)?(?!jepsen\.util\b)[\w.$-]+(?:\s+-|:)\s.*"
)
"""What other parts of a program log beside the history."""


def read_jepsen_log(text: Text) -> History:
    """Lines of ``INFO  jepsen.util - 3 :invoke :write 1``, blanks or tabs between the words.

    Newer logs have the time of day before it, and ``[worker 0] jepsen.util:`` instead of the dash;
    lines of other loggers are skipped.

    Raises:
        FormatError: damaged; the message has path, line and column.
    """
    entries: list[Entry] = []
    lines = text.content.split("\n")
    at = 0
    for index, line in enumerate(lines[:-1]):
        entry = _log_entry(text, line, at, index)
        at += len(line) + 1
        if entry is not None:
            entries.append(entry)
    if not lines[-1].strip():
        return assemble(entries)
    # No line end: the line is whole, or it was being written when the log broke off.
    number = len(lines)
    try:
        last = _log_entry(text, lines[-1], at, number - 1)
        whole = entries if last is None else [*entries, last]
        return assemble(whole, [f"line {number} has no line end: it may be cut off"])
    except FormatError:
        return assemble(entries, [f"line {number} is cut off and was left out"])


def _log_entry(text: Text, line: str, start: int, index: int) -> Entry | None:
    """None for blank lines and for the nemesis."""

    def trouble(words: str) -> FormatError:
        return text.trouble(start, words)

    if not line.strip():
        return None
    match = _LINE.fullmatch(line.strip())
    if match is None and _OTHERS.fullmatch(line.strip()):
        return None
    if match is None:
        raise trouble("expected a line of INFO jepsen.util - 3 :invoke :write 1")
    process, kind, f, told = match.groups()
    if process.startswith(":"):
        return None
    if not process.isdecimal() or len(process) > 18:
        raise trouble(f"expected a process number, found {process[:40]!r}")
    if kind not in ("invoke", *_TYPES):
        raise trouble(f"expected :invoke, :ok, :fail or :info, found {':' + kind[:40]!r}")
    value, error = _told(told, trouble) if told else None, None
    if isinstance(value, Keyword):
        value, error = None, str(value)
    return Entry(
        index=index,
        process=int(process),
        type=kind,
        f=f,
        value=value_of(value),
        trouble=trouble,
        error=error,
    )


def _told(words: str, trouble: Callable[[str], FormatError]) -> Form:
    try:
        forms = read(Text(f"({words}\n)", ""))
    except FormatError:
        forms = None
    if forms is None or len(forms.items) != 1 or forms.cut is not None:
        raise trouble(f"expected one value, found {words[:40]!r}")
    return forms.items[0]
