"""A run again: in simulation to the byte, or it is said why not; on real nodes where it parted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.core.operations import Call
from harness.core.plan import FIRST_FINAL
from harness.core.run import RunRecord
from harness.store import load_run
from tests.cli.commands import harness, last_json, need

QUICK = ("--nodes", "3", "--time-limit", "6", "--seed", "2")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("simulated")
    done = harness("run", "--runtime", "sim", "--nemesis", "partition,kill", *QUICK, cwd=where)
    assert done.returncode == 0, done.stdout + done.stderr
    return (where / "runs" / "latest").resolve()


@pytest.fixture
def run(simulated: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy, to be damaged."""
    folder = tmp_path / "run"
    shutil.copytree(simulated, folder)
    yield folder


def replayed(run: Path, code: int, *more: str) -> dict[str, Any]:
    done = harness("replay", str(run), "--json", *more, cwd=run.parent)
    assert done.returncode == code, done.stdout + done.stderr
    answer = last_json(done)
    for words in answer["why"]:
        assert words in done.stdout
    return answer


def test_in_simulation_it_is_the_same_to_the_byte(run: Path) -> None:
    answer = replayed(run, 0, "--trials", "2")
    assert answer["same"] and answer["trials"] == 2 and answer["found"] == 0
    assert "to the byte" in answer["why"][0]
    again = load_run(run.parent / answer["run"])
    assert again.history.operations == load_run(run).history.operations
    assert again.digest == load_run(run).digest == answer["digest"]


def edit(path: Path, change: Any) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def answer_otherwise(run: Path) -> str:
    """One read returned something else then; the line as a person finds it again."""
    lines = (run / "history.jsonl").read_text().splitlines(keepends=True)
    place = next(
        number
        for number, line in enumerate(lines)
        if '"type":"ok"' in line and '"f":"read"' in line and number > len(lines) // 2
    )
    event = json.loads(lines[place])
    event["value"] = 12345
    lines[place] = json.dumps(event) + "\n"
    (run / "history.jsonl").write_text("".join(lines))
    return f"read → 12345 on {event['key']}"


def forget_digest(run: Path) -> None:
    edit(run / "verdict.json", lambda data: data.update(digest=""))


def test_files_that_were_changed_since_are_told(run: Path) -> None:
    words = answer_otherwise(run)
    answer = replayed(run, 0)
    assert not answer["same"]
    assert f"then {words}" in answer["why"][0]
    assert "changed since" in answer["why"][1]


def test_another_version_is_named(run: Path) -> None:
    answer_otherwise(run)
    forget_digest(run)
    edit(run / "plan.json", lambda data: data["versions"].update(python="2.7"))
    answer = replayed(run, 0)
    assert "python 2.7 then" in answer["why"][1]


def test_the_same_versions_and_other_bytes_are_a_bug_of_ours(run: Path) -> None:
    answer_otherwise(run)
    forget_digest(run)
    answer = replayed(run, 70)
    assert "a bug of the harness" in answer["why"][1]


def test_a_run_that_was_cut_off_is_no_bug_of_ours(run: Path) -> None:
    (run / "verdict.json").unlink()
    lines = (run / "history.jsonl").read_text().splitlines(keepends=True)
    (run / "history.jsonl").write_text("".join(lines[: len(lines) // 2]))
    answer = replayed(run, 0)
    assert "cut off" in answer["why"][1]


def test_a_run_without_a_plan_or_calls_is_told_in_one_line(run: Path) -> None:
    (run / "history.jsonl").unlink()
    done = harness("replay", str(run), cwd=run.parent)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    (run / "plan.json").unlink()
    done = harness("replay", str(run), cwd=run.parent)
    assert done.returncode == 2 and "plan.json" in done.stderr
    assert not (run.parent / "runs").exists()


@pytest.mark.netns
def test_on_real_nodes_the_same_calls_are_made_again(tmp_path: Path) -> None:
    need("netns")
    done = harness(
        *("run", "--runtime", "netns", "--nemesis", "partition:leader", *QUICK), cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first = (tmp_path / "runs" / "latest").resolve()
    done = harness("replay", str(first), "--trials", "2", "--json", cwd=tmp_path)
    answer = last_json(done)
    assert answer["trials"] == 2 and answer["exit_code"] == done.returncode == 0
    then, now = load_run(first), load_run(tmp_path / answer["run"])
    assert then.plan is not None and now.plan is not None and now.plan.script is not None
    assert now.plan.schedule == then.plan.schedule
    for client in range(10):
        ours, theirs = (calls_of(run, client) for run in (then, now))
        # Who waits on the far side of the cut has not made all of its calls when the load ends.
        assert theirs == ours[: len(theirs)] and len(theirs) > 5
    assert "found in 0/2 (0%–66%) of the trials" in done.stdout


def calls_of(run: RunRecord, client: int) -> list[Call]:
    return [
        item.call
        for item in run.history.operations
        if item.process % 10 == client and item.process < FIRST_FINAL
    ]
