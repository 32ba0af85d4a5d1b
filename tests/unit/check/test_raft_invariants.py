"""Raft's promises, read from traces: against a second reading that keeps every entry apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.check.raft_invariants import DurableLog
from harness.core.verdict import Verdict
from tests.unit.check.make import traced, write_traces

NODES = ("n1", "n2", "n3")
Line = dict[str, object]


def boot(t: int, node: str, log: Sequence[Sequence[int]] = (), snapshot: int = 0) -> Line:
    fields: Line = {"version": 1, "term": 0, "vote": None, "bugs": []}
    return {"t": t, "node": node, "e": "boot", "log": log, "snapshot": [snapshot, 1], **fields}


def durable(t: int, node: str, start: int, log: Sequence[Sequence[int]]) -> Line:
    return {"t": t, "node": node, "e": "durable", "from": start, "log": log}


def ack(t: int, node: str, index: int, term: int) -> Line:
    return {"t": t, "node": node, "e": "ack", "index": index, "term": term, "client": 1, "seq": 1}


def role(t: int, node: str, name: str, term: int) -> Line:
    return {"t": t, "node": node, "e": "role", "role": name, "term": term}


BOOTS = [boot(t, node) for t, node in enumerate(NODES)]
GOOD = [
    *BOOTS,
    role(5, "n1", "leader", 1),
    durable(10, "n1", 1, [[1, 1, 1]]),
    durable(12, "n2", 1, [[1, 1, 1]]),
    ack(15, "n1", 1, 1),
    durable(20, "n3", 1, [[1, 1, 1]]),
    role(30, "n2", "leader", 2),
    durable(32, "n2", 2, [[2, 3, 2]]),
    durable(34, "n3", 2, [[2, 3, 2]]),
    ack(40, "n2", 3, 2),
]


def test_a_correct_trace(tmp_path: Path) -> None:
    traces = write_traces(tmp_path, GOOD)
    for checker, words in (("majority-commit", "2 acknowledgements"), ("one-leader", "2 terms")):
        result = traced(checker, NODES, traces)
        assert result.verdict is Verdict.VALID, result
        assert words in result.reason


@pytest.mark.parametrize("gone", [5, 10])
def test_an_acknowledgement_without_a_majority(gone: int, tmp_path: Path) -> None:
    broken = [line for place, line in enumerate(GOOD) if place != gone]
    result = traced("majority-commit", NODES, write_traces(tmp_path, broken))
    assert result.verdict is Verdict.INVALID
    assert result.figures["violations"] == 1
    assert result.anomalies[0].sentence in (
        "n1 acknowledged entry 1 of term 1 when only n1 of 3 nodes had it on disk.",
        "n2 acknowledged entry 3 of term 2 when only n2 of 3 nodes had it on disk.",
    )


@pytest.mark.parametrize(
    ("extra", "verdict"),
    [
        # Written after the acknowledgement, or in the very same nanosecond: too late.
        ([durable(50, "n1", 2, [[2, 3, 2]]), ack(60, "n2", 4, 2)], Verdict.INVALID),
        ([durable(60, "n3", 4, [[4, 4, 2]]), ack(60, "n2", 4, 2)], Verdict.INVALID),
        ([durable(59, "n3", 4, [[4, 4, 2]]), ack(60, "n2", 4, 2)], Verdict.VALID),
        # The same index, but of another term, is another entry.
        ([durable(59, "n3", 4, [[4, 4, 1]]), ack(60, "n2", 4, 2)], Verdict.INVALID),
        # Overwritten, then acknowledged.
        (
            [
                durable(55, "n3", 4, [[4, 4, 2]]),
                durable(56, "n3", 3, [[3, 3, 3]]),
                ack(60, "n2", 4, 2),
            ],
            Verdict.INVALID,
        ),
        # Lost with the disk at a restart.
        (
            [durable(55, "n3", 4, [[4, 4, 2]]), boot(57, "n3", [[1, 3, 2]]), ack(60, "n2", 4, 2)],
            Verdict.INVALID,
        ),
        # A snapshot stands for what it replaced.
        (
            [{"t": 55, "node": "n3", "e": "snapshot", "index": 9, "term": 2}, ack(60, "n2", 4, 2)],
            Verdict.VALID,
        ),
    ],
)
def test_what_counts_as_durable(extra: list[Line], verdict: Verdict, tmp_path: Path) -> None:
    lines = [*GOOD, durable(49, "n2", 4, [[4, 4, 2]]), *extra]
    ordered = sorted(lines, key=lambda line: int(str(line["t"])))
    assert traced("majority-commit", NODES, write_traces(tmp_path, ordered)).verdict is verdict


def test_two_leaders(tmp_path: Path) -> None:
    traces = write_traces(tmp_path, [*GOOD, role(50, "n3", "leader", 2)])
    result = traced("one-leader", NODES, traces)
    assert result.verdict is Verdict.INVALID
    assert result.anomalies[0].sentence == "n2 and n3 both led term 2."
    assert len(result.anomalies[0].steps) == 2
    # The same node twice (it restarted and won again in a later term) is none of that.
    again = write_traces(tmp_path, [*GOOD, role(50, "n2", "leader", 3)])
    assert traced("one-leader", NODES, again).verdict is Verdict.VALID


@pytest.mark.parametrize("checker", ["majority-commit", "one-leader"])
def test_what_is_no_proof_is_unknown(checker: str, tmp_path: Path) -> None:
    whole = write_traces(tmp_path, GOOD)
    without = {node: path for node, path in whole.items() if node != "n3"}
    assert "n3" in traced(checker, NODES, without).reason
    assert traced(checker, NODES, {}).verdict is Verdict.UNKNOWN
    assert traced(checker, NODES, write_traces(tmp_path, BOOTS)).verdict is Verdict.UNKNOWN
    whole["n3"].write_text("")
    assert traced(checker, NODES, whole).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("checker", ["majority-commit", "one-leader"])
@pytest.mark.parametrize(
    "damage",
    [
        '{"t": 90, "node": "n1"}',
        "nonsense",
        '{"t": 1, "node": "n1", "e": "role", "role": "leader", "term": 7}',
        '{"t": 90, "node": "n1", "e": "boot", "version": 2, "log": [], "snapshot": [0, 0]}',
        '{"t": 90, "node": "n9", "e": "role", "role": "leader", "term": 7}',
    ],
)
def test_damage_is_unknown(checker: str, damage: str, tmp_path: Path) -> None:
    traces = write_traces(tmp_path, GOOD, cut=damage + "\n")
    assert traced(checker, NODES, traces).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "fields",
    [
        {"e": "durable", "from": "1", "log": []},
        {"e": "durable", "log": []},
        {"e": "durable", "from": 1, "log": [[1, 2]]},
        {"e": "ack", "index": None, "term": 1},
        {"e": "boot", "version": 1, "log": [], "snapshot": []},
    ],
)
def test_fields_of_the_wrong_shape_are_unknown(fields: Line, tmp_path: Path) -> None:
    lines = [*GOOD, {"t": 90, "node": "n1", **fields}]
    result = traced("majority-commit", NODES, write_traces(tmp_path, lines))
    assert result.verdict is Verdict.UNKNOWN
    assert "wrong shape" in result.reason


def test_a_cut_last_line_is_nothing(tmp_path: Path) -> None:
    traces = write_traces(tmp_path, GOOD, cut='{"t": 99, "node": "n1", "e": "ro')
    assert traced("one-leader", NODES, traces).verdict is Verdict.VALID


def test_a_cut_line_before_a_restart_is_nothing(tmp_path: Path) -> None:
    traces = write_traces(tmp_path, GOOD)
    restart = json.dumps(boot(95, "n1", [[1, 1, 1]]))
    with traces["n1"].open("a") as file:
        file.write('{"t": 90, "node": "n1", "e": "ro' + restart + "\n")
    result = traced("one-leader", NODES, traces)
    assert result.verdict is Verdict.VALID
    assert result.figures["trace_lines"] == len(GOOD) + 1


def test_nobody_is_accused_for_want_of_a_trace(tmp_path: Path) -> None:
    """n3 may have had the entry; with both others missing nothing can be said at all."""
    broken = [line for place, line in enumerate(GOOD) if place != 5 and line["node"] != "n3"]
    assert traced("majority-commit", NODES, write_traces(tmp_path, broken)).verdict is (
        Verdict.UNKNOWN
    )
    five = ("n1", "n2", "n3", "n4", "n5")
    alone = [boot(0, "n1"), boot(1, "n2"), boot(2, "n3"), boot(3, "n4"), ack(9, "n1", 1, 1)]
    assert traced("majority-commit", five, write_traces(tmp_path, alone)).verdict is Verdict.INVALID


# -- against a second reading ---------------------------------------------------------------------

Runs = list[tuple[int, int, int]]
Change = tuple[int, Runs]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    start = draw(st.integers(1, 8))
    runs: Runs = []
    first = start
    for _ in range(draw(st.integers(0, 3))):
        last = first + draw(st.integers(0, 2))
        runs.append((first, last, draw(st.integers(1, 3))))
        first = last + 1
    return start, runs


@given(st.lists(changes(), max_size=6))
def test_the_log_of_runs_is_a_log(drawn: list[Change]) -> None:
    log = DurableLog()
    entries: dict[int, int] = {}
    for start, runs in drawn:
        log.replace_from(start, runs)
        entries = {index: term for index, term in entries.items() if index < start}
        for first, last, term in runs:
            entries.update(dict.fromkeys(range(first, last + 1), term))
        for index in range(20):
            for term in range(1, 4):
                assert log.has(index, term) == (entries.get(index) == term or index == 0)


@given(st.data())
def test_agrees_with_every_entry_apart(data: st.DataObject) -> None:
    lines: list[Line] = list(BOOTS)
    disks: dict[str, dict[int, int]] = {node: {} for node in NODES}
    wrong = 0
    for t in range(10, 10 + data.draw(st.integers(1, 12))):
        node = data.draw(st.sampled_from(NODES))
        if data.draw(st.booleans()):
            start, runs = data.draw(changes())
            lines.append(durable(t, node, start, runs))
            kept = {index: term for index, term in disks[node].items() if index < start}
            for first, last, term in runs:
                kept.update(dict.fromkeys(range(first, last + 1), term))
            disks[node] = kept
        else:
            index, term = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 3))
            lines.append(ack(t, node, index, term))
            wrong += sum(disk.get(index) == term for disk in disks.values()) < 2
    with TemporaryDirectory() as folder:
        result = traced("majority-commit", NODES, write_traces(Path(folder), lines))
    assert result.figures["violations"] == wrong
    assert (result.verdict is Verdict.INVALID) == bool(wrong)
