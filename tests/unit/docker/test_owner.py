"""Whose things they are, and whether their run is over."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.runtime.docker.owner import OWNER, RUN, Owner, is_dead, labels

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_this_process_lives() -> None:
    owner = Owner.here()
    assert owner.pid == os.getpid()
    assert Owner.parse(owner.label) == owner
    assert owner.alive() is True


def test_a_process_that_ended_is_dead() -> None:
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            "from harness.runtime.docker.owner import Owner; print(Owner.here().label)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    owner = Owner.parse(child.stdout)
    assert owner is not None
    assert owner.alive() is False


def test_a_number_given_again_is_another_process() -> None:
    assert dataclasses.replace(Owner.here(), started=1).alive() is False


def test_a_zombie_is_dead() -> None:
    with subprocess.Popen(["sleep", "30"]) as child:
        mine = Owner.here()
        text = Path(f"/proc/{child.pid}/stat").read_text()
        owner = dataclasses.replace(
            mine, pid=child.pid, started=int(text.rpartition(")")[2].split()[19])
        )
        assert owner.alive() is True
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert owner.alive() is False


@pytest.mark.parametrize("agent_runs", [True, False])
def test_where_the_process_cannot_be_seen_the_agent_tells(agent_runs: bool) -> None:
    here = Owner.here()
    for owner in (
        dataclasses.replace(here, boot="another"),
        dataclasses.replace(here, pidns="pid:[1]"),
        dataclasses.replace(here, boot=""),
    ):
        assert owner.alive() is None
        assert is_dead(labels("r", owner, "node"), agent_runs) is not agent_runs


def test_a_live_run_is_not_dead_before_its_agent_runs() -> None:
    assert not is_dead(labels("r", Owner.here(), "network"), agent_runs=False)


@pytest.mark.parametrize("label", ["", "{}", "[]", "no json", '{"boot": 1}', '{"pid": []}'])
def test_labels_that_are_not_ours(label: str) -> None:
    assert Owner.parse(label) is None
    assert is_dead({RUN: "r", OWNER: label}, agent_runs=False)
