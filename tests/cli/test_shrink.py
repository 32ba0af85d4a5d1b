"""A failing run made small: what is left still fails in the same way, and a person can read it."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from harness.store import load_run
from tests.cli.commands import harness, last_json, need, start

STALE = ("--nemesis", "partition:leader", "--bug", "local-read-leader", "--time-limit", "20")


ENOUGH = ("--time", "280", "--runs", "400")
"""So many runs find the least, on a slow machine too; a time would be over before."""


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("failing")
    done = harness(
        *("run", "--runtime", "sim", "--test-count", "20", "--seed", "1", *STALE), cwd=where
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return (where / "runs" / "latest").resolve()


@pytest.mark.timeout(400)
def test_what_is_left_is_a_run_of_its_own_with_few_steps(failing: Path, tmp_path: Path) -> None:
    before = load_run(failing)
    done = harness("shrink", str(failing), *ENOUGH, "--json", cwd=tmp_path, timeout_s=290)
    assert done.returncode == 1, done.stdout + done.stderr
    answer = last_json(done)
    assert answer["steps"] <= 12 and answer["nodes"] < 5 and answer["faults"] >= 1
    after = load_run(tmp_path / answer["run"])
    assert after.plan is not None and before.plan is not None
    assert after.plan.shrunk_from and not after.plan.follows
    assert len(after.plan.schedule) < len(before.plan.schedule)
    (bad,) = (item for item in after.results if item.anomalies)
    assert bad.checker == "linearizable" and bad.anomalies[0].kind == "stale read"
    # The steps are shown, and kept.
    kept = (after.folder / "steps.txt").read_text()
    assert kept in done.stdout
    assert "partition" in kept and "local-read-leader" in kept and bad.anomalies[0].sentence in kept
    assert f"harness replay {answer['run']}" in done.stdout
    assert f"harness replay {answer['run']}" in (after.folder / "report.html").read_text()
    # It is a run like any other: the same again, to the byte, and nothing more to take away.
    again = harness("replay", answer["run"], "--json", cwd=tmp_path)
    assert again.returncode == 1 and last_json(again)["digest"] == answer["digest"]
    once_more = harness("shrink", answer["run"], "--runs", "20", "--json", cwd=tmp_path)
    assert last_json(once_more)["steps"] <= answer["steps"], once_more.stdout


@pytest.mark.parametrize(("limit", "most"), [(("--time", "0"), 3), (("--runs", "2"), 2)])
def test_when_there_is_enough_the_least_so_far_is_kept(
    limit: tuple[str, str], most: int, failing: Path, tmp_path: Path
) -> None:
    done = harness("shrink", str(failing), *limit, "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    answer = last_json(done)
    assert answer["trials"] <= most
    assert load_run(tmp_path / answer["run"]).ending.word == "invalid"


def test_interrupted_the_least_so_far_is_kept(failing: Path, tmp_path: Path) -> None:
    shrinking = start("shrink", str(failing), "--time", "600", cwd=tmp_path)
    assert shrinking.stdout is not None
    lines = []
    for line in shrinking.stdout:
        lines.append(line)
        if "less of" in line:
            os.kill(shrinking.pid, signal.SIGINT)
            break
    rest, _ = shrinking.communicate(timeout=60)
    assert shrinking.returncode == 130, "".join(lines) + rest
    assert "interrupted" in rest and "Traceback" not in rest
    record = load_run((tmp_path / "runs" / "latest").resolve())
    assert record.ending.word == "invalid" and (record.folder / "steps.txt").exists()


def test_a_run_that_did_not_fail_has_nothing_to_shrink(failing: Path, tmp_path: Path) -> None:
    done = harness(
        *("run", "--runtime", "sim", "--nemesis", "none", "--time-limit", "1"), cwd=tmp_path
    )
    assert done.returncode == 0
    done = harness("shrink", "runs/latest", cwd=tmp_path)
    assert done.returncode == 2 and "nothing to shrink: the run is valid" in done.stderr


def test_a_run_that_fails_no_more_is_not_called_small(failing: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(failing, folder)
    plan = (folder / "plan.json").read_text()
    assert plan.count('"local-read-leader"') == 1
    (folder / "plan.json").write_text(plan.replace('"local-read-leader"', ""))
    done = harness("shrink", str(folder), "--time", "30", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "does not fail here any more" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.netns
@pytest.mark.timeout(240)
def test_on_real_nodes_the_confidence_is_stated(failing: Path, tmp_path: Path) -> None:
    need("netns")
    folder = tmp_path / "run"
    shutil.copytree(failing, folder)
    record = load_run(folder)
    assert record.plan is not None
    done = harness("shrink", str(failing), "--time", "40", "--json", cwd=tmp_path)
    small = tmp_path / last_json(done)["run"]
    text = (small / "plan.json").read_text()
    (small / "plan.json").write_text(text.replace('"sim"', '"netns"'))
    done = harness("shrink", str(small), "--time", "0", "--json", cwd=tmp_path, timeout_s=200)
    found, tried = last_json(done)["confirmed"]
    assert tried == 5 and 0 <= found <= 5
    assert f"It failed in {found}/5 (" in done.stdout
