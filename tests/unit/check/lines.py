"""Lines of traces made by hand, in few words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.check.invariants.checks import INVARIANTS
from harness.core.verdict import CheckResult
from tests.unit.check.make import traced, write_traces

NODES = ("n1", "n2", "n3")
NAMES = tuple(check.name for check in INVARIANTS)
Line = dict[str, object]
Runs = Sequence[Sequence[int]]


def sums(log: Runs, other: Iterable[int] = ()) -> str:
    """Of entries that are what their index and term say, but for the ``other`` indices."""
    return "".join(
        f"{index * 100 + term + (50 if index in other else 0):08x}"
        for first, last, term in log
        for index in range(first, last + 1)
    )


def boot(
    t: int,
    node: str,
    log: Runs = (),
    snapshot: Sequence[int] = (0, 0),
    *,
    term: int | None = None,
    vote: str | None = None,
    state: str | None = None,
    other: Iterable[int] = (),
    identity: int = 0,
) -> Line:
    newest = max((run[2] for run in log), default=0) if term is None else term
    fields: Line = {"version": 2, "term": newest, "vote": vote, "bugs": [], "identity": identity}
    shown = f"s{snapshot[0]}" if state is None else state
    fields |= {"log": log, "sums": sums(log, other), "snapshot": snapshot, "state": shown}
    return {"t": t, "node": node, "e": "boot", **fields}


def durable(t: int, node: str, start: int, log: Runs, other: Iterable[int] = ()) -> Line:
    written = {"from": start, "log": log, "sums": sums(log, other)}
    return {"t": t, "node": node, "e": "durable", **written}


def ack(t: int, node: str, index: int, term: int) -> Line:
    return {"t": t, "node": node, "e": "ack", "index": index, "term": term, "client": 1, "seq": 1}


def role(t: int, node: str, name: str, term: int) -> Line:
    return {"t": t, "node": node, "e": "role", "role": name, "term": term}


def vote(t: int, node: str, term: int, name: str | None) -> Line:
    return {"t": t, "node": node, "e": "vote", "term": term, "vote": name}


def commit(t: int, node: str, index: int, term: int) -> Line:
    return {"t": t, "node": node, "e": "commit", "index": index, "term": term}


def apply(t: int, node: str, index: int, state: str | None = None) -> Line:
    states = [[index, f"s{index}" if state is None else state]]
    return {"t": t, "node": node, "e": "apply", "index": index, "term": 1, "states": states}


def snapshot(t: int, node: str, index: int, term: int) -> Line:
    return {"t": t, "node": node, "e": "snapshot", "index": index, "term": term}


def config(t: int, node: str, index: int, *voters: str) -> Line:
    return {"t": t, "node": node, "e": "config", "index": index, "voters": voters}


BOOTS = [boot(t, node) for t, node in enumerate(NODES)]
GOOD = [
    *BOOTS,
    vote(3, "n2", 1, "n1"),
    role(5, "n1", "leader", 1),
    durable(10, "n1", 1, [[1, 1, 1]]),
    durable(12, "n2", 1, [[1, 1, 1]]),
    commit(13, "n1", 1, 1),
    apply(14, "n1", 1),
    ack(15, "n1", 1, 1),
    durable(20, "n3", 1, [[1, 1, 1]]),
    role(25, "n3", "follower", 2),
    role(30, "n2", "leader", 2),
    durable(32, "n2", 2, [[2, 3, 2]]),
    durable(34, "n3", 2, [[2, 3, 2]]),
    commit(36, "n2", 3, 2),
    apply(37, "n2", 3),
    ack(40, "n2", 3, 2),
    commit(42, "n3", 3, 2),
    apply(43, "n3", 3),
]


def without(kind: str, node: str) -> list[Line]:
    """The good trace without the first such line of the node."""
    place = next(
        place for place, line in enumerate(GOOD) if (line["e"], line["node"]) == (kind, node)
    )
    return GOOD[:place] + GOOD[place + 1 :]


def judged(folder: Path, lines: Iterable[Line]) -> dict[str, CheckResult]:
    """The result of each check, of lines in any order."""
    ordered = sorted(lines, key=lambda line: int(str(line["t"])))
    paths = write_traces(folder, ordered)
    return {name: traced(name, NODES, paths) for name in NAMES}
