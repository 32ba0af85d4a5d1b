"""Reads what nodes write of their inside (docs/trace-format.md), several nodes in one order."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_decode = json.JSONDecoder().decode


class TraceDamage(ValueError):
    """A trace that cannot be trusted; the message has path and line, and what is wrong."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One event: when (CLOCK_MONOTONIC in ns), whose, which kind, and its own fields."""

    t: int
    node: str
    e: str
    fields: Mapping[str, Any]


def read_trace(path: Path) -> Iterator[TraceLine]:
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
            data = _parse(raw)
            if data is None:
                if not raw.endswith(b"\n"):
                    return
                raise TraceDamage(f"{path}:{number}: expected a JSON object with t, node and e")
            line = TraceLine(data["t"], data["node"], data["e"], data)
            if line.t < last:
                raise TraceDamage(f"{path}:{number}: time goes back by {last - line.t} ns")
            last = line.t
            yield line


def merged(traces: Mapping[str, Path]) -> Iterator[TraceLine]:
    """Several nodes' lines in order of time.

    At equal times an ``ack`` comes first: what another node wrote in the same nanosecond was not
    there before it.
    """
    readers = [read_trace(path) for path in traces.values()]
    return heapq.merge(*readers, key=lambda line: (line.t, line.e != "ack"))


def _parse(raw: bytes) -> dict[str, Any] | None:
    data = _object(raw)
    if data is None:
        # A cut line, and what the restarted server wrote after it.
        start = raw.rfind(b'{"t"')
        data = _object(raw[start:]) if start > 0 else None
        if data is not None and data["e"] != "boot":
            return None
    return data


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        data: Any = _decode(raw.decode())
    except (ValueError, RecursionError):
        return None
    if type(data) is not dict:
        return None
    whole = type(data.get("t")) is int and type(data.get("node")) is type(data.get("e")) is str
    return data if whole else None
