"""Every narrowing of every family, in simulated runs: it bites and heals, and all is VALID."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import registry
from harness.cli.session import run_quietly
from harness.cli.trial import prepare
from harness.core.plan import RunSpec
from harness.core.protocols import capability_of
from harness.core.verdict import Verdict
from harness.runtime.sim import SimRuntime

NAMES = tuple(
    f"{family}:{narrowing}"
    for family in registry.found("nemeses")
    for nemesis in (registry.nemesis(family),)
    for narrowing in nemesis.narrowings
    if SimRuntime().lacks(capability_of(nemesis, narrowing)) is None
)
FORGETFUL = frozenset({"disk:truncate", "disk:torn"})
"""What no server can tell from a crash while it wrote: a clean cluster need not survive it."""


@pytest.mark.parametrize("name", NAMES)
def test_it_bites_and_heals(name: str, tmp_path: Path) -> None:
    spec = RunSpec(nemeses=(name,), runtime="sim", time_limit_s=15, rate=40, seed=1)
    plan, parts = prepare(spec)
    assert plan.schedule
    record = run_quietly(plan, parts, tmp_path)
    assert len(record.faults) == len(plan.schedule)
    for fault in record.faults:
        assert fault.bit.holds, f"{fault.words}: {fault.bit.words}"
        assert fault.healed.holds, f"{fault.words}: {fault.healed.words}"
    if name not in FORGETFUL:
        assert {it.verdict for it in record.results} == {Verdict.VALID}
