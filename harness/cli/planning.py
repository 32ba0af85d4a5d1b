"""From what was typed to a plan: every decision that can be made before the start is made here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from harness.check.checkers import TRACED
from harness.cli import registry
from harness.cli.versions import versions
from harness.core.cluster import Runtime
from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.faults import FaultStep
from harness.core.plan import Plan, RunSpec, node_names
from harness.core.protocols import (
    BringsPrograms,
    HasChoices,
    HasClockFile,
    HasCompaction,
    HasFunctions,
    HasMembership,
    HasNeeds,
    HasTrace,
    HasTransfer,
    Nemesis,
    Program,
    Target,
    TargetOptions,
    Workload,
    WorkloadOptions,
    capability_of,
    programs_of,
)
from harness.core.rng import derive
from harness.core.simulation import BringsLoop, Simulable
from harness.core.units import SECOND
from harness.engine import Parts
from harness.runtime import programs
from nemesis.schedule import thinned

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
    """All nemeses' steps by time, as many as may be in force at once.

    Each family draws from a stream of its own.
    """
    steps: list[FaultStep] = []
    duration_ns = round(spec.time_limit_s * SECOND)
    for name in spec.nemeses:
        family, narrowing = split(name)
        rng = derive(spec.seed, f"nemesis/{family}")
        names = node_names(spec.nodes)
        steps += nemeses[family].plan(rng, names, duration_ns, narrowing, spec.intensity)
    return thinned(derive(spec.seed, "schedule"), steps, spec.intensity)


def make_plan(
    spec: RunSpec, picked: Picked, nemeses: Mapping[str, Nemesis], target: Target
) -> Plan:
    """The spec made concrete.

    Raises:
        EnvironmentFailure: the runtime cannot do one of the faults, or not with this target;
            nothing was started.
    """
    workload = make_workload(spec)
    can_call(workload, target)
    can_do(picked, nemeses, target, spec.nemeses)
    return Plan(
        spec=spec,
        runtime=picked.runtime.name,
        nodes=node_names(spec.nodes),
        schedule=make_schedule(spec, nemeses),
        versions=versions() | program_versions(picked.runtime, target),
        notes=(f"runtime {picked.why}",),
        checkers=chosen_checkers(workload, target),
    )


def chosen_checkers(workload: Workload, target: Target) -> tuple[str, ...]:
    """The workload's checks, without those of traces when the target writes none."""
    traced = isinstance(target, HasTrace)
    return tuple(name for name in workload.checkers if traced or name not in TRACED)


def can_call(workload: Workload, target: Target) -> None:
    """Nothing, if the target has all functions that the workload calls.

    Raises:
        EnvironmentFailure: it lacks some; the message names them, and the workloads that work.
    """
    if not isinstance(target, HasFunctions):
        return
    lacks = sorted(workload.functions - target.functions)
    if lacks:
        able = [
            name
            for name in registry.found("workloads")
            if registry.load("workloads", name).functions <= target.functions
        ]
        use = f"use --workload {' or '.join(able)}" if able else "no workload here can test it"
        raise EnvironmentFailure(
            f"workload {workload.name} calls {', '.join(lacks)}, which target {target.name} does "
            f"not have: {use}"
        )


def can_do(
    picked: Picked, nemeses: Mapping[str, Nemesis], target: Target, names: Iterable[str] = ()
) -> None:
    """Nothing, if the runtime can run the target and do every fault to it.

    ``names`` are the nemeses as they were asked for, with their narrowings.

    Raises:
        EnvironmentFailure: it cannot; the message says what, why, and what to do instead.
    """
    runtime, simulated = picked.runtime, isinstance(picked.runtime, BringsLoop)
    if simulated and not isinstance(target, Simulable):
        raise EnvironmentFailure(
            f"target {target.name} has no simulated server: use --runtime docker or netns"
        )
    for program in programs_of(target):
        missing = lacking_program(runtime, program)
        if missing:
            raise EnvironmentFailure(f"target {target.name}: {missing}")
    narrowings = dict(map(split, names))
    for name, nemesis in nemeses.items():
        narrowing = narrowings.get(name)
        lacks = _lacking(runtime, nemesis, target, narrowing)
        if lacks == KERNEL_CLOCK:
            others = ",".join(other for other in nemeses if other != name) or "pause"
            lacks = f"servers of {target.name} {lacks}, so leave it out: --nemesis {others}"
        if lacks:
            able = [
                f"{name}:{other}"
                for other in (nemesis.needs if isinstance(nemesis, HasNeeds) else ())
                if _lacking(runtime, nemesis, target, other) is None
            ]
            instead = f"; use {' or '.join(able)} instead" if able else ""
            asked = f"{name}:{narrowing}" if narrowing else name
            raise EnvironmentFailure(f"nemesis {asked} cannot work here: {lacks}{instead}")


OPERATED: Mapping[str, tuple[type, str]] = {
    "membership": (HasMembership, "its members cannot be changed"),
    "transfer": (HasTransfer, "its leader cannot be asked to hand over"),
    "snapshot": (HasCompaction, "its nodes cannot be asked for a snapshot"),
}
"""Capabilities that a target has to have; why it cannot, where it does not."""

KERNEL_CLOCK = "read the kernel's clock, which is one for all nodes"


def _lacking(
    runtime: Runtime, nemesis: Nemesis, target: Target, narrowing: str | None = None
) -> str | None:
    """Why a nemesis cannot work on a target where it runs; None when it can."""
    simulated = isinstance(runtime, BringsLoop)
    if nemesis.capability == "clock" and not (simulated or isinstance(target, HasClockFile)):
        return KERNEL_CLOCK
    if nemesis.capability in OPERATED:
        has, why = OPERATED[nemesis.capability]
        if not isinstance(target, has):
            return f"target {target.name}: {why} by its adapter, so leave this nemesis out"
    return runtime.lacks(capability_of(nemesis, narrowing))


def with_all(spec: RunSpec) -> RunSpec:
    """The spec with ``all`` among its nemeses replaced by every family that can work.

    Raises:
        UsageError, EnvironmentFailure: the target or the runtime cannot be had.
    """
    if "all" not in spec.nemeses:
        return spec
    target, picked = make_target(spec), pick_runtime(spec.runtime)
    named = {split(name)[0] for name in spec.nemeses}
    able = [
        family
        for family in registry.found("nemeses")
        if family not in named
        and _lacking(picked.runtime, registry.nemesis(family), target) is None
    ]
    kept = tuple(name for name in spec.nemeses if name != "all")
    return replace(spec, nemeses=(*kept, *sorted(able)))


def lacking_program(runtime: Runtime, program: Program) -> str | None:
    """Why nodes cannot have a program, and what to do; None when they can."""
    if isinstance(runtime, BringsPrograms):
        return runtime.lacks_program(program)
    return programs.missing(program)


def program_versions(runtime: Runtime, target: Target) -> dict[str, str]:
    """Of the programs that nodes run, as far as they can be known before."""
    found = {
        program.name: runtime.program_version(program)
        if isinstance(runtime, BringsPrograms)
        else programs.version(program)
        for program in programs_of(target)
    }
    return {name: number for name, number in found.items() if number is not None}


def make_target(spec: RunSpec) -> Target:
    """The system under test.

    Raises:
        UsageError: unknown target, unknown bug, or options that do not fit.
    """
    kind = registry.load("targets", spec.target)
    options = TargetOptions(
        bugs=spec.bugs,
        election_timeout_ms=spec.election_timeout_ms,
        seed=spec.seed,
        choices=made_choices(spec, kind.choices if isinstance(kind, HasChoices) else {}),
    )
    made: Target = kind(options)
    return made


def made_choices(spec: RunSpec, offered: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    """A value for every option that is offered: the default, if none was given.

    Raises:
        UsageError: an option that is not offered, a value that it does not take, or one twice.
    """
    given: dict[str, str] = {}
    for option in spec.options:
        name, equals, value = option.partition("=")
        if name in given:
            raise UsageError(f"--option {name} is given twice")
        if name not in offered:
            known = ", ".join(offered) or "none"
            raise UsageError(f"target {spec.target} has no option {name!r} (there are: {known})")
        if not equals or value not in offered[name]:
            known = ", ".join(f"{name}={item}" for item in offered[name])
            raise UsageError(f"unknown --option {option!r} (there are: {known})")
        given[name] = value
    return {name: values[0] for name, values in offered.items()} | given


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
