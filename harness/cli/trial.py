"""One run among many: prepared as every run is, not shown, and told as a line of figures."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.check.checkers import CHECKERS, TRACED
from harness.cli import planning
from harness.cli.session import run_quietly
from harness.core.errors import HarnessError
from harness.core.plan import Plan, RunSpec
from harness.core.run import RunRecord
from harness.core.simulation import BringsLoop
from harness.core.trials import Tried
from harness.core.verdict import Verdict
from harness.engine import Parts
from harness.engine.scripts import Scripted


def prepare(spec: RunSpec) -> tuple[Plan, Parts]:
    """Makes everything that a spec names; nothing is started or written.

    Raises:
        UsageError: a name that is not known, or choices that do not fit each other.
        EnvironmentFailure: it cannot be done on this machine.
    """
    target = planning.make_target(spec)
    planning.make_workload(spec)
    nemeses = planning.make_nemeses(spec.nemeses)
    # A schedule that cannot be made is told before a machine that lacks something.
    planning.make_schedule(spec, nemeses)
    picked = planning.pick_runtime(spec.runtime)
    plan = planning.make_plan(spec, picked, nemeses, target)
    return plan, planning.make_parts(spec, picked, nemeses, target)


def parts_of(plan: Plan) -> Parts:
    """The parts of a plan that was made before, on the runtime that it was made for.

    Raises:
        UsageError: something in it is not known here, or does not fit.
        EnvironmentFailure: its runtime does not work here, or lacks one of its faults.
    """
    spec = plan.spec
    target = planning.make_target(spec)
    nemeses = planning.make_nemeses(spec.nemeses)
    picked = planning.pick_runtime(plan.runtime)
    planning.can_do(picked, nemeses, target, spec.nemeses)
    parts = planning.make_parts(spec, picked, nemeses, target)
    if plan.script is not None:
        parts = replace(parts, workload=Scripted(plan.script, parts.workload))
    return parts


def is_simulated(parts: Parts) -> bool:
    """Whether a run touches nothing outside its process, and is the same each time."""
    return isinstance(parts.runtime, BringsLoop)


def found_by(record: RunRecord) -> tuple[str, ...]:
    """The checks that found a violation."""
    return tuple(item.checker for item in record.results if item.verdict is Verdict.INVALID)


def found_ns(record: RunRecord) -> int | None:
    """When the violation was certain, in run nanoseconds: at its end, if no check says when."""
    bad = [item for item in record.results if item.verdict is Verdict.INVALID]
    if not bad:
        return None
    times = [it.at_ns for item in bad for it in item.anomalies if it.at_ns is not None]
    if record.noticed is not None:
        times.append(record.noticed.noticed_ns)
    return min(times, default=record.duration_ns)


def told(record: RunRecord, spec: RunSpec, wall_s: float) -> Tried:
    """A record as one run of many."""
    how = record.ending
    return Tried(
        spec=spec,
        word=how.word,
        exit_code=how.exit_code,
        sentence=how.sentence,
        found_by=found_by(record),
        found_ns=found_ns(record),
        virtual_s=record.duration_ns / 1e9,
        wall_s=wall_s,
        digest=record.digest,
        outside=any(name in CHECKERS and name not in TRACED for name in found_by(record)),
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """Runs a spec in a folder of its own in ``scratch``, and keeps nothing of it.

    An object, so that it can be sent to another process; whoever made ``scratch`` removes what a
    process that was killed left there.
    """

    scratch: Path

    def __call__(self, spec: RunSpec) -> Tried:
        """The run's figures. What cannot be prepared is a run that failed, not an error."""
        with TemporaryDirectory(dir=self.scratch) as folder:
            try:
                plan, parts = prepare(spec)
                # A simulated run only computes: whatever else the machine does is not its own.
                clock = time.process_time if is_simulated(parts) else time.perf_counter
                began = clock()
                record = run_quietly(plan, parts, Path(folder))
            except HarnessError as error:
                return Tried(spec, error.exit_code.name.lower(), error.exit_code, str(error))
            return told(record, spec, clock() - began)
