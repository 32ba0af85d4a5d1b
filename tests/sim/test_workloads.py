"""Each workload's own checks find a seeded bug, and find nothing where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.session import run_quietly
from harness.cli.trial import prepare
from harness.core.plan import RunSpec
from harness.core.verdict import Verdict
from workloads import INSIDE

CASES = [
    ("cas-register", "quorum-off-by-one", "partition:leader-minority", 0),
    ("queue", "early-ack", "partition:leader", 0),
    ("lock", "quorum-off-by-one", "partition", 0),
    ("bank", "local-read-leader", "partition:leader", 3),
    ("unique-ids", "quorum-off-by-one", "partition", 0),
]


def verdicts(spec: RunSpec, folder: Path) -> dict[str, Verdict]:
    plan, parts = prepare(spec)
    names = [name for name in parts.workload.checkers if name not in INSIDE]
    record = run_quietly(plan, parts, folder, checkers=names)
    return {result.checker: result.verdict for result in record.results}


@pytest.mark.parametrize(("workload", "bug", "nemesis", "seed"), CASES)
def test_a_bug_is_found(workload: str, bug: str, nemesis: str, seed: int, tmp_path: Path) -> None:
    clean = RunSpec(
        workload=workload, nemeses=(nemesis,), runtime="sim", time_limit_s=10, seed=seed
    )
    found = verdicts(
        RunSpec(
            workload=workload,
            nemeses=(nemesis,),
            runtime="sim",
            time_limit_s=20,
            seed=seed,
            bugs=(bug,),
            keep_going=True,
        ),
        tmp_path / "bug",
    )
    assert Verdict.INVALID in {it for name, it in found.items() if name != "liveness"}
    assert set(verdicts(clean, tmp_path / "clean").values()) == {Verdict.VALID}
