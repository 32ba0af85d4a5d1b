"""A node that does not start is told at once, with what it said, and nothing is left running."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import planning
from harness.cli.session import run_once
from harness.core.cluster import Place, ServerSpec
from harness.core.plan import RunSpec
from harness.core.protocols import TargetOptions
from harness.core.verdict import ExitCode
from target.adapters.raft import RaftTarget
from tests.cli.commands import RUNTIMES, need


class Refusing(RaftTarget):
    """The second node finds its disk in a state that it refuses."""

    def server(self, place: Place) -> ServerSpec:
        if place.node != "n2":
            return super().server(place)
        words = "print('storage: segment 7 is corrupt'); raise SystemExit(3)"
        return ServerSpec((place.python, "-c", words))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_node_that_does_not_start(
    runtime: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need(runtime)
    spec = RunSpec(nemeses=(), runtime=runtime, nodes=3, time_limit_s=10)
    picked = planning.pick_runtime(runtime)
    target = Refusing(TargetOptions())
    plan = planning.make_plan(spec, picked, {}, target)
    parts = planning.make_parts(spec, picked, {}, target)
    record = run_once(plan, parts, tmp_path)
    assert record.ending.exit_code is ExitCode.ENVIRONMENT
    assert "n2 does not start: its log ends with: storage: segment 7 is corrupt" in (
        record.ending.sentence
    )
    assert record.duration_ns < 15e9
    output = capsys.readouterr().out
    assert "n2 does not start" in output and "Traceback" not in output
