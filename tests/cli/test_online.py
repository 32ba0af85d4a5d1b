"""Runs that are searched while they go on: when they stop, what they say, what they leave."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness.core.run import RunRecord
from harness.store.load import load_run
from tests.cli.commands import harness, last_json, need, start, until

pytestmark = [pytest.mark.timeout(240), pytest.mark.netns]

STALE = (
    *("run", "--runtime", "netns", "--nodes", "3", "--nemesis", "partition:leader"),
    *("--bug", "local-read-leader", "--time-limit", "15"),
)


def violated(cwd: Path, *more: str) -> tuple[RunRecord, str, dict[str, Any]]:
    """A run of the cluster that reads locally; nearly every seed shows it."""
    for seed in range(3):
        done = harness(*STALE, "--seed", str(seed), "--json", *more, cwd=cwd)
        if done.returncode == 1:
            break
    assert done.returncode == 1, done.stdout + done.stderr
    return load_run(cwd / "runs" / "latest"), done.stdout, last_json(done)


def test_the_first_violation_ends_the_load_and_further_runs(tmp_path: Path) -> None:
    need("netns")
    record, output, answer = violated(tmp_path, "--test-count", "2")
    seen = record.noticed
    assert seen is not None and seen.stopped
    assert record.load_ns[1] < 15e9
    assert 0 <= seen.returned_ns <= seen.noticed_ns <= record.load_ns[1]
    assert answer["noticed"]["operation"] == seen.operation
    assert f"stopped at the first violation: operation {seen.operation}" in output
    assert output.count("INVALID") == 1
    # The check after the run says the same of that operation.
    (judged,) = (item for item in record.results if item.checker == "linearizable")
    assert seen.operation in [anomaly.culprit for anomaly in judged.anomalies]
    # A run that was stopped is whole: healed, proven, read once more, and fairly judged.
    assert all(fault.bit.holds and fault.healed.holds for fault in record.faults)
    assert any(item.process >= 1_000_000 for item in record.history.operations)
    assert record.ending.adequacy.adequate
    folder = tmp_path / "runs" / "latest"
    for name in ("report.html", "junit.xml"):
        assert "stopped at the first violation" in (folder / name).read_text(), name


def test_keep_going_runs_to_the_end_and_says_when_it_was_seen(tmp_path: Path) -> None:
    need("netns")
    record, output, answer = violated(tmp_path, "--keep-going")
    assert record.noticed is not None and not record.noticed.stopped
    assert record.load_ns[1] >= 15e9
    assert answer["noticed"]["stopped"] is False
    assert "seen while the run went on" in output
    assert "--keep-going" in output


def test_a_clean_run_says_how_far_it_is(tmp_path: Path) -> None:
    need("netns")
    done = harness(
        *("run", "--runtime", "netns", "--nodes", "3", "--nemesis", "none", "--time-limit", "12"),
        *("--seed", "1", "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "so far   no violation in " in done.stdout
    assert last_json(done)["noticed"] is None


def beside(history: Path) -> list[int]:
    """Processes that follow a history."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"harness.cli.following" in words and str(history).encode() in words:
            found.append(int(entry.name))
    return found


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_process_beside_a_run_ends_with_it(sign: signal.Signals, tmp_path: Path) -> None:
    need("netns")
    run = start(
        *("run", "--runtime", "netns", "--nodes", "3", "--nemesis", "none", "--out", "runs"),
        cwd=tmp_path,
    )
    folder = tmp_path / "runs" / "latest"

    def history() -> Path:
        return Path("runs") / folder.resolve().relative_to(tmp_path / "runs") / "history.jsonl"

    until(lambda: folder.exists() and len(beside(history())) == 1, 60, "the search began")
    os.kill(run.pid, sign)
    run.communicate(timeout=60)
    until(lambda: not beside(history()), 20, "the search ended")
