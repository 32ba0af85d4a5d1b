"""Logs and majorities from traces, against second versions that keep every entry apart."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from harness.check.invariants.node import DurableLog
from harness.core.verdict import Verdict
from tests.unit.check.lines import BOOTS, NODES, Line, ack, durable
from tests.unit.check.make import traced, write_traces

Drawn = list[tuple[int, int, int]]


@st.composite
def changes(draw: st.DrawFn, last: int) -> tuple[int, Drawn]:
    """What may follow a log up to ``last``."""
    start = draw(st.integers(1, last + 1))
    runs: Drawn = []
    first = start
    for _ in range(draw(st.integers(0, 3))):
        end = first + draw(st.integers(0, 2))
        runs.append((first, end, draw(st.integers(1, 3))))
        first = end + 1
    return start, runs


def changed(entries: dict[int, int], start: int, runs: Drawn) -> dict[int, int]:
    kept = {index: term for index, term in entries.items() if index < start}
    for first, last, term in runs:
        kept.update(dict.fromkeys(range(first, last + 1), term))
    return kept


@given(st.data())
def test_the_log_is_a_log(data: st.DataObject) -> None:
    log = DurableLog()
    entries: dict[int, int] = {}
    for _ in range(data.draw(st.integers(1, 6))):
        start, runs = data.draw(changes(log.last))
        log.replace_from(start, runs, None)
        entries = changed(entries, start, runs)
        assert log.last == max(entries, default=0)
        for index in range(20):
            assert log.term(index) == (entries.get(index) if index else 0)
            for term in range(1, 4):
                assert log.has(index, term) == (entries.get(index) == term or index == 0)


@given(st.data())
def test_majorities_agree_with_every_entry_apart(data: st.DataObject) -> None:
    lines: list[Line] = list(BOOTS)
    disks: dict[str, dict[int, int]] = {node: {} for node in NODES}
    wrong = 0
    for t in range(10, 10 + data.draw(st.integers(1, 12))):
        node = data.draw(st.sampled_from(NODES))
        if data.draw(st.booleans()):
            start, runs = data.draw(changes(max(disks[node], default=0)))
            lines.append(durable(t, node, start, runs))
            disks[node] = changed(disks[node], start, runs)
        else:
            index, term = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 3))
            lines.append(ack(t, node, index, term))
            wrong += sum(disk.get(index) == term for disk in disks.values()) < 2
    with TemporaryDirectory() as folder:
        result = traced("majority-commit", NODES, write_traces(Path(folder), lines))
    assert result.figures["violations"] == wrong
    assert (result.verdict is Verdict.INVALID) == bool(wrong)


@given(st.data())
def test_logs_agree_with_whole_prefixes_compared(data: st.DataObject) -> None:
    """The dumb version compares any two logs there ever were, from the first entry on."""
    lines: list[Line] = list(BOOTS)
    logs: list[list[tuple[int, bool]]] = []
    disks: dict[str, list[tuple[int, bool]]] = {node: [] for node in NODES}
    for t in range(10, 10 + data.draw(st.integers(1, 5))):
        node = data.draw(st.sampled_from(NODES))
        start, runs = data.draw(changes(len(disks[node])))
        written = [index for first, last, _ in runs for index in range(first, last + 1)]
        other = data.draw(st.sets(st.sampled_from(written), max_size=1)) if written else set()
        lines.append(durable(t, node, start, runs, other))
        terms = changed({}, start, runs)
        fresh = [(terms[index], index in other) for index in written]
        disks[node] = [*disks[node][: start - 1], *fresh]
        logs.append(disks[node])
    wrong = any(
        place < len(two) and one[place][0] == two[place][0] and one[: place + 1] != two[: place + 1]
        for one in logs
        for two in logs
        for place in range(len(one))
    )
    with TemporaryDirectory() as folder:
        result = traced("log-matching", NODES, write_traces(Path(folder), lines))
    assert (result.verdict is Verdict.INVALID) == wrong
