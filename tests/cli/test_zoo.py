"""The score on seeded bugs: found where it is easy, and the control is clean on the same seeds."""

from __future__ import annotations

import json
import os
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from harness import check
from harness.cli import registry
from harness.cli.zoo import MIXES, WORKLOADS
from harness.core.protocols import HoldsBack
from harness.core.trials import Share
from nemesis import params
from target.bugs import BUGS
from tests.cli.commands import harness, start, until

QUICK = ("zoo", "--nodes", "3", "--time-limit", "8", "--seeds", "3")


def scores(folder: Path) -> list[dict[str, Any]]:
    data: dict[str, Any] = json.loads((folder / "zoo.json").read_text())
    found: list[dict[str, Any]] = data["scores"]
    return found


def test_an_easy_bug_is_found_and_the_control_is_clean(tmp_path: Path) -> None:
    done = harness(
        *QUICK, "--bug", "1", "--nemesis", "partition", "--workload", "set", cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    control, bug = scores(tmp_path / "zoo")
    assert (control["bug"], control["found"], control["tried"]) == (None, 0, 3)
    assert (bug["bug"], bug["tried"]) == ("early-ack", 3)
    assert bug["found"] >= 1 and bug["found_by"]["majority-commit"] >= 1
    assert [run["seed"] for run in bug["runs"]] == [run["seed"] for run in control["runs"]]
    assert f"control: {Share(0, 3)} runs cried wolf" in done.stdout
    assert "bugs: 1 of 1 found, 1 by clients alone" in done.stdout
    table, page = (tmp_path / "zoo" / name for name in ("zoo.md", "zoo.html"))
    assert "| 1 | early-ack | partition | set |" in table.read_text()
    assert "early-ack" in page.read_text()
    # Its command finds it again, the same.
    again = harness(*shlex.split(bug["command"])[1:], cwd=tmp_path)
    assert again.returncode == 1
    first = next(run for run in bug["runs"] if run["word"] == "invalid")
    assert f"seed {first['seed']} " in again.stdout


def test_a_bug_that_is_missed_is_told(tmp_path: Path) -> None:
    """Nothing hurts the cluster, so a vote that was never written does no harm."""
    done = harness(
        *QUICK,
        "--bug",
        "vote-not-persisted",
        "--nemesis",
        "none",
        "--workload",
        "set",
        cwd=tmp_path,
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "0 of 1 found, 0 by clients alone; not found: vote-not-persisted" in done.stdout
    assert 'class="missed"' in (tmp_path / "zoo" / "zoo.html").read_text()


def test_seeds_draw_with_swarm(tmp_path: Path) -> None:
    mix = ("--nemesis", "partition,kill,pause", "--swarm", "--control-only")
    done = harness(*QUICK, *mix, cwd=tmp_path)
    assert done.returncode in (0, 4), done.stdout + done.stderr
    (control,) = scores(tmp_path / "zoo")
    assert control["workload"] == "drawn" and control["found"] == 0


def test_interrupted_it_keeps_the_cells_that_are_done(tmp_path: Path) -> None:
    arguments = ("--bug", "1", "--nemesis", "partition", "--seeds", "4", "--time-limit", "8")
    zoo = start("zoo", *arguments, cwd=tmp_path)
    until((tmp_path / "zoo" / "zoo.html").exists, 60, "a cell is done")
    os.kill(zoo.pid, signal.SIGINT)
    output, _ = zoo.communicate(timeout=60)
    assert zoo.returncode == 130, output
    assert "Traceback" not in output
    assert 1 <= len(scores(tmp_path / "zoo")) < 8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--bug", "gremlins"), "gremlins"),
        (("--nemesis", "earthquake"), "unknown nemesis"),
        (("--workload", "tetris"), "unknown workload"),
        (("--runtime", "cloud"), "unknown runtime"),
    ],
)
def test_wrong_choices_are_told_in_a_line(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    done = harness("zoo", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_mixes_know_nothing_of_the_bugs() -> None:
    """Only whole families, or what is done by name alone; and no nemesis names a bug."""
    for family, _, narrowing in (
        name.partition(":") for mix in MIXES.values() for name in mix.nemeses
    ):
        if narrowing:
            nemesis = registry.nemesis(family)
            assert isinstance(nemesis, HoldsBack) and narrowing in nemesis.only_named
    assert len(WORKLOADS) == 4
    sources = [
        *Path(params.__file__).parent.glob("*.py"),
        *Path(check.__file__).parent.rglob("*.py"),
    ]
    text = "\n".join(path.read_text() for path in sources)
    assert not [bug.name for bug in BUGS if f'"{bug.name}"' in text]


def test_a_mix_keeps_its_nemeses_and_draws_the_rest(tmp_path: Path) -> None:
    done = harness(
        *("zoo", "--mix", "leaders", "--bug", "23", "--seeds", "2", "--time-limit", "5"),
        cwd=tmp_path,
    )
    assert done.returncode in (0, 4), done.stdout + done.stderr
    control, bug = scores(tmp_path / "zoo")
    assert (control["mix"], control["workload"]) == ("leaders", "drawn")
    assert bug["nemeses"] == ["churn", "partition", "kill"]
    if bug["command"]:
        assert "--intensity brutal" in bug["command"]
    table = (tmp_path / "zoo" / "zoo.md").read_text()
    assert "| 23 | dirty-read | leaders | drawn |" in table
