"""Raft's promises, read from traces made by hand: what is wrong, and what only looks so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.check.invariants.logs import LeaderCompleteness, LogMatching
from harness.check.invariants.majority import MajorityCommit
from harness.check.invariants.states import StateMachineSafety
from harness.check.invariants.terms import MonotonicState, OneLeader
from harness.core.verdict import Verdict
from tests.unit.check.breaches import BAD
from tests.unit.check.lines import (
    GOOD,
    NODES,
    Line,
    ack,
    apply,
    boot,
    commit,
    config,
    durable,
    judged,
    role,
    snapshot,
    vote,
    without,
)
from tests.unit.check.make import traced, write_traces


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_named(what: str, tmp_path: Path) -> None:
    name, sentence, extra = BAD[what]
    results = judged(tmp_path, [*GOOD, *extra])
    assert results[name].verdict is Verdict.INVALID
    assert results[name].anomalies[0].sentence == sentence
    assert results[name].anomalies[0].at_ns == extra[-1]["t"]


LEGAL: dict[str, list[Line]] = {
    "candidates of whom somebody heard": [
        *(role(50 + term, "n3", "candidate", term) for term in range(3, 7)),
        vote(57, "n1", 6, None),
        *(role(58 + term, "n3", "candidate", term) for term in range(7, 11)),
    ],
    "candidates of two lives": [
        *(role(50 + term, "n3", "candidate", term) for term in range(3, 7)),
        vote(57, "n3", 6, "n3"),
        boot(58, "n3", [[1, 1, 1], [2, 3, 2]], term=6, vote="n3"),
        *(role(58 + term, "n3", "candidate", term) for term in range(7, 11)),
    ],
    "a candidate that won in between": [
        *(role(50 + term, "n3", "candidate", term) for term in range(3, 7)),
        role(57, "n3", "leader", 6),
        *(role(58 + term, "n3", "candidate", term) for term in range(7, 11)),
    ],
    "nothing more": [],
    "the same node leads again, later": [
        boot(50, "n2", [[1, 1, 1], [2, 3, 2]]),
        role(51, "n2", "leader", 3),
    ],
    "a leader that was cut off writes what it will lose": [durable(50, "n1", 2, [[2, 5, 1]])],
    "and loses it": [durable(50, "n1", 2, [[2, 5, 1]]), durable(51, "n1", 2, [[2, 3, 2]])],
    "a node loses what it does not know to be committed": [
        durable(50, "n1", 2, [[2, 3, 2]]),
        durable(51, "n1", 2, [[2, 2, 1]]),
    ],
    "an uncommitted entry of a committed index is replaced by a committed one at once": [
        durable(50, "n1", 2, [[2, 3, 1]]),
        commit(51, "n1", 3, 2),
        durable(52, "n1", 2, [[2, 3, 2]]),
    ],
    "the commit index begins at the snapshot again": [
        boot(50, "n3", [[2, 3, 2]], [1, 1], term=2),
        commit(51, "n3", 3, 2),
        apply(52, "n3", 3),
    ],
    "a term that was only heard of is forgotten": [
        role(50, "n3", "follower", 9),
        boot(51, "n3", [[1, 1, 1], [2, 3, 2]]),
    ],
    "a vote is given late in a term": [vote(50, "n3", 5, None), vote(51, "n3", 5, "n1")],
    "a snapshot replaces a log that ends before it": [
        snapshot(50, "n1", 3, 2),
        durable(51, "n1", 4, []),
        durable(52, "n1", 4, [[4, 4, 2]]),
        durable(53, "n2", 4, [[4, 4, 2]]),
        ack(54, "n2", 4, 2),
    ],
    "a snapshot stands for an entry that was never written": [
        durable(50, "n1", 2, [[2, 3, 1]]),
        snapshot(51, "n1", 3, 2),
        durable(52, "n1", 4, [[4, 4, 2]]),
        durable(53, "n2", 4, [[4, 4, 2]]),
    ],
    "an election won before the news of a commit": [
        durable(50, "n3", 4, [[4, 4, 2]]),
        durable(51, "n2", 4, [[4, 4, 2]]),
        role(52, "n3", "leader", 3),
        durable(53, "n3", 5, [[5, 5, 3]]),
        commit(54, "n2", 4, 2),
    ],
    "a voter that left is not counted": [
        config(50, "n2", 4, "n2"),
        durable(51, "n2", 4, [[4, 4, 2]]),
        ack(52, "n2", 4, 2),
    ],
    "voters of which nothing is known": [
        config(50, "n2", 0, "n2", "n8", "n9"),
        durable(51, "n2", 4, [[4, 4, 2]]),
        ack(52, "n2", 4, 2),
    ],
    "an entry that the voters before a change have committed": [
        durable(50, "n2", 4, [[4, 5, 2]]),
        durable(51, "n3", 4, [[4, 4, 2]]),
        config(52, "n2", 0, "n1", "n2", "n3"),
        config(53, "n2", 5, "n1", "n2"),
        ack(54, "n2", 4, 2),
    ],
    "a node that lost its disk is another one": [
        boot(50, "n2", identity=7),
        vote(51, "n2", 2, "n3"),
    ],
    "what was on a disk that is lost by now was counted": [
        durable(50, "n2", 4, [[4, 4, 2]]),
        durable(51, "n3", 4, [[4, 4, 2]]),
        boot(52, "n3", identity=7),
        ack(53, "n2", 4, 2),
    ],
    "a voter that is alone asks nobody": [
        config(50, "n3", 4, "n3"),
        *(role(50 + term, "n3", "candidate", term) for term in range(3, 10)),
    ],
    "a kind that nobody knows": [{"t": 50, "node": "n1", "e": "weather", "wind": "north"}],
}


@pytest.mark.parametrize("what", LEGAL)
def test_what_is_legal_is_no_breach(what: str, tmp_path: Path) -> None:
    for name, result in judged(tmp_path, [*GOOD, *LEGAL[what]]).items():
        assert result.verdict is Verdict.VALID, (name, result)


def test_a_leader_need_not_have_what_is_committed_in_its_own_term(tmp_path: Path) -> None:
    """That there are two of them is another promise's business."""
    results = judged(tmp_path, [*GOOD, role(50, "n1", "leader", 2)])
    assert results["leader-completeness"].verdict is Verdict.VALID
    assert results["one-leader"].verdict is Verdict.INVALID


def test_final_states(tmp_path: Path) -> None:
    results = judged(tmp_path, [*GOOD, apply(50, "n2", 4), apply(51, "n3", 4, "another")])
    first, last = results["state-machine-safety"].anomalies
    assert first.steps == (
        "n2 applied entry 4: state s4 at 0.000 s.",
        "n3 applied entry 4: state another at 0.000 s.",
    )
    assert last.kind == "final states differ"
    assert last.sentence == (
        "n2 and n3 ended at entry 4 with different states: s4 on n2, another on n3."
    )


MUTANTS: list[tuple[type, str]] = [
    (OneLeader, "elected"),
    (LogMatching, "wrote"),
    (LogMatching, "_differs"),
    (LeaderCompleteness, "committed"),
    (LeaderCompleteness, "_changed"),
    (LeaderCompleteness, "elected"),
    (LeaderCompleteness, "_look_back"),
    (LeaderCompleteness, "replaces"),
    (StateMachineSafety, "shown"),
    (MonotonicState, "booted"),
    (MonotonicState, "voted"),
    (MonotonicState, "_same_vote"),
    (MonotonicState, "entered"),
    (MonotonicState, "committed"),
    (MonotonicState, "applied"),
    (MajorityCommit, "acknowledged"),
]


@pytest.mark.parametrize(("promise", "part"), MUTANTS, ids=lambda it: getattr(it, "__name__", it))
def test_every_part_is_needed(
    promise: type, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it something wrong is not seen."""
    nothing: Callable[..., None] = lambda *_, **__: None  # noqa: E731
    monkeypatch.setattr(promise, part, nothing)
    missed = [
        what
        for what, (name, _, extra) in BAD.items()
        if judged(tmp_path, [*GOOD, *extra])[name].verdict is not Verdict.INVALID
    ]
    assert missed


@pytest.mark.parametrize(
    ("kind", "node"), [("durable", "n2"), ("durable", "n3"), ("durable", "n1")]
)
def test_an_acknowledgement_needs_its_majority(kind: str, node: str, tmp_path: Path) -> None:
    """Of three nodes' first writes one is not needed: n3's came after the acknowledgement."""
    result = judged(tmp_path, without(kind, node))["majority-commit"]
    wanted = Verdict.UNKNOWN if node == "n3" else Verdict.INVALID
    assert result.verdict is wanted, result


@pytest.mark.parametrize(
    ("extra", "verdict"),
    [
        # Written in the very same nanosecond: too late.
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
            [
                durable(55, "n3", 4, [[4, 4, 2]]),
                boot(57, "n3", [[1, 1, 1], [2, 3, 2]]),
                ack(60, "n2", 4, 2),
            ],
            Verdict.INVALID,
        ),
        # A snapshot stands for what it replaced.
        ([snapshot(55, "n3", 9, 2), ack(60, "n2", 4, 2)], Verdict.VALID),
    ],
)
def test_what_counts_as_durable(extra: list[Line], verdict: Verdict, tmp_path: Path) -> None:
    lines = [*GOOD, durable(49, "n2", 4, [[4, 4, 2]]), *extra]
    assert judged(tmp_path, lines)["majority-commit"].verdict is verdict


def test_nobody_is_accused_for_want_of_a_trace(tmp_path: Path) -> None:
    """n3 may have had the entry; with both others missing nothing can be said at all."""
    seen = [line for line in without("durable", "n2")[:9] if line["node"] != "n3"]
    assert traced("majority-commit", NODES, write_traces(tmp_path, seen)).verdict is (
        Verdict.UNKNOWN
    )
    five = ("n1", "n2", "n3", "n4", "n5")
    alone = [boot(0, "n1"), boot(1, "n2"), boot(2, "n3"), boot(3, "n4"), ack(9, "n1", 1, 1)]
    assert traced("majority-commit", five, write_traces(tmp_path, alone)).verdict is Verdict.INVALID
