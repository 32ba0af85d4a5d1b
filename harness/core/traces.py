"""Reads what nodes write of their inside (docs/trace-format.md), several nodes in one order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Decoder:
    """A library's reading of JSON, and what it raises at bytes that are none."""

    read: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]


JSON = Decoder(json.loads, (ValueError, RecursionError))


class TraceDamage(ValueError):
    """A trace that cannot be trusted; the message has path and line, and what is wrong."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One event: when (CLOCK_MONOTONIC in ns), whose, which kind, and its own fields."""

    t: int
    node: str
    e: str
    fields: dict[str, Any]


def read_trace(path: Path, decoder: Decoder = JSON) -> Iterator[TraceLine]:
    """A node's trace in its own order; a line that a crash cut off is left out.

    A server that starts again appends to the file, so a cut line may be followed, on the same
    line, by the next ``boot``: that one is read.

    Raises:
        TraceDamage: no JSON, no ``t``, ``node`` and ``e``, or a time that goes back.
        OSError: it cannot be read.
    """
    last = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.strip():
                continue
            data = _parse(raw, decoder)
            if data is None:
                if not raw.endswith(b"\n"):
                    return
                raise TraceDamage(f"{path}:{number}: expected a JSON object with t, node and e")
            line = TraceLine(data["t"], data["node"], data["e"], data)
            if line.t < last:
                raise TraceDamage(f"{path}:{number}: time goes back by {last - line.t} ns")
            last = line.t
            yield line


def read_around(path: Path, kinds: Sequence[str]) -> Iterator[TraceLine]:
    """A node's lines of some kinds, each with the one before it, and the last line of all.

    The others are not parsed: most of a trace is of no concern to who wants to know when servers
    began and who led. It ends before the first of these lines that is damaged.

    Raises:
        OSError: it cannot be read.
    """
    marks = [f'"{kind}"'.encode() for kind in kinds]
    with path.open("rb") as file:
        before = b""
        for raw in file:
            if any(mark in raw for mark in marks):
                rows = (before, raw)
                before = b""
            elif raw.strip():
                before = raw
                continue
            else:
                continue
            for row in rows:
                if row:
                    data = _parse(row, JSON)
                    if data is None:
                        return
                    yield TraceLine(data["t"], data["node"], data["e"], data)
        data = _parse(before, JSON) if before else None
        if data is not None:
            yield TraceLine(data["t"], data["node"], data["e"], data)


def merged(traces: Mapping[str, Path], decoder: Decoder = JSON) -> Iterator[TraceLine]:
    """Several nodes' lines in order of time.

    At equal times an ``ack`` comes first: what another node wrote in the same nanosecond was not
    there before it.
    """
    readers = [read_trace(path, decoder) for path in traces.values()]
    heap: list[tuple[int, bool, int, TraceLine]] = []
    for place, reader in enumerate(readers):
        first = next(reader, None)
        if first is not None:
            heap.append((first.t, first.e != "ack", place, first))
    heapify(heap)
    while heap:
        _, _, place, line = heap[0]
        yield line
        following = next(readers[place], None)
        if following is None:
            heappop(heap)
        else:
            heapreplace(heap, (following.t, following.e != "ack", place, following))


def _parse(raw: bytes, decoder: Decoder) -> dict[str, Any] | None:
    data = _object(raw, decoder)
    if data is None:
        # A cut line, and what the restarted server wrote after it.
        start = raw.rfind(b'{"t"')
        data = _object(raw[start:], decoder) if start > 0 else None
        if data is not None and data["e"] != "boot":
            return None
    return data


def _object(raw: bytes, decoder: Decoder) -> dict[str, Any] | None:
    try:
        data = decoder.read(raw)
    except decoder.errors:
        return None
    if type(data) is not dict:
        return None
    whole = type(data.get("t")) is int and type(data.get("node")) is type(data.get("e")) is str
    return data if whole else None
