"""One run, end to end: folder, engine, checks, verdict, report.

Saved after the plan, after every event, after the checks: whatever dies, what happened is kept.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import reports
from harness.check.adequacy import ending
from harness.check.checkers import CHECKERS
from harness.core.errors import HarnessError
from harness.core.events import Checked, Noted, PhaseBegan, RunEnded, RunEvent, RunStarted
from harness.core.faults import FaultRecord
from harness.core.operations import Event
from harness.core.plan import Plan
from harness.core.protocols import Limits, NodeStatus, Workload
from harness.core.run import Ending, RunRecord
from harness.core.verdict import CheckResult
from harness.engine import Outcome, Parts, conduct
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

    def begin(self, origin_ns: int) -> None:
        """Run time zero."""
        self.folder.begin(origin_ns, self.workload.model, self.workload.checkers)

    def event(self, event: Event) -> None:
        """A call or a completion."""
        self.folder.event(event)

    def fault(self, record: FaultRecord) -> None:
        """A fault began, or ended."""
        self.folder.fault(record)

    def sample(self, at_ns: int, statuses: Mapping[str, NodeStatus]) -> None:
        """What the nodes said of themselves."""
        self.folder.sample(at_ns, statuses)


def run_once(plan: Plan, parts: Parts, out: Path) -> RunRecord:
    """Runs ``plan`` and shows it; returns all that is known of it."""
    folder = RunFolder.create(out, plan.spec)
    folder.save_plan(plan)
    console = Console()
    try:
        console(RunStarted(plan, folder.path))
        outcome, trouble = _conduct(plan, parts, folder, console)
        tidy_homes(folder.nodes)
        results, how = _judge(parts.workload, folder, outcome, trouble, console)
        folder.save_ending(how, results)
        record = load_run(folder.path)
        reports.write(record, folder.path)
        console(RunEnded(how, results, folder.path))
        console.finish(record)
    finally:
        console.close()
        folder.close()
    return record


def _conduct(
    plan: Plan, parts: Parts, folder: RunFolder, console: Console
) -> tuple[Outcome, BaseException | None]:
    """Runs the engine; what ended it early comes back as the second part."""
    outcome = Outcome()
    recorder = FolderRecorder(folder, parts.workload)

    def keep(event: RunEvent) -> None:
        match event:
            case PhaseBegan(at_ns, phase):
                folder.phase(at_ns, phase)
            case Noted(_, words):
                folder.note(words)

    async def run() -> None:
        # SIGTERM means what Ctrl-C means: heal, clean up, save.
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await conduct(
            plan,
            parts,
            recorder,
            folder.nodes,
            run_id=secrets.token_hex(4),
            subscribers=(keep, console),
            outcome=outcome,
        )

    trouble: BaseException | None = None
    try:
        asyncio.run(run())
    except (KeyboardInterrupt, asyncio.CancelledError, HarnessError) as error:
        trouble = error
    except Exception as error:
        trouble = error
        (folder.path / "crash.txt").write_text(traceback.format_exc())
    folder.finish(outcome.duration_ns)
    return outcome, trouble


def _judge(
    workload: Workload,
    folder: RunFolder,
    outcome: Outcome,
    trouble: BaseException | None,
    console: Console,
) -> tuple[tuple[CheckResult, ...], Ending]:
    """Judges what is in the folder, the same bytes that `harness check` will read."""
    console(PhaseBegan(outcome.duration_ns, "check"))
    record = load_run(folder.path)
    results: list[CheckResult] = []
    if outcome.origin_ns is not None:
        evidence = load_evidence(folder.path)
        for name in workload.checkers:
            results.append(CHECKERS[name].check(evidence, Limits()))
            console(Checked(outcome.duration_ns, results[-1]))
    if outcome.liveness is not None:
        results.append(outcome.liveness)
    how = ending(record, tuple(results), trouble)
    return tuple(results), how


def tidy_homes(nodes: Path) -> None:
    """Keeps logs and traces of each node's home; lists the rest in files.txt and removes it."""
    for home in sorted(nodes.iterdir()):
        listing = []
        for path in sorted(home.rglob("*")):
            if path.is_file():
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
