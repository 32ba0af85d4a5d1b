"""Bad input: one clear line, the right exit code, never a traceback, nothing started or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import harness

WRONG = [
    (["run", "--nemesis", "earthquake"], "unknown nemesis 'earthquake'"),
    (["run", "--nemesis", "partition:sideways"], "unknown nemesis 'partition:sideways'"),
    (["run", "--nemesis", "kill,kill"], "named twice"),
    (["run", "--nodes", "0"], "--nodes"),
    (["run", "--nodes", "many"], "--nodes"),
    (["run", "--rate", "fast"], "--rate"),
    (["run", "--rate", "-1"], "--rate"),
    (["run", "--time-limit", "soon"], "not a time: 'soon'"),
    (["run", "--time-limit", "0"], "--time-limit"),
    (["run", "--time-limit", "1"], "too short"),
    (["run", "--workload", "tetris"], "unknown workload 'tetris'"),
    (["run", "--target", "oracle"], "unknown target 'oracle'"),
    (["run", "--runtime", "cloud"], "unknown runtime 'cloud'"),
    (["run", "--bug", "gremlins"], "gremlins"),
    (["run", "--election-timeout", "100,150,200", "--nodes", "5"], "election"),
    (["run", "--election-timeout", "quick"], "not milliseconds"),
    (
        ["run", "--option", "reads=fast"],
        "target raft has no option 'reads' (there are: snapshot-entries, batch-entries, sessions)",
    ),
    (["run", "--target", "etcd", "--option", "reads"], "unknown --option 'reads'"),
    (["run", "--target", "etcd", "--option", "reads=fast"], "reads=serializable"),
    (
        ["run", "--target", "etcd", *("--option", "reads=serializable") * 2],
        "--option reads is given twice",
    ),
    (["run", "--target", "etcd", "--bug", "early-ack"], "target etcd has no seeded bugs"),
    (["run", "--nodes", "1", "--nemesis", "partition"], "partition"),
    (["run", "--config", "nowhere.toml"], "nowhere.toml"),
    (["run", "--frobnicate"], "--frobnicate"),
    (["check"], "PATH"),
    (["check", "nowhere.jsonl"], "nowhere.jsonl"),
    (["check", "."], "not the folder of a run"),
    (["report", "."], "not the folder of a run"),
    (["dance"], "dance"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(it[0]) for it in WRONG])
def test_one_line_and_exit_code_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = harness(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) <= 2, done.stderr
    assert lines[0].startswith("harness: ")
    assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodez = 3", "unknown key 'nodez'"),
        ("nodes = ", "not TOML"),
        ('nodes = "some"', "--nodes"),
        ('rate = "fast"', "--rate"),
    ],
)
def test_a_wrong_configuration_file(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(text)
    done = harness("run", "--config", "run.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr and len(done.stderr.strip().splitlines()) <= 2


def test_no_engine_is_an_environment_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    done = harness("run", "--runtime", "docker", cwd=tmp_path)
    assert done.returncode == 5
    assert "docker" in done.stderr.lower() and "--runtime netns" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


def test_without_arguments_there_is_a_short_help(tmp_path: Path) -> None:
    done = harness(cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) <= 10
    for command in ("harness run", "harness check", "harness doctor"):
        assert command in done.stdout


def test_a_folder_that_cannot_be_written_is_an_environment_failure(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    done = harness("run", "--nemesis", "none", "--time-limit", "1", cwd=tmp_path)
    assert done.returncode == 5, done.stdout + done.stderr
    assert "runs" in done.stderr and len(done.stderr.strip().splitlines()) == 1
