"""``harness replay``: the same plan again, and where it went another way."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import click

from harness.cli.meter import say
from harness.cli.session import run_once
from harness.cli.trial import is_simulated, parts_of
from harness.cli.versions import changed
from harness.core.errors import UsageError
from harness.core.operations import Operation
from harness.core.plan import Plan
from harness.core.run import RunRecord
from harness.core.trials import Share
from harness.core.values import show
from harness.core.verdict import ExitCode, worst_exit
from harness.engine.scripts import Divergence, divergence, script_of
from harness.store import digest, load_run
from reports.words import instant, path_words


@dataclass(frozen=True, slots=True)
class Replayed:
    """A run made again. ``why`` is empty when it is the same, to the byte where that can be."""

    record: RunRecord
    same: bool
    why: tuple[str, ...]
    exit_code: ExitCode


@click.command("replay")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--trials",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Again so many times: on real nodes no two runs are the same.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The last line is one JSON object.")
def replay_command(run: Path, trials: int, out: Path, as_json: bool) -> int:
    """Run the plan of RUN (its folder) again: faults, calls and seed are the same.

    In simulation the record is the same to the byte, or it is said why not. On real nodes it is
    said where the outcome went another way first, and in how many trials a violation was found.
    """
    then = load_run(run)
    plan = plan_of(then)
    simulated = is_simulated(parts_of(plan))
    if not simulated and plan.script is None:
        plan = replace(plan, script=script_of(plan, then.history))
    done: list[Replayed] = []
    for _ in range(trials):
        record = run_once(plan, parts_of(plan), out)
        done.append(_compared(then, record, plan, simulated=simulated))
        say("")
        for words in done[-1].why:
            say(words)
        if record.ending.exit_code is ExitCode.INTERRUPTED:
            break
    share = Share(sum(it.record.ending.exit_code is ExitCode.VIOLATION for it in done), len(done))
    if trials > 1:
        say(f"A violation was found in {share} of the trials; then: {then.ending.word}.")
    codes = [item.exit_code for item in done]
    code = codes[-1] if codes[-1] is ExitCode.INTERRUPTED else worst_exit(codes)
    if as_json:
        click.echo(_json_line(done, share, code))
    return code


def plan_of(record: RunRecord) -> Plan:
    """The plan of a run.

    Raises:
        UsageError: it has none, or nothing was called in it.
    """
    if record.plan is None:
        raise UsageError(f"{record.folder}: it has no plan.json, so there is nothing to run again")
    if not record.history.operations:
        raise UsageError(
            f"{record.folder}: nothing was called in it: run it again with its command"
        )
    return record.plan


def _compared(then: RunRecord, now: RunRecord, plan: Plan, *, simulated: bool) -> Replayed:
    code = now.ending.exit_code
    if simulated and code is not ExitCode.INTERRUPTED:
        return _same_bytes(then, now, plan)
    first = divergence(plan, then.history, now.history)
    if first is None:
        return Replayed(now, True, ("Every call was answered as it was then.",), code)
    verdicts = f"then {then.ending.word}, now {now.ending.word}"
    return Replayed(now, False, (f"{divergence_words(first)} ({verdicts})",), code)


def _same_bytes(then: RunRecord, now: RunRecord, plan: Plan) -> Replayed:
    code = now.ending.exit_code
    before = digest(then.folder)
    if before == now.digest:
        return Replayed(now, True, (f"The same run, to the byte: digest {before}.",), code)
    first = divergence(plan, then.history, now.history, exact=True)
    where = "the calls are the same, faults or traces are not"
    if first is not None:
        where = divergence_words(first)
    why = [f"Not the same bytes (digest {before[:12]}… then, {now.digest[:12]}… now): {where}"]
    if then.ending.word in ("interrupted", "environment", "internal"):
        why.append(f"That run was cut off ({then.ending.word}), so it is a part at most.")
        return Replayed(now, False, tuple(why), code)
    others = changed(then.plan.versions if then.plan else {})
    if others:
        why.append(f"They were made by different versions: {'; '.join(others)}.")
        return Replayed(now, False, tuple(why), code)
    if then.digest and then.digest != before:
        why.append("The folder is not as it was when it was judged: its files were changed since.")
        return Replayed(now, False, tuple(why), code)
    why.append("The same versions made both: a bug of the harness, please report it.")
    return Replayed(now, False, tuple(why), worst_exit((code, ExitCode.INTERNAL)))


def divergence_words(first: Divergence) -> str:
    """``client 3 at n2 went another way first: read k5 → 3 at 2.100 s then, → 4 at … now``."""
    known = first.then or first.now
    node = "" if known is None or known.node is None else f" at {known.node}"
    who = "a final read" if first.client is None else f"client {first.client}"
    then, now = _called(first.then), _called(first.now)
    return f"{who}{node} went another way first: then {then}; now {now}"


def _called(item: Operation | None) -> str:
    if item is None:
        return "nothing was called"
    key = "" if item.call.key is None else f" on {show(item.call.key)}"
    how = (
        "ok" if item.outcome.value == "ok" else f"{item.outcome.value} ({item.error or 'no word'})"
    )
    return f"{item.words()}{key} at {instant(item.start)}, {how}"


def _json_line(done: list[Replayed], share: Share, code: ExitCode) -> str:
    last = done[-1]
    low, high = share.interval
    data = {
        "verdict": last.record.ending.word,
        "exit_code": int(code),
        "run": path_words(last.record.folder),
        "same": all(item.same for item in done),
        "why": list(last.why),
        "digest": last.record.digest,
        "trials": share.tried,
        "found": share.found,
        "interval": [round(low, 4), round(high, 4)],
    }
    return json.dumps(data, ensure_ascii=True)
