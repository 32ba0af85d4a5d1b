"""A healed cluster that does not serve again within the bound is a verdict of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.session import run_quietly
from harness.cli.trial import prepare
from harness.core.cluster import Place
from harness.core.faults import Proof
from harness.core.plan import RunSpec
from harness.core.protocols import TargetOptions
from harness.core.run import RunRecord
from harness.core.simulation import Host, SimulatedServer
from harness.core.verdict import ExitCode, Verdict
from nemesis.signals import KillFault
from target.adapters.raft import RaftTarget
from target.adapters.simulation import SimulatedNode
from target.options import parse

SECOND = 1_000_000_000


class Deaf(SimulatedNode):
    """Runs, and does nothing."""

    def wake(self) -> None:
        pass

    def request(
        self,
        method: str,
        path: str,
        body: bytes,
        answer: Callable[[int, Mapping[str, object]], None],
    ) -> None:
        pass


class Once(RaftTarget):
    """Its servers serve; those that were killed come back as processes, and no further."""

    def __init__(self, options: TargetOptions) -> None:
        super().__init__(options)
        self.starts: dict[str, int] = {}

    def simulated(self, host: Host, rng: random.Random) -> SimulatedServer:
        self.starts[host.node] = self.starts.get(host.node, 0) + 1
        if self.starts[host.node] == 1:
            return super().simulated(host, rng)
        return Deaf(host, parse(self.server(_place(host)).argv[3:]), rng)


def _place(host: Host) -> Place:
    return Place(host.node, {node: node for node in host.nodes}, "python", "", str(host.home))


def run(out: Path, bound_s: float) -> RunRecord:
    spec = RunSpec(
        nemeses=("kill:all",),
        runtime="sim",
        nodes=3,
        time_limit_s=6,
        recovery_timeout_s=bound_s,
        seed=1,
    )
    plan, parts = prepare(spec)
    target = Once(TargetOptions(seed=spec.seed))
    return run_quietly(plan, replace(parts, target=target), out)


@pytest.mark.parametrize("bound_s", [5.0, 30.0])
def test_a_cluster_that_does_not_come_back(bound_s: float, tmp_path: Path) -> None:
    record = run(tmp_path, bound_s)
    (liveness,) = (it for it in record.results if it.checker == "liveness")
    assert liveness.verdict is Verdict.INVALID
    assert f"not serving {bound_s:.0f} s after the last heal" in liveness.reason
    assert liveness.anomalies[0].kind == "no progress after the heal"
    # Nothing else is wrong: what was acknowledged was so.
    assert {it.verdict for it in record.results if it is not liveness} == {Verdict.VALID}
    assert record.ending.exit_code is ExitCode.VIOLATION
    assert "does not serve" in record.ending.sentence
    waited = {it.name: (it.end - it.start) / SECOND for it in record.phases}
    assert bound_s <= waited["recovery"] <= bound_s + 2


def test_what_was_never_healed_need_not_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> Proof:
        return Proof(False, "the switch is stuck")

    monkeypatch.setattr(KillFault, "end", never)
    record = run(tmp_path, 5.0)
    (liveness,) = (it for it in record.results if it.checker == "liveness")
    assert liveness.verdict is Verdict.UNKNOWN
    assert "K1 could not be healed" in liveness.reason
    assert record.ending.exit_code is ExitCode.ENVIRONMENT


def test_the_bound_is_30_seconds_unless_said_otherwise() -> None:
    assert RunSpec().recovery_timeout_s == 30.0
