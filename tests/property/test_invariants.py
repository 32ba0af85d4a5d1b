"""Whole clusters, looked at from inside: clean ones keep their promises, bugs break them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.check.checkers import CHECKERS
from harness.check.invariants.checks import INVARIANTS
from harness.core.operations import History
from harness.core.protocols import Evidence, Limits
from harness.core.verdict import CheckResult, Verdict
from target.files import Directory
from target.raft.duties import Save
from target.raft.membership import Configuration, Member
from target.raft.messages import COMMAND, Entry, HardState
from target.storage import Storage
from target.trace import Trace
from tests.datadriven.chaos import Chaos
from tests.datadriven.test_transcripts import SCRIPTS, rewritten
from tests.datadriven.traced import TracedWorld
from tests.property.test_raft import DECISIONS, drawn

NAMES = tuple(check.name for check in INVARIANTS)


class Recording:
    """Makes worlds that write traces, in the place of those that do not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.worlds: list[TracedWorld] = []

    def __call__(self, timeouts: dict[str, tuple[int, int]], **rest: Any) -> TracedWorld:
        self.worlds.append(TracedWorld(timeouts, folder=self.folder, **rest))
        return self.worlds[-1]

    def judged(self) -> dict[str, CheckResult]:
        (world,) = self.worlds
        world.close()
        evidence = Evidence(History(()), tuple(world.paths), traces=world.paths)
        return {name: CHECKERS[name].check(evidence, Limits()) for name in NAMES}


def chaos(
    nodes: int,
    decisions: list[int],
    bugs: tuple[str, ...] = (),
    seed: int = 0,
    *,
    members: bool = False,
) -> set[str]:
    """The promises that were broken. That clients or nodes may see it too is not asked here."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        recording = Recording(Path(folder))
        patch.setattr("tests.datadriven.chaos.World", recording)
        run = Chaos(nodes, bugs, seed, members=members)
        with suppress(AssertionError):
            run.play(decisions)
            run.finish()
        results = recording.judged()
    if not bugs:
        assert not [result for result in results.values() if result.verdict is Verdict.INVALID]
        # A cluster that elected nobody in its short life has nothing to be judged by.
        unknown = [result for result in results.values() if result.verdict is Verdict.UNKNOWN]
        assert all("nothing to check" in result.reason for result in unknown), unknown
    return {name for name, result in results.items() if result.verdict is Verdict.INVALID}


@settings(max_examples=25)
@given(nodes=st.sampled_from((1, 2, 3, 4, 5)), members=st.booleans(), decisions=DECISIONS)
def test_clean_clusters_keep_their_promises(
    nodes: int, members: bool, decisions: list[int]
) -> None:
    assert chaos(nodes, decisions, members=members) == set()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("members", [False, True], ids=["", "members"])
def test_clean_clusters_that_live_long_keep_them_all(seed: int, members: bool) -> None:
    assert chaos(3 + seed % 3, drawn(seed), (), seed, members=members) == set()


@pytest.mark.parametrize(
    ("bug", "expected"),
    [
        ("early-ack", {"majority-commit"}),
        ("quorum-off-by-one", {"leader-completeness", "one-leader", "log-matching"}),
        ("vote-not-persisted", {"one-leader", "monotonic-state"}),
        ("vote-behind-log", {"leader-completeness", "state-machine-safety"}),
        ("truncates-on-stale-append", {"leader-completeness"}),
        ("snapshot-drops-sessions", {"state-machine-safety"}),
        ("snapshot-off-by-one", {"state-machine-safety"}),
    ],
)
def test_bugs_are_seen_from_inside(bug: str, expected: set[str]) -> None:
    missing = set(expected)
    for seed in range(200):  # the rarest shows in one seed of fifty
        missing -= chaos(3 + seed % 3, drawn(seed), (bug,), seed)
        if not missing:
            return
    raise AssertionError(f"{bug} was not seen by {missing}")


SEEN = {
    "bug_17_two_changes_at_once": {"leader-completeness"},
    "bug_12_truncates_on_stale_append": {"leader-completeness", "state-machine-safety"},
    "bug_14_no_step_down": set(),  # two leaders, but of different terms: that is legal
    "bug_19_stale_snapshot": {"state-machine-safety"},
    "bug_1_early_ack": {"majority-commit"},
    "bug_25_no_prevote": {"pre-vote"},  # safe all the same
    "bug_3_commit_earlier_term": {"leader-completeness", "state-machine-safety"},
    "bug_4_vote_not_persisted": {"one-leader"},
}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every script without a bug keeps all promises; those with one break what they should."""
    recording = Recording(tmp_path)
    monkeypatch.setattr("tests.datadriven.interpreter.World", recording)
    rewritten(path.read_text())
    results = recording.judged().items()
    broken = {name for name, result in results if result.verdict is Verdict.INVALID}
    assert broken == SEEN.get(path.stem, set())


def test_accepted_damage_is_seen(tmp_path: Path) -> None:
    """A disk gives back another entry than was written, and the server takes it."""
    hard = HardState(1, "n1")
    entries = tuple(Entry(index, 1, COMMAND, b"command %d" % index) for index in (1, 2, 3))
    bugs = frozenset({"damage-accepted"})
    trace = Trace(tmp_path / "trace.jsonl", "n1")
    for life in ("clean", "clean", "damaged"):
        storage = Storage(Directory(tmp_path / "data"), bugs=bugs)
        members = Configuration(0, (Member("n1"),))
        trace.boot(storage.boot, 0, ("damage-accepted",), members)
        if not storage.boot.entries:
            storage.save([Save(1, hard, entries)])
            trace.vote(1, "n1")
            trace.durable(entries)
        storage.close()
        evidence = Evidence(History(()), ("n1",), traces={"n1": tmp_path / "trace.jsonl"})
        result = CHECKERS["log-matching"].check(evidence, Limits())
        assert result.verdict is (Verdict.INVALID if life == "damaged" else Verdict.VALID)
        (segment,) = (tmp_path / "data").glob("log-*")
        if life == "clean" and storage.boot.entries:
            segment.write_bytes(segment.read_bytes().replace(b"command 2", b"command 7"))
    trace.close()
    (anomaly,) = result.anomalies
    assert anomaly.sentence == "n1 has another entry 2 of term 1 on disk than before."
