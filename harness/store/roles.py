"""Who was what when: from the nodes' traces, or from what they said when asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.core.faults import FaultRecord
from harness.core.protocols import NodeStatus
from harness.core.run import RoleSpan
from harness.core.traces import TraceLine, read_around

DOWN = "down"


@dataclass(frozen=True, slots=True)
class _Change:
    """From ``at`` on the node has this role; ``down`` after a kill."""

    at: int
    role: str
    term: int


def roles_from_traces(
    traces: Mapping[str, Path], origin_ns: int, end_ns: int, faults: Sequence[FaultRecord]
) -> tuple[RoleSpan, ...]:
    """Spans of every node that has a trace, by node and time. A damaged tail is left out."""
    spans: list[RoleSpan] = []
    for node, path in traces.items():
        lines: list[TraceLine] = []
        with suppress(OSError):
            lines.extend(read_around(path, ("boot", "role")))
        changes = list(_changes(lines, origin_ns, kills(node, faults)))
        spans += _spans(node, changes, end_ns)
    return tuple(spans)


def roles_from_samples(
    samples: Iterable[tuple[int, Sequence[NodeStatus]]],
    nodes: Sequence[str],
    end_ns: int,
    faults: Sequence[FaultRecord],
) -> tuple[RoleSpan, ...]:
    """Spans from status samples: a node keeps its last known role until it says otherwise."""
    changes: dict[str, list[_Change]] = {node: [] for node in nodes}
    for at_ns, statuses in samples:
        for status in statuses:
            if status.node in changes:
                changes[status.node].append(_Change(at_ns, status.role, status.term))
    spans: list[RoleSpan] = []
    for node, known in changes.items():
        down = [_Change(began, DOWN, 0) for began, _ in kills(node, faults)]
        spans += _spans(node, sorted([*known, *down], key=lambda change: change.at), end_ns)
    return tuple(spans)


def kills(node: str, faults: Iterable[FaultRecord]) -> list[tuple[int, int | None]]:
    """When ``node`` was killed and, where it came to that, started again."""
    found: list[tuple[int, int | None]] = []
    for fault in faults:
        nodes = fault.resolved.get("nodes")
        hit = isinstance(nodes, tuple) and node in nodes
        if fault.kind == "kill" and hit and fault.began_ns is not None:
            found.append((fault.began_ns, fault.ended_ns))
    return found


def _changes(
    lines: Iterable[TraceLine], origin_ns: int, killed: Sequence[tuple[int, int | None]]
) -> Iterable[_Change]:
    """Role lines as they are; before a boot that is not the first, the node was down.

    Since when: since the kill that the harness recorded, otherwise since the last line.
    """
    last: int | None = None
    for line in lines:
        at = line.t - origin_ns
        term = line.fields.get("term")
        term = term if isinstance(term, int) else 0
        if line.e == "boot":
            if last is not None:
                since = [began for began, _ in killed if last <= began <= at]
                yield _Change(since[0] if since else last, DOWN, 0)
            yield _Change(at, "follower", term)
        elif line.e == "role":
            yield _Change(at, str(line.fields.get("role", "follower")), term)
        last = at
    if last is not None:
        yield from (_Change(began, DOWN, 0) for began, _ in killed if began >= last)


def _spans(node: str, changes: Sequence[_Change], end_ns: int) -> list[RoleSpan]:
    spans: list[RoleSpan] = []
    for number, change in enumerate(changes):
        following = changes[number + 1].at if number + 1 < len(changes) else end_ns
        start, end = max(0, change.at), min(following, end_ns)
        if end <= start:
            continue
        before = spans[-1] if spans else None
        if before and (before.role, before.term, before.end) == (change.role, change.term, start):
            spans[-1] = RoleSpan(node, before.role, before.term, before.start, end)
        else:
            spans.append(RoleSpan(node, change.role, change.term, start, end))
    return spans
