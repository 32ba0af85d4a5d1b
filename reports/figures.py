"""The whole run in numbers: what the plots draw and what the table lists, aggregated when large.

Up to :data:`RAW_LIMIT` operations every one is a dot and a row. Above it the lines and counts
still come from all of them, but rows are kept only where they can matter: around violations and
the edges of faults, and the slowest. The page says so.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.operations import Operation, Outcome
from harness.core.run import RunRecord
from harness.core.units import SECOND
from reports.responses import responses

RAW_LIMIT = 100_000
KEPT_LIMIT = 20_000
SLOWEST = 3_000
BUCKETS = 600
NEAR_NS = SECOND
OUTCOMES = (Outcome.OK, Outcome.FAIL, Outcome.INFO)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Answers between ``start`` and ``end``; quantiles (ns) are of the OK ones, each counted from
    when it was due (:mod:`reports.responses`)."""

    start: int
    end: int
    counts: tuple[int, int, int]
    p50: int | None
    p95: int | None
    p99: int | None

    def rate(self, kind: int) -> float:
        """Answers of a kind (as in ``OUTCOMES``) per second."""
        return self.counts[kind] * SECOND / (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Figures:
    """``width_ns`` is each bucket's; ``rows`` are operations in order of call."""

    width_ns: int
    buckets: tuple[Bucket, ...]
    rows: Sequence[Operation]
    total: int
    median: int | None
    p99: int | None
    slowest: int | None
    quickest: int | None

    @property
    def aggregated(self) -> bool:
        """Whether operations are missing from ``rows``."""
        return len(self.rows) < self.total


def figures(record: RunRecord, at_ns: int | None, marked: frozenset[int]) -> Figures:
    """The figures of a run; rows around ``at_ns`` and the operations ``marked`` are always kept."""
    operations = record.history.operations
    end = max(record.duration_ns, operations[-1].start if operations else 0, 1)
    width = bucket_width(end)
    # What is left at the end belongs to the last bucket: a sliver of its own would claim a rate.
    counts = [[0, 0, 0] for _ in range(max(1, end // width))]
    latencies: list[list[int]] = [[] for _ in counts]
    for item in operations:
        if _ok(item) and item.end is not None:
            place = min(item.end // width, len(counts) - 1)
            counts[place][0] += 1
            latencies[place] += responses(record.plan, item)
        elif item.outcome is Outcome.INFO or item.end is None:
            counts[min(item.start // width, len(counts) - 1)][2] += 1
        else:
            counts[min(item.end // width, len(counts) - 1)][1] += 1
    buckets = []
    every: list[int] = []
    for number, (kinds, taken) in enumerate(zip(counts, latencies, strict=True)):
        taken.sort()
        every += taken
        quantiles = [quantile(taken, share) for share in (0.5, 0.95, 0.99)]
        until = end if number + 1 == len(counts) else (number + 1) * width
        buckets.append(Bucket(number * width, until, (kinds[0], kinds[1], kinds[2]), *quantiles))
    every.sort()
    took = (item.end - item.start for item in operations if _ok(item) and item.end is not None)
    return Figures(
        width_ns=width,
        buckets=tuple(buckets),
        rows=_kept(record, operations, at_ns, marked),
        total=len(operations),
        median=quantile(every, 0.5),
        p99=quantile(every, 0.99),
        slowest=every[-1] if every else None,
        quickest=min(took, default=None),
    )


def _ok(item: Operation) -> bool:
    return item.outcome is Outcome.OK


def bucket_width(duration_ns: int) -> int:
    """A second where that gives 20 to 600 buckets; otherwise a round share of the run."""
    width = SECOND
    for finer in (2, 4, 5, 10, 20, 50, 100):
        if duration_ns >= 20 * width:
            break
        width = SECOND // finer
    while duration_ns // width >= BUCKETS:
        width *= 2
    return width


def quantile(ordered: Sequence[int], share: float) -> int | None:
    """Nearest rank of an ascending sequence; None when it is empty."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _kept(
    record: RunRecord,
    operations: Sequence[Operation],
    at_ns: int | None,
    marked: frozenset[int],
) -> Sequence[Operation]:
    if len(operations) <= RAW_LIMIT:
        return operations
    starts = [item.start for item in operations]
    places = {place for place, item in enumerate(operations) if item.index in marked}
    edges = [fault.began_ns for fault in record.faults] + [f.ended_ns for f in record.faults]
    instants = [at_ns, *edges]
    for instant in (item for item in instants if item is not None):
        around = range(
            bisect_left(starts, instant - NEAR_NS), bisect_right(starts, instant + NEAR_NS)
        )
        # The violation comes first; a crowd around one edge must not push out the next.
        middle = bisect_left(starts, instant)
        share = KEPT_LIMIT // max(4, len(instants))
        places.update(place for place in around if abs(place - middle) <= share // 2)
        if len(places) >= KEPT_LIMIT:
            break
    finished = (place for place, item in enumerate(operations) if item.end is not None)
    slow = sorted(finished, key=lambda place: _latency(operations[place]), reverse=True)
    places.update(slow[:SLOWEST])
    return [operations[place] for place in sorted(places)]


def _latency(item: Operation) -> int:
    return 0 if item.end is None else item.end - item.start
