"""``harness shrink``: the least plan that still fails in the same way, as a run of its own."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

import reports
from harness.check.checkers import CHECKERS
from harness.cli.meter import say
from harness.cli.options import Time
from harness.cli.planning import split
from harness.cli.replay import plan_of
from harness.cli.session import run_quietly
from harness.cli.trial import is_simulated, parts_of
from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.plan import Plan
from harness.core.run import RunRecord
from harness.core.trials import Share
from harness.core.verdict import ExitCode, Verdict
from harness.engine.scripts import script_of
from harness.engine.shrinking import Failure, shrink
from harness.store import load_run
from reports import steps
from reports.words import counted, path_words

TRIALS = 3
"""Runs of a candidate until it counts as one that does not fail."""

CONFIRMING = 5
"""Runs of the least plan on real nodes, to say how often it fails."""


@dataclass(frozen=True, slots=True)
class Sought:
    """The violation that has to stay: which check found what kind of anomaly."""

    checker: str
    kind: str

    def found_ns(self, record: RunRecord) -> int | None:
        """When a run showed it, in run nanoseconds; None if it did not."""
        times = [
            record.duration_ns if anomaly.at_ns is None else anomaly.at_ns
            for result in record.results
            if result.checker == self.checker and result.verdict is Verdict.INVALID
            for anomaly in result.anomalies
            if anomaly.kind == self.kind
        ]
        return min(times, default=None)


class Enough(Exception):
    """Time is up, or nobody wants to wait any longer."""


@dataclass(slots=True)
class Trials:
    """Runs candidates, each with a few seeds where one run is like the next.

    Attributes:
        most: runs that may be made; 0 for as many as there is time for.
        tried: runs that were made.
        odd: candidates that could not even be prepared, or broke the harness.
    """

    sought: Sought
    scratch: Path
    until: float
    each: int = TRIALS
    most: int = 0
    tried: int = 0
    odd: int = 0
    interrupted: bool = field(default=False)

    def __call__(self, plan: Plan) -> Failure | None:
        """See :data:`harness.engine.shrinking.Trial`.

        Raises:
            Enough: no more trials.
        """
        for number in range(self.each):
            if time.monotonic() > self.until or 0 < self.most <= self.tried:
                raise Enough
            spec = replace(plan.spec, seed=plan.spec.seed + number)
            failure = self._once(replace(plan, spec=spec))
            if failure is not None:
                return failure
        return None

    def _once(self, plan: Plan) -> Failure | None:
        self.tried += 1
        # What was judged from the live cluster (does it serve again?) has no check to ask for.
        names = [self.sought.checker] if self.sought.checker in CHECKERS else []
        with TemporaryDirectory(dir=self.scratch) as folder:
            try:
                record = run_quietly(plan, parts_of(plan), Path(folder), checkers=names)
            except (UsageError, EnvironmentFailure):
                self.odd += 1
                return None
            if record.ending.exit_code is ExitCode.INTERRUPTED:
                self.interrupted = True
                raise Enough
            self.odd += record.ending.exit_code is ExitCode.INTERNAL
            at_ns = self.sought.found_ns(record)
            return None if at_ns is None else Failure(plan, at_ns, script_of(plan, record.history))


@click.command("shrink")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--time", "limit_s", type=Time(), default="60", show_default=True, help="At most.")
@click.option(
    "--trials",
    type=click.IntRange(1),
    default=TRIALS,
    show_default=True,
    help="Runs of each candidate until it counts as one that does not fail.",
)
@click.option(
    "--runs",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="At most so many in all, however fast the machine is; 0: as many as there is time for.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The last line is one JSON object.")
def shrink_command(
    run: Path, limit_s: float, trials: int, runs: int, out: Path, as_json: bool
) -> int:
    """Make the failing RUN (its folder) small: fewer faults, clients, calls, nodes, less time.

    What is left fails in the same way; it is a run of its own, and its steps are few enough to
    read. Ctrl-C ends the search and keeps the least that was found until then.
    """
    then = load_run(run)
    plan = plan_of(then)
    sought = sought_in(then)
    simulated = is_simulated(parts_of(plan))
    first = _first(then, plan, sought)
    say(f"shrinking {path_words(run)}: {sought.checker}, {sought.kind}; {_size(first)}")
    began = time.monotonic()
    with TemporaryDirectory(prefix="harness-") as scratch:
        trying = Trials(sought, Path(scratch), began + limit_s, trials, runs)
        least = _search(first, trying, began)
        if least is first and simulated and not trying.interrupted:
            _must_fail_here(first, trying)
        say(
            f"{_seconds(began)}  done: {_size(least)}; {counted(trying.tried, 'trial')}"
            + (f", {trying.odd} of them odd" if trying.odd else "")
            + ("; interrupted" if trying.interrupted else "")
        )
    record = run_again(least.plan, path_words(run), out)
    share = None if simulated else _confirm(record, sought, out)
    _tell(record, share)
    found = sought.found_ns(record) is not None
    code = record.ending.exit_code
    if trying.interrupted:
        code = ExitCode.INTERRUPTED
    elif simulated and not found:
        say("The least plan did not fail once more: a bug of the harness, please report it.")
        code = ExitCode.INTERNAL
    if as_json:
        click.echo(_json_line(record, least, trying, share, code))
    return code


def sought_in(record: RunRecord) -> Sought:
    """The violation of a run: the one that its headline is about.

    Raises:
        UsageError: there is none.
    """
    bad = [item for item in record.results if item.verdict is Verdict.INVALID and item.anomalies]
    if not bad:
        word = record.ending.word
        raise UsageError(f"{record.folder}: nothing to shrink: the run is {word}, not invalid")
    return Sought(bad[0].checker, bad[0].anomalies[0].kind)


def _first(then: RunRecord, plan: Plan, sought: Sought) -> Failure:
    plan = replace(plan, spec=replace(plan.spec, keep_going=False))
    at_ns = sought.found_ns(then)
    return Failure(plan, at_ns or 0, script_of(plan, then.history))


def _search(first: Failure, trying: Trials, began: float) -> Failure:
    """The least that is found before there was enough of it."""
    least = [first]

    def told(words: str, failure: Failure) -> None:
        least.append(failure)
        say(f"{_seconds(began)}  less of {words}: {_size(failure)}")

    with suppress(Enough):
        try:
            return shrink(first, trying, told)
        except KeyboardInterrupt:
            trying.interrupted = True
    return least[-1]


def _must_fail_here(first: Failure, trying: Trials) -> None:
    """Nothing could go. That is so for a run that this version does not fail any more, too.

    Raises:
        UsageError: it does not.
    """
    trying.until, trying.most = float("inf"), 0
    if trying(first.plan) is None:
        raise UsageError("the run does not fail here any more: `harness replay` says why")


def run_again(plan: Plan, origin: str, out: Path) -> RunRecord:
    """The least plan as a run of its own, with its steps in ``steps.txt``."""
    families = {step.fault.kind for step in plan.schedule}
    nemeses = tuple(name for name in plan.spec.nemeses if split(name)[0] in families)
    plan = replace(plan, spec=replace(plan.spec, nemeses=nemeses), shrunk_from=origin)
    record = run_quietly(plan, parts_of(plan), out)
    reports.write(record, record.folder)
    content = "\n".join(steps.lines(record)) + "\n"
    (record.folder / "steps.txt").write_text(content, encoding="utf-8")
    return record


def _confirm(record: RunRecord, sought: Sought, out: Path) -> Share:
    """How often the least plan fails on real nodes."""
    assert record.plan is not None
    found = int(sought.found_ns(record) is not None)
    for _ in range(CONFIRMING - 1):
        again = run_quietly(record.plan, parts_of(record.plan), out)
        found += sought.found_ns(again) is not None
    return Share(found, CONFIRMING)


def _tell(record: RunRecord, share: Share | None) -> None:
    say("")
    for line in steps.lines(record):
        say(line)
    say("")
    if share is not None:
        say(f"It failed in {share} of its runs.")
    say(f"report  {path_words(record.folder / 'report.html')}")
    say(f"again   harness replay {path_words(record.folder)}")


def _size(failure: Failure) -> str:
    plan = failure.plan
    script = plan.script or failure.script
    return ", ".join(
        (
            counted(len(plan.schedule), "fault"),
            counted(len(plan.nodes), "node"),
            counted(len(script.clients), "client"),
            counted(len(script.calls) + len(script.final), "call"),
            f"{plan.spec.time_limit_s:.1f} s of load",
        )
    )


def _seconds(began: float) -> str:
    return f"{time.monotonic() - began:6.1f} s"


def _json_line(
    record: RunRecord, least: Failure, trying: Trials, share: Share | None, code: ExitCode
) -> str:
    script = least.plan.script or least.script
    data = {
        "verdict": record.ending.word,
        "exit_code": int(code),
        "run": path_words(record.folder),
        "sentence": record.ending.sentence,
        "faults": len(least.plan.schedule),
        "nodes": len(least.plan.nodes),
        "clients": len(script.clients),
        "calls": len(script.calls) + len(script.final),
        "steps": len(record.history.operations) + len(record.faults),
        "trials": trying.tried,
        "confirmed": None if share is None else [share.found, share.tried],
        "digest": record.digest,
    }
    return json.dumps(data, ensure_ascii=True)
