"""The page's data: JSON that cannot leave its script element, rows packed into columns."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Callable, Iterable, Sequence

from harness.core.faults import FaultRecord
from harness.core.operations import Operation, Outcome
from harness.core.units import MILLISECOND, SECOND
from harness.core.values import show
from reports import lanes
from reports.figures import OUTCOMES, Figures
from reports.model import Report
from reports.palette import BOX, MARK, TINT, fault_colour
from reports.words import clean, shorten, split_words

WORDS = ("ok", "failed", "unknown")
MOST_LANES = 24
"""Processes that get a lane each in the plot."""

VALUE = 160
"""Characters of a value in the table."""


def data(report: Report, figures: Figures) -> str:
    """Everything the plots need, as text for a ``<script type="application/json">``."""
    record = report.record
    end = max(record.duration_ns, 1)
    # Without times the axis counts events: one of them takes the place of a second.
    unit = SECOND if record.history.timed else 1
    marked = set(report.anomaly.operations) if report.anomaly else set()
    content = {
        "timed": record.history.timed,
        "duration": end / unit,
        "violation": None if report.violation_ns is None else report.violation_ns / unit,
        "tint": TINT,
        "box": BOX,
        "mark": MARK,
        "faults": [_fault(fault, level, end) for fault, level in lanes.levels(record.faults)],
        "nodes": [clean(node) for node in (record.plan.nodes if record.plan else ())]
        or [clean(node) for node in dict.fromkeys(span.node for span in record.roles)],
        "roles": [
            [clean(span.node), span.role, span.term, span.start / SECOND, span.end / SECOND]
            for span in record.roles
        ],
        "clocks": {
            clean(node): [[at / SECOND, offset / SECOND] for at, offset in samples]
            for node, samples in record.clocks.items()
            if samples
        },
        "buckets": {
            "width": figures.width_ns / SECOND,
            "start": [bucket.start / SECOND for bucket in figures.buckets],
            "rates": [
                [round(bucket.rate(kind), 2) for bucket in figures.buckets] for kind in range(3)
            ],
            "p50": [_milliseconds(bucket.p50) for bucket in figures.buckets],
            "p99": [_milliseconds(bucket.p99) for bucket in figures.buckets],
        },
        "latency": decades(figures),
        "lanes": _client_lanes(report, figures),
        "total": figures.total,
        "marked": sorted(marked),
        "culprit": report.anomaly.culprit if report.anomaly else None,
        "blame": report.blame,
        "rows": pack(figures.rows, unit),
    }
    return escape(content)


def decades(figures: Figures) -> tuple[float, float]:
    """The powers of ten (ms) around all latencies: the ends of a logarithmic axis."""
    low, high = figures.quickest or MILLISECOND, figures.slowest or MILLISECOND
    bottom = math.floor(math.log10(max(low, 1000) / MILLISECOND))
    top = math.ceil(math.log10(max(high, 1000) / MILLISECOND))
    return 10.0**bottom, 10.0 ** max(top, bottom + 1)


def _client_lanes(report: Report, figures: Figures) -> int | None:
    """How many clients the processes belong to, where there are too many to show each.

    A client whose answer stays away goes on as a new process, ``concurrency`` further.
    """
    plan = report.record.plan
    if plan is None or len({item.process for item in figures.rows}) <= MOST_LANES:
        return None
    return plan.spec.concurrency


def escape(content: object) -> str:
    """JSON without any letter that could end a script element or begin a tag."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def pack(rows: Sequence[Operation], unit: int = SECOND) -> str:
    """Rows as columns (JSON), gzip, base64. The page opens it with ``DecompressionStream``.

    Times are millionths of ``unit`` (nanoseconds): ``start`` as differences, ``took`` -1 where
    there was no end. Texts are numbers into ``words``.
    """
    words: dict[str, int] = {}

    def word(text: str) -> int:
        return words.setdefault(text, len(words))

    starts = [item.start * 1_000_000 // unit for item in rows]
    columns = {
        "index": _differences([item.index for item in rows]),
        "start": _differences(starts),
        "took": [
            -1 if item.end is None else item.end * 1_000_000 // unit - start
            for item, start in zip(rows, starts, strict=True)
        ],
        "process": [item.process for item in rows],
        "outcome": [OUTCOMES.index(item.outcome) for item in rows],
        "node": _column(rows, word, lambda item: clean(item.node or "")),
        "f": _column(rows, word, lambda item: shorten(item.call.f, VALUE)),
        "key": _column(rows, word, key_text),
        "value": _column(rows, word, value_text),
        "error": _column(rows, word, lambda item: shorten(item.error or "", VALUE)),
    }
    content = json.dumps({"words": list(words), **columns}, separators=(",", ":"))
    return base64.b64encode(gzip.compress(content.encode("ascii"), 6, mtime=0)).decode("ascii")


def key_text(item: Operation) -> str:
    """The key, for people."""
    return "" if item.call.key is None else shorten(show(item.call.key), VALUE)


def value_text(item: Operation) -> str:
    """What was sent, or what came back."""
    call, answered = item.call, item.outcome is Outcome.OK
    if call.value is None:
        came = answered and (item.result is not None or call.f in ("read", "get"))
        return shorten(show(item.result), VALUE) if came else ""
    # A transaction's answer is its request with the values read filled in.
    return shorten(show(item.result if _is_filled(item) else call.value), VALUE)


def _is_filled(item: Operation) -> bool:
    return item.outcome is Outcome.OK and isinstance(item.result, tuple)


def _column(
    rows: Sequence[Operation], word: Callable[[str], int], text: Callable[[Operation], str]
) -> list[int]:
    return [word(text(item)) for item in rows]


def _differences(numbers: Iterable[int]) -> list[int]:
    before = 0
    found = []
    for number in numbers:
        found.append(number - before)
        before = number
    return found


def _fault(fault: FaultRecord, level: int, end: int) -> dict[str, object]:
    head, who = split_words(fault.words)
    return {
        "name": clean(f"{fault.id} {fault.kind}"),
        "words": head,
        "who": who,
        "level": level,
        "colour": fault_colour(fault.kind),
        "from": (fault.began_ns or 0) / SECOND,
        "to": (end if fault.ended_ns is None else fault.ended_ns) / SECOND,
    }


def _milliseconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else round(nanoseconds / 1e6, 3)
