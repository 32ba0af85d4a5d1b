"""From what was typed to a plan: every decision that can be made before the start is made here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.cli import registry
from harness.cli.versions import versions
from harness.core.cluster import Runtime
from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.faults import FaultStep
from harness.core.plan import Plan, RunSpec, node_names
from harness.core.protocols import Nemesis, Target, TargetOptions, Workload, WorkloadOptions
from harness.core.rng import derive
from harness.core.units import SECOND
from harness.engine import Parts

AUTO_ORDER = ("docker", "netns", "sim")
"""What ``--runtime auto`` tries, in this order."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A runtime and, in words, why it."""

    runtime: Runtime
    why: str


def pick_runtime(name: str) -> Picked:
    """The runtime that was asked for, or with ``auto`` the first that works here.

    Raises:
        UsageError: no such runtime.
        EnvironmentFailure: it does not work here; the message says why and what to do.
    """
    if name != "auto":
        runtime = registry.runtime(name)
        missing = runtime.missing()
        if missing:
            raise EnvironmentFailure(f"runtime {name}: {missing}")
        return Picked(runtime, f"{name}, as asked")
    reasons: list[str] = []
    for candidate in AUTO_ORDER:
        runtime = registry.runtime(candidate)
        missing = runtime.missing()
        if missing is None:
            why = "; ".join([*reasons, f"{candidate} works here"])
            return Picked(runtime, f"{candidate} ({why})")
        reasons.append(f"{candidate}: {missing}")
    raise EnvironmentFailure("no runtime works here: " + "; ".join(reasons))


def split(name: str) -> tuple[str, str | None]:
    """``partition:leader`` → (``partition``, ``leader``)."""
    family, colon, narrowing = name.partition(":")
    return family, narrowing if colon else None


def make_nemeses(names: tuple[str, ...]) -> Mapping[str, Nemesis]:
    """The nemeses of a run by family name.

    Raises:
        UsageError: an unknown family or narrowing, or one family twice.
    """
    made: dict[str, Nemesis] = {}
    for name in names:
        family, narrowing = split(name)
        if family in made:
            raise UsageError(f"nemesis {family!r} is named twice")
        nemesis = registry.nemesis(family)
        if narrowing is not None and narrowing not in nemesis.narrowings:
            known = ", ".join(f"{family}:{item}" for item in nemesis.narrowings) or "none"
            raise UsageError(f"unknown nemesis {name!r} (narrowings there are: {known})")
        made[family] = nemesis
    return made


def make_schedule(spec: RunSpec, nemeses: Mapping[str, Nemesis]) -> tuple[FaultStep, ...]:
    """All nemeses' steps, merged by time. Each family draws from a stream of its own."""
    steps: list[FaultStep] = []
    duration_ns = round(spec.time_limit_s * SECOND)
    for name in spec.nemeses:
        family, narrowing = split(name)
        rng = derive(spec.seed, f"nemesis/{family}")
        steps += nemeses[family].plan(rng, node_names(spec.nodes), duration_ns, narrowing)
    return tuple(sorted(steps, key=lambda step: (step.at_ns, step.id)))


def make_plan(spec: RunSpec, picked: Picked, nemeses: Mapping[str, Nemesis]) -> Plan:
    """The spec made concrete.

    Raises:
        EnvironmentFailure: the runtime cannot do one of the faults; nothing was started.
    """
    can_do(picked, nemeses)
    return Plan(
        spec=spec,
        runtime=picked.runtime.name,
        nodes=node_names(spec.nodes),
        schedule=make_schedule(spec, nemeses),
        versions=versions(),
        notes=(f"runtime {picked.why}",),
    )


def can_do(picked: Picked, nemeses: Mapping[str, Nemesis]) -> None:
    """Nothing, if the runtime can do every fault.

    Raises:
        EnvironmentFailure: it cannot; the message says which and why.
    """
    for name, nemesis in nemeses.items():
        lacks = picked.runtime.lacks(nemesis.capability)
        if lacks:
            raise EnvironmentFailure(f"nemesis {name} cannot work here: {lacks}")


def make_target(spec: RunSpec) -> Target:
    """The system under test.

    Raises:
        UsageError: unknown target, unknown bug, or options that do not fit.
    """
    options = TargetOptions(
        bugs=spec.bugs, election_timeout_ms=spec.election_timeout_ms, seed=spec.seed
    )
    made: Target = registry.load("targets", spec.target)(options)
    return made


def make_workload(spec: RunSpec) -> Workload:
    """The workload.

    Raises:
        UsageError: there is no such workload.
    """
    options = WorkloadOptions(node_names(spec.nodes), spec.concurrency)
    made: Workload = registry.load("workloads", spec.workload)(
        derive(spec.seed, f"workload/{spec.workload}"), options
    )
    return made


def make_parts(
    spec: RunSpec, picked: Picked, nemeses: Mapping[str, Nemesis], target: Target
) -> Parts:
    """Everything the engine is handed."""
    return Parts(picked.runtime, target, make_workload(spec), nemeses)
