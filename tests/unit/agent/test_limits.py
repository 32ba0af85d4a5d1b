"""Groups as /proc tells of them, and what dead runs left."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.agent.limits import _number, _paths
from harness.runtime.netns import groups


def test_paths_of_both_versions() -> None:
    text = "9:name=systemd:/a\n2:cpu,cpuacct:/docker/x:y\n1:memory:/\n0::/z\n"
    assert _paths(text) == {
        "name=systemd": "/a",
        "cpu": "/docker/x:y",
        "cpuacct": "/docker/x:y",
        "memory": "/",
    }


def test_numbers(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("nr_periods 9\nnr_throttled 4\n")
    (tmp_path / "memory.failcnt").write_text("7\n")
    assert _number(tmp_path, "cpu.stat", "nr_throttled") == 4
    assert _number(tmp_path, "cpu.stat", "nr_other") == 0
    assert _number(tmp_path, "memory.failcnt", "") == 7
    assert _number(tmp_path, "memory.events", "max") == 0
    assert _number(None, "cpu.stat", "nr_throttled") == 0


def test_groups_of_the_dead_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_ROOT", tmp_path)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    dead = tmp_path / "cpu" / "docker" / f"quorum-{ended.pid}-77-n1"
    alive = tmp_path / "memory" / f"quorum-{groups.owned()}-n1"
    strange = tmp_path / "memory" / "quorum-of-bees"
    top = tmp_path / f"quorum-{ended.pid}-77-n2"
    for folder in (dead, alive, strange, top):
        folder.mkdir(parents=True)
    assert set(groups.left()) == {dead, top}
    assert sorted(groups.clear()) == sorted([f"cgroup {dead}", f"cgroup {top}"])
    assert alive.exists()
    assert strange.exists()
    assert groups.clear() == []


def test_a_group_whose_killed_processes_have_not_left_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_ROOT", tmp_path)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    dead = tmp_path / "memory" / f"quorum-{ended.pid}-77-n1"
    dead.mkdir(parents=True)
    tries, remove = [], Path.rmdir

    def rmdir(path: Path) -> None:
        tries.append(path)
        if len(tries) < 3:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        remove(path)

    monkeypatch.setattr(Path, "rmdir", rmdir)
    assert groups.clear() == [f"cgroup {dead}"]
    assert tries == [dead] * 3
