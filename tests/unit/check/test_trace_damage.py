"""What keeps traces from being proof: damage, gaps, old versions; and what does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.check.checkers import CHECKERS
from harness.check.invariants.watch import Watch
from harness.core.operations import History
from harness.core.protocols import Evidence, Limits
from harness.core.traces import merged
from harness.core.verdict import Verdict
from tests.unit.check.lines import (
    BOOTS,
    GOOD,
    NAMES,
    NODES,
    Line,
    boot,
    durable,
    judged,
    role,
)
from tests.unit.check.make import traced, write_traces


def old(line: Line) -> Line:
    """The line as version 1 had it."""
    kept = {name: value for name, value in line.items() if name not in ("sums", "states", "state")}
    return kept | ({"version": 1} if line["e"] == "boot" else {})


def test_a_correct_trace(tmp_path: Path) -> None:
    words = {
        "majority-commit": "2 acknowledgements",
        "one-leader": "2 terms with a leader",
        "log-matching": "7 entries on disks",
        "leader-completeness": "3 committed entries and 2 elections",
        "state-machine-safety": "3 states at 2 indices",
        "monotonic-state": "13 terms, votes and indices",
        "pre-vote": "0 candidacies",
    }
    results = judged(tmp_path, GOOD)
    assert set(results) == set(words) == set(NAMES)
    for name, result in results.items():
        assert result.verdict is Verdict.VALID, result
        assert result.reason == f"{words[name]} in the traces of 3 nodes: nothing wrong"


def test_version_1_is_read(tmp_path: Path) -> None:
    lines = [old(line) for line in GOOD]
    results = judged(tmp_path, lines)
    unproven = {"log-matching", "state-machine-safety"}
    for name, result in results.items():
        wanted = Verdict.UNKNOWN if name in unproven else Verdict.VALID
        assert result.verdict is wanted, result
    wrong = judged(tmp_path, [*lines, old(durable(50, "n1", 2, [[2, 2, 1], [3, 3, 2]]))])
    assert wrong["log-matching"].verdict is Verdict.INVALID


@pytest.mark.parametrize("checker", NAMES)
def test_what_is_no_proof_is_unknown(checker: str, tmp_path: Path) -> None:
    whole = write_traces(tmp_path, GOOD)
    without = {node: path for node, path in whole.items() if node != "n3"}
    assert "n3" in traced(checker, NODES, without).reason
    assert traced(checker, NODES, {}).verdict is Verdict.UNKNOWN
    if checker != "monotonic-state":  # which has something to say of a boot alone
        nothing = traced(checker, NODES, write_traces(tmp_path, BOOTS))
        assert nothing.verdict is Verdict.UNKNOWN
        assert "nothing to check" in nothing.reason
    whole["n3"].write_text("")
    assert traced(checker, NODES, whole).verdict is Verdict.UNKNOWN
    whole["n3"].unlink()
    assert traced(checker, NODES, whole).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("checker", NAMES)
@pytest.mark.parametrize(
    "damage",
    [
        '{"t": 90, "node": "n1"}',
        "nonsense",
        '{"t": 1, "node": "n1", "e": "role", "role": "leader", "term": 7}',
        '{"t": 90, "node": "n1", "e": "boot", "version": 3, "log": [], "snapshot": [0, 0]}',
        '{"t": 90, "node": "n9", "e": "role", "role": "leader", "term": 7}',
        '{"t": 90, "node": "n1", "e": "durable", "from": 9, "log": [[9, 9, 2]]}',
        '{"t": 90, "node": "n1", "e": "durable", "from": 2, "log": [[2, 2, 2]], "sums": "0000"}',
        '{"t": 90, "node": "n1", "e": "durable", "from": 2, "log": [[4, 4, 2]]}',
    ],
)
def test_damage_is_unknown(checker: str, damage: str, tmp_path: Path) -> None:
    traces = write_traces(tmp_path, GOOD, cut=damage + "\n")
    assert traced(checker, NODES, traces).verdict is Verdict.UNKNOWN


def test_what_was_found_before_the_damage_stands(tmp_path: Path) -> None:
    traces = write_traces(tmp_path, [*GOOD, role(50, "n3", "leader", 2)])
    with traces["n3"].open("a") as file:
        file.write("nonsense\n")
    assert traced("one-leader", NODES, traces).verdict is Verdict.INVALID
    assert traced("log-matching", NODES, traces).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "fields",
    [
        {"e": "durable", "from": "1", "log": [], "sums": ""},
        {"e": "durable", "log": [], "sums": ""},
        {"e": "durable", "from": 1, "log": [[1, 2]], "sums": ""},
        {"e": "durable", "from": 1, "log": [[1, 1, 1]], "sums": 7},
        {"e": "ack", "index": None, "term": 1},
        {"e": "apply", "index": 3, "term": 1, "states": [3]},
        {"e": "config", "index": 3, "voters": "n1"},
        {"e": "boot", "version": 2, "term": 0, "vote": None, "log": [], "snapshot": []},
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


def test_one_pass_serves_all_checks_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []

    def counted(nodes: tuple[str, ...], unseen: list[str]) -> Watch:
        passes.append(nodes)
        return Watch(nodes, unseen)

    monkeypatch.setattr("harness.check.invariants.checks.Watch", counted)
    traces = write_traces(tmp_path, GOOD)
    evidence = Evidence(History(()), NODES, traces=traces)
    for name in NAMES:
        assert CHECKERS[name].check(evidence, Limits()).verdict is Verdict.VALID
    assert len(passes) == 1
    # Files that are no longer what they were are read again.
    with traces["n3"].open("a") as file:
        file.write(json.dumps(role(90, "n3", "leader", 2)) + "\n")
    assert CHECKERS["one-leader"].check(evidence, Limits()).verdict is Verdict.INVALID
    assert len(passes) == 2


def test_no_time_is_no_proof(tmp_path: Path) -> None:
    lines = [*GOOD, *(role(50 + t, "n1", "follower", 2 + t) for t in range(2_000))]
    evidence = Evidence(History(()), NODES, traces=write_traces(tmp_path, lines))
    result = CHECKERS["one-leader"].check(evidence, Limits(time_s=-1.0))
    assert (result.verdict, result.limit) == (Verdict.UNKNOWN, "-1 s of time")


def test_a_run_is_watched_while_it_goes_on(tmp_path: Path) -> None:
    """The first violating event is known with its line, and stays the first."""
    traces = write_traces(tmp_path, [*GOOD, role(50, "n3", "leader", 2), role(60, "n1", "x", 0)])
    watch = Watch(NODES)
    for line in merged(traces):
        watch.line(line)
        assert (watch.first is None) == (line.t < 50)
    assert watch.first is not None
    name, breach = watch.first
    assert (name, breach.t, breach.node) == ("one-leader", 50, "n3")
