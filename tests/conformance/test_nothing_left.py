"""However a run with everything on ends, the machine is afterwards as it was before."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from harness.runtime.docker import DockerRuntime
from harness.runtime.netns import NetnsRuntime
from tests.audit import audit, settled
from tests.conftest import unavailable
from tests.killing import Run, sweep

KILL, INT, TERM = signal.SIGKILL, signal.SIGINT, signal.SIGTERM
RAISES = """
from workloads.register import Register
def next_call(self, thread, given=Register.next):
    self.calls = getattr(self, "calls", 0) + 1
    if self.calls > 200:
        raise ZeroDivisionError("on purpose")
    return given(self, thread)
Register.next = next_call
"""

IMPATIENT = """
import os
from harness.runtime.wire import Agent
async def close(self, given=Agent.close):
    os.kill(os.getpid(), signal.SIGINT)
    await given(self)
Agent.close = close
"""


@pytest.fixture(params=["netns", "docker"])
def runtime(request: pytest.FixtureRequest) -> str:
    missing = {"netns": NetnsRuntime, "docker": DockerRuntime}[request.param]().missing()
    if missing:
        unavailable(missing)
    return str(request.param)


@pytest.fixture(autouse=True)
def nothing_of_earlier_runs(request: pytest.FixtureRequest) -> None:
    """Their remains would be taken for ours."""
    if "docker" in request.node.name:
        sweep("docker")


def run_on(runtime: str, out: Path, seed: int, prologue: str = "") -> Run:
    return Run(runtime, out, seed, prologue=prologue)


@pytest.mark.docker
@pytest.mark.netns
@pytest.mark.parametrize("when", ["set-up", "fault"])
def test_a_killed_harness(runtime: str, when: str, tmp_path: Path) -> None:
    before = audit("")
    run = run_on(runtime, tmp_path, 1)
    run.until(run.under_fault if when == "fault" else lambda: run.phase() == "set-up")
    run.send(KILL)
    run.process.wait()
    run.ended()
    sweep(runtime)
    assert settled(before, run.token) == []


@pytest.mark.docker
@pytest.mark.netns
@pytest.mark.parametrize("signals", [(INT,), (INT, INT), (TERM,)], ids=["int", "int-int", "term"])
def test_an_interrupted_harness(
    runtime: str, signals: tuple[signal.Signals, ...], tmp_path: Path
) -> None:
    before = audit("")
    run = run_on(runtime, tmp_path, 2)
    run.until(run.under_fault)
    run.send(*signals)
    said = run.ended()
    assert settled(before, run.token) == [], said
    assert run.process.returncode == 130, said
    assert run.folder is not None
    assert json.loads((run.folder / "verdict.json").read_text())["ending"]["word"] == "interrupted"


@pytest.mark.docker
@pytest.mark.netns
def test_a_second_interrupt_in_the_middle_of_the_cleaning_up(runtime: str, tmp_path: Path) -> None:
    before = audit("")
    run = run_on(runtime, tmp_path, 2, IMPATIENT)
    run.until(run.under_fault)
    run.send(INT)
    said = run.ended()
    assert settled(before, run.token) == [], said
    assert run.process.returncode == 130, said


@pytest.mark.docker
@pytest.mark.netns
def test_of_two_runs_one_is_killed_and_the_other_goes_on(runtime: str, tmp_path: Path) -> None:
    """Nor does it mind what is swept up behind the dead one."""
    before = audit("")
    dies = Run(runtime, tmp_path / "a", 4)
    stays = Run(runtime, tmp_path / "b", 5, nemesis="partition,kill", time_limit_s=10.0)
    try:
        for run in (dies, stays):
            run.until(run.under_fault)
        dies.send(KILL)
        dies.ended()
        sweep(runtime)
        alive = stays.process.poll() is None
        said = stays.ended()
    finally:
        for run in (dies, stays):
            run.process.kill()
    assert alive and stays.process.returncode == 0, said
    for run in (dies, stays):
        assert settled(before, run.token) == []


@pytest.mark.docker
@pytest.mark.netns
def test_a_bug_of_the_harness(runtime: str, tmp_path: Path) -> None:
    before = audit("")
    run = run_on(runtime, tmp_path, 3, RAISES)
    said = run.ended()
    assert settled(before, run.token) == [], said
    assert run.process.returncode == 70, said
