"""One run, end to end: folder, engine, checks, verdict, report.

Saved after the plan, after every event, after the checks: whatever dies, what happened is kept.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import reports
from harness.check.adequacy import ending
from harness.check.checkers import CHECKERS
from harness.cli.following import Follower, Inline, judged_live
from harness.cli.judging import run_checks
from harness.core.clock import Timekeeper
from harness.core.errors import HarnessError
from harness.core.events import (
    Checked,
    Noted,
    PhaseBegan,
    RunEnded,
    RunEvent,
    RunStarted,
    Subscriber,
    ViolationNoticed,
)
from harness.core.faults import FaultRecord
from harness.core.operations import Event
from harness.core.plan import Plan
from harness.core.protocols import Limits, NodeStatus, Workload
from harness.core.run import RunRecord
from harness.core.simulation import BringsLoop
from harness.core.verdict import CheckResult
from harness.engine import Outcome, Parts, conduct
from harness.runtime.disks import LISTING
from harness.store.digest import digest
from harness.store.layout import HISTORY
from harness.store.load import load_evidence, load_run
from harness.store.run import RunFolder
from reports.console import Console

KEEP = ("log.txt", "trace.jsonl")
"""What stays of a node's home; the rest is listed in files.txt and removed."""


@dataclass(frozen=True, slots=True)
class FolderRecorder:
    """The engine's recorder: the run's folder, told which model judges the history."""

    folder: RunFolder
    workload: Workload
    checkers: Sequence[str]
    watch: Follower | Inline | None = None

    def begin(self, origin_ns: int) -> None:
        """Run time zero."""
        self.folder.begin(origin_ns, self.workload.model, self.checkers)

    def event(self, event: Event) -> None:
        """A call or a completion."""
        self.folder.event(event)
        if self.watch is not None:
            self.watch.event(event)

    def fault(self, record: FaultRecord) -> None:
        """A fault began, or ended."""
        self.folder.fault(record)

    def sample(self, at_ns: int, statuses: Mapping[str, NodeStatus]) -> None:
        """What the nodes said of themselves."""
        self.folder.sample(at_ns, statuses)


def run_once(plan: Plan, parts: Parts, out: Path) -> RunRecord:
    """Runs ``plan`` and shows it; returns all that is known of it."""
    console = Console()
    try:
        record = run_quietly(plan, parts, out, console)
        reports.write(record, record.folder)
        console(RunEnded(record.ending, record.results, record.folder))
        console.finish(record)
    finally:
        console.close()
    return record


def run_quietly(
    plan: Plan,
    parts: Parts,
    out: Path,
    told: Subscriber = lambda _event: None,
    checkers: Sequence[str] | None = None,
) -> RunRecord:
    """Runs ``plan`` and judges it, without a report; only these ``checkers``, if they are given."""
    folder = RunFolder.create(out, plan.spec)
    folder.save_plan(plan)
    # A plan of an older version does not name them.
    planned = plan.checkers or parts.workload.checkers
    try:
        told(RunStarted(plan, folder.path))
        outcome, trouble = _conduct(plan, parts, folder, told, planned)
        tidy_homes(folder.nodes)
        names = planned if checkers is None else checkers
        record = _judge(names, folder, outcome, trouble, told)
        folder.save_ending(record.ending, record.results, record.digest)
    finally:
        folder.close()
    return record


def _conduct(
    plan: Plan, parts: Parts, folder: RunFolder, told: Subscriber, checkers: Sequence[str]
) -> tuple[Outcome, BaseException | None]:
    """Runs the engine; what ended it early comes back as the second part."""
    outcome = Outcome()

    def keep(event: RunEvent) -> None:
        match event:
            case PhaseBegan(at_ns, phase):
                folder.phase(at_ns, phase)
            case Noted(_, words):
                folder.note(words)
            case ViolationNoticed(_, noticed):
                folder.noticed(noticed)

    async def run() -> None:
        # SIGTERM means what Ctrl-C means: heal, clean up, save. Both only ever cancel: asyncio's
        # own answer to a second Ctrl-C is an exception wherever we happen to be, and that may be
        # in the middle of the cleaning up.
        task = asyncio.current_task()
        assert task is not None
        for number in heeded:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        watch = _watch(plan, parts.workload, folder)
        await conduct(
            plan,
            parts,
            FolderRecorder(folder, parts.workload, checkers, watch),
            folder.nodes,
            run_id=secrets.token_hex(4),
            subscribers=(keep, told),
            outcome=outcome,
            watch=watch,
        )

    trouble: BaseException | None = None
    # Who ignores Ctrl-C, as the processes of many runs do, has its reasons.
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    heeded = (signal.SIGTERM, signal.SIGINT) if usual else (signal.SIGTERM,)
    before = {number: signal.getsignal(number) for number in heeded}
    try:
        own = parts.runtime.new_loop if isinstance(parts.runtime, BringsLoop) else None
        with asyncio.Runner(loop_factory=own) as runner:
            runner.run(run())
    except (KeyboardInterrupt, asyncio.CancelledError, HarnessError) as error:
        trouble = error
    except Exception as error:
        trouble = error
        (folder.path / "crash.txt").write_text(traceback.format_exc())
    finally:
        for number, handler in before.items():  # asyncio left Python's own in their place
            signal.signal(number, handler)
    folder.finish(outcome.duration_ns)
    return outcome, trouble


def _watch(plan: Plan, workload: Workload, folder: RunFolder) -> Follower | Inline | None:
    """The search while the run goes on: in this process only where its time is simulated."""
    model = judged_live(workload)
    if model is None:
        return None
    if isinstance(asyncio.get_running_loop(), Timekeeper):
        return Inline(model, plan.spec.keep_going)
    return Follower(folder.path / HISTORY, model, plan.spec.keep_going)


def _judge(
    checkers: Sequence[str],
    folder: RunFolder,
    outcome: Outcome,
    trouble: BaseException | None,
    told: Subscriber,
) -> RunRecord:
    """Judges what is in the folder, the same bytes that `harness check` will read."""
    told(PhaseBegan(outcome.duration_ns, "check"))
    record = load_run(folder.path)
    results: tuple[CheckResult, ...] = ()
    if outcome.origin_ns is not None:
        evidence = load_evidence(folder.path, record)
        results = run_checks(
            [CHECKERS[name] for name in checkers],
            evidence,
            Limits(),
            lambda result: told(Checked(outcome.duration_ns, result)),
        )
    if outcome.liveness is not None:
        results = (*results, outcome.liveness)
    how = ending(record, results, trouble)
    return replace(record, results=results, ending=how, digest=digest(folder.path))


def tidy_homes(nodes: Path) -> None:
    """Keeps logs and traces of each node's home; lists the rest in files.txt and removes it."""
    for home in sorted(nodes.iterdir()):
        on_disk = home / LISTING
        listing = on_disk.read_text().splitlines() if on_disk.is_file() else []
        for path in sorted(home.rglob("*")):
            if path.is_file() and path != on_disk:
                listing.append(f"{path.stat().st_size:>12}  {path.relative_to(home)}")
        (home / "files.txt").write_text("\n".join(listing) + "\n")
        for path in home.iterdir():
            if path.name in (*KEEP, "files.txt"):
                continue
            with suppress(OSError):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
