"""What a plan owes to its target: options, programs, and only checks that can tell something."""

from __future__ import annotations

import pytest

from harness.check.checkers import TRACED
from harness.cli import planning
from harness.cli.planning import Picked
from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.plan import RunSpec
from harness.core.protocols import Program, TargetOptions
from harness.runtime.netns import NetnsRuntime
from harness.runtime.sim import SimRuntime

RAFT, ETCD = RunSpec(nemeses=()), RunSpec(target="etcd", nemeses=())


class Anywhere(NetnsRuntime):
    """A runtime that has every fault and brings programs by itself, or does not."""

    def __init__(self, lacks: str | None = None) -> None:
        self.reason = lacks

    def lacks(self, capability: str) -> str | None:
        return None

    def lacks_program(self, program: Program) -> str | None:
        return self.reason

    def program_version(self, program: Program) -> str | None:
        return "9.9" if self.reason is None else None


def test_checks_of_traces_are_for_targets_that_write_them() -> None:
    raft = planning.make_plan(RAFT, Picked(SimRuntime(), ""), {}, planning.make_target(RAFT))
    etcd = planning.make_plan(ETCD, Picked(Anywhere(), ""), {}, planning.make_target(ETCD))
    assert etcd.checkers == ("linearizable",)
    assert set(raft.checkers) == {"linearizable", *TRACED}
    assert etcd.versions["etcd"] == "9.9"


def test_a_program_that_nodes_cannot_have() -> None:
    picked = Picked(Anywhere("not to be had"), "")
    with pytest.raises(EnvironmentFailure, match="target etcd: not to be had"):
        planning.can_do(picked, {}, planning.make_target(ETCD))
    planning.can_do(picked, {}, planning.make_target(RAFT))


def test_a_clock_that_is_the_kernels_cannot_be_skewed() -> None:
    picked, nemeses = Picked(Anywhere(), ""), planning.make_nemeses(("clock", "kill", "slow"))
    with pytest.raises(EnvironmentFailure, match=r"nemesis clock cannot .*--nemesis kill,slow$"):
        planning.can_do(picked, nemeses, planning.make_target(ETCD))
    planning.can_do(picked, nemeses, planning.make_target(RAFT))


class Half(Anywhere):
    """Nothing is rejected, no descriptor limited, and no message seen."""

    def lacks(self, capability: str) -> str | None:
        return "not allowed" if capability in ("reject", "files", "resources", "message") else None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resources", "nemesis resources cannot work here: not allowed; use resources:cpu or "),
        ("resources:files", "nemesis resources:files cannot work here: not allowed; use resources"),
        ("partition:reject", "nemesis partition:reject cannot work here: not allowed$"),
        ("churn:message", "churn:message cannot work here: not allowed; use churn:cut or churn:ki"),
        ("churn", None),
        ("churn:cut", None),
        ("resources:cpu", None),
        ("resources:io", None),
        ("partition", None),
    ],
)
def test_a_narrowing_needs_more_or_less_than_its_family(name: str, words: str | None) -> None:
    spec = RunSpec(nemeses=(name,))
    picked, nemeses = Picked(Half(), ""), planning.make_nemeses(spec.nemeses)
    if words is None:
        planning.make_plan(spec, picked, nemeses, planning.make_target(spec))
        return
    with pytest.raises(EnvironmentFailure, match=words):
        planning.make_plan(spec, picked, nemeses, planning.make_target(spec))


def test_functions_that_a_target_does_not_have() -> None:
    class Small(type(planning.make_target(RAFT))):  # type: ignore[misc]
        name = "small"
        functions = frozenset({"read", "write", "cas", "generate"})

    target = Small(TargetOptions())
    for workload in ("register", "cas-register", "unique-ids"):
        planning.can_call(planning.make_workload(RunSpec(workload=workload)), target)
    bank = planning.make_workload(RunSpec(workload="bank"))
    with pytest.raises(EnvironmentFailure) as refused:
        planning.can_call(bank, target)
    assert str(refused.value) == (
        "workload bank calls open, snapshot, transfer, which target small does not have: "
        "use --workload cas-register or register or unique-ids"
    )


def test_no_simulated_server() -> None:
    with pytest.raises(EnvironmentFailure, match="etcd has no simulated server"):
        planning.can_do(Picked(SimRuntime(), ""), {}, planning.make_target(ETCD))


def test_options_have_defaults_and_known_values() -> None:
    offered = {"reads": ("safe", "fast"), "disk": ("real",)}
    made = planning.made_choices(RunSpec(options=("reads=fast",)), offered)
    assert made == {"reads": "fast", "disk": "real"}
    for wrong in ("reads", "reads=", "reads=slow", "writes=fast"):
        with pytest.raises(UsageError, match="option"):
            planning.made_choices(RunSpec(options=(wrong,)), offered)
