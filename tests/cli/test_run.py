"""Whole runs of the command, on real nodes: the clean cluster, a seeded bug, an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from harness.core.run import RunRecord
from harness.store.load import load_run
from tests.cli.commands import RUNTIMES, harness, last_json, need, start, until

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_clean_cluster_is_valid_and_the_run_adequate(runtime: str, tmp_path: Path) -> None:
    need(runtime)
    done = harness(
        *("run", "--runtime", runtime, "--nemesis", "partition,kill", "--nodes", "3"),
        *("--time-limit", "15", "--seed", "7", "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = last_json(done)
    assert answer["verdict"] == "valid" and answer["exit_code"] == 0 and answer["seed"] == 7
    assert answer["stats"]["faults"]["proven"] == answer["stats"]["faults"]["planned"] >= 2
    assert "seed 7" in done.stdout.splitlines()[0]
    folder = tmp_path / "runs" / "latest"
    for name in ("plan.json", "history.jsonl", "faults.jsonl", "verdict.json", "report.html"):
        assert (folder / name).stat().st_size > 0, name
    assert 'failures="0"' in (folder / "junit.xml").read_text()
    for node in ("n1", "n2", "n3"):
        kept = {path.name for path in (folder / "nodes" / node).iterdir()}
        assert kept == {"log.txt", "trace.jsonl", "files.txt"}
    record = load_run(folder)
    assert {fault.kind for fault in record.faults} == {"partition", "kill"}
    assert all(fault.bit.holds and fault.healed.holds for fault in record.faults)
    again = harness("check", str(folder), cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_seeded_bug_is_found_shown_and_found_again(runtime: str, tmp_path: Path) -> None:
    need(runtime)
    for attempt in range(3):
        done = harness(
            *("run", "--runtime", runtime, "--nemesis", "partition:leader", "--nodes", "3"),
            *("--bug", "local-read-leader", "--time-limit", "15", "--seed", str(attempt)),
            cwd=tmp_path,
        )
        if done.returncode == 1:
            break
    assert done.returncode == 1, done.stdout + done.stderr
    assert "INVALID" in done.stdout
    folder = tmp_path / "runs" / "latest"
    page = (folder / "report.html").read_text()
    assert "INVALID" in page and "local-read-leader" in page
    assert "<failure" in (folder / "junit.xml").read_text()
    again = harness("check", str(folder), "--json", cwd=tmp_path)
    assert again.returncode == 1
    assert last_json(again)["checkers"]["linearizable"]["verdict"] == "invalid"
    # The bare history is enough, without the run's folder.
    bare = harness(
        *("check", str(folder / "history.jsonl"), "--model", "cas-register", "--json"), cwd=tmp_path
    )
    assert bare.returncode == 1, bare.stdout + bare.stderr


def begun(folder: Path, least: int = 20) -> bool:
    history = folder / "history.jsonl"
    return history.exists() and len(history.read_bytes().splitlines()) > least


def readable(folder: Path) -> RunRecord:
    record = load_run(folder)
    assert len(record.history) > 5
    return record


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_healed_saved_and_told(
    runtime: str, sign: signal.Signals, tmp_path: Path
) -> None:
    need(runtime)
    run = start(
        *("run", "--runtime", runtime, "--nodes", "3", "--nemesis", "partition"), cwd=tmp_path
    )
    until(lambda: begun(tmp_path / "runs" / "latest"), 60, "the load began")
    os.kill(run.pid, sign)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 130, output
    assert "Traceback" not in output
    record = readable(tmp_path / "runs" / "latest")
    assert record.ending.word == "interrupted"
    assert (tmp_path / "runs" / "latest" / "report.html").exists()
    assert ours(runtime, run.pid) == []


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_killed_harness_leaves_a_history_and_clean_leaves_nothing(
    runtime: str, tmp_path: Path
) -> None:
    need(runtime)
    run = start(
        *("run", "--runtime", runtime, "--nodes", "3", "--nemesis", "partition"), cwd=tmp_path
    )
    until(lambda: begun(tmp_path / "runs" / "latest"), 60, "the load began")
    run.kill()
    run.communicate()
    readable(tmp_path / "runs" / "latest")
    done = harness("clean", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    until(lambda: ours(runtime, run.pid) == [], 20, "nothing of the run is left")
    checked = harness("check", str(tmp_path / "runs" / "latest"), cwd=tmp_path)
    assert checked.returncode in (0, 3), checked.stdout + checked.stderr


def ours(runtime: str, pid: int) -> list[str]:
    """What a run of this process left on the machine, in words."""
    if runtime == "docker":
        found = []
        for what in ("container", "network"):
            listing = [what, "ls", "--filter", f"label=quorum-harness.owner={pid}", "-q"]
            if what == "container":
                listing.insert(2, "--all")
            found += subprocess.run(
                ["docker", *listing], capture_output=True, text=True, check=True
            ).stdout.split()
        return found
    return [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and str(pid) == parent(entry) and entry.name != str(os.getpid())
    ]


def parent(entry: Path) -> str | None:
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return None


BY_NAME = ("clock:jump", "clock:monotonic", "pause:rolling", "resources:io", "partition:reject")


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_faults_that_are_only_planned_by_name(runtime: str, name: str, tmp_path: Path) -> None:
    need(runtime)
    done = harness(
        *("run", "--runtime", runtime, "--nemesis", name, "--nodes", "3"),
        *("--time-limit", "8", "--seed", "5"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = load_run(tmp_path / "runs" / "latest")
    assert {fault.kind for fault in record.faults} == {name.partition(":")[0]}
    assert all(fault.bit.holds and fault.healed.holds for fault in record.faults)
