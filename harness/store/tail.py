"""A history file read while it is being written, in our own format."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.core.operations import Call, Complete, Completion, Event, Invoke, Outcome
from harness.core.values import freeze


class _Line(msgspec.Struct):
    """A line as :class:`harness.store.jsonl.HistoryWriter` makes them; the header is another."""

    index: int = -1
    type: str = ""
    time: int = 0
    process: int = 0
    f: str = ""
    key: Any = None
    value: Any = None
    of: int = -1
    error: str | None = None
    node: str | None = None
    position: int | None = None


class Tail:
    """Bytes in, events out. What comes after the last newline waits for the rest of its line."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(_Line)
        self._half = b""

    def read(self, more: bytes) -> list[Event]:
        """The events that are complete with these bytes.

        Raises:
            msgspec.DecodeError: a line that our recorder does not write.
        """
        *lines, self._half = (self._half + more).split(b"\n")
        return [_event(line) for line in map(self._decoder.decode, lines) if line.type]


def _event(line: _Line) -> Event:
    if line.type == "invoke":
        call = Call(line.f, freeze(line.key), freeze(line.value))
        return Invoke(line.index, line.process, line.node, line.time, call)
    completion = Completion(
        Outcome(line.type), freeze(line.value), line.error, line.node, line.position
    )
    return Complete(line.index, line.of, line.time, completion)
