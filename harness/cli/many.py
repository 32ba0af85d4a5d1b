"""Many seeds over all cores, in simulation: which failed, and a run's folder of each that did."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import click

import reports
from harness.cli.campaign import Attempt as AnyAttempt
from harness.cli.campaign import campaign
from harness.cli.meter import Meter, say
from harness.cli.session import run_once, run_quietly
from harness.cli.trial import Attempt, prepare
from harness.core.plan import RunSpec
from harness.core.run import RunRecord
from harness.core.trials import Tried
from harness.core.verdict import ExitCode, worst_exit
from reports.annotations import emit
from reports.words import clean, count, counted, path_words, spec_command

FAILED = (ExitCode.VIOLATION, ExitCode.INTERNAL)
"""Endings whose seeds are run once more, for their folders."""

KEPT = 10
"""Folders that are made of seeds that failed; the others have their commands."""

LISTED = 20
"""Seeds that are named of each other ending."""


@dataclass(slots=True)
class Many:
    """What many seeds came to. ``kept`` has the runs whose folders were made, by seed."""

    tried: list[Tried] = field(default_factory=list)
    kept: dict[int, RunRecord] = field(default_factory=dict)
    strays: list[int] = field(default_factory=list)
    """Seeds whose second run was not the first: a bug of the harness."""
    interrupted: bool = False
    wall_s: float = 0.0

    @property
    def failed(self) -> list[Tried]:
        """Those that found a violation, or a bug of the harness."""
        return [item for item in self.tried if item.exit_code in FAILED]

    @property
    def exit_code(self) -> ExitCode:
        """The worst; interrupted if it was."""
        if self.interrupted:
            return ExitCode.INTERRUPTED
        codes = [item.exit_code for item in self.tried]
        codes += [ExitCode.INTERNAL for _ in self.strays]
        # A spec that a seed drew and that does not fit is the harness' own.
        return worst_exit(ExitCode.INTERNAL if it is ExitCode.USAGE else it for it in codes)

    def words(self) -> str:
        """``37 valid, 1 invalid``."""
        words = Counter(item.word for item in self.tried)
        return ", ".join(f"{count(number)} {word}" for word, number in words.most_common())


def run_many(specs: Sequence[RunSpec], out: Path, *, keep_going: bool, as_json: bool) -> ExitCode:
    """Runs every spec, stops at the first violation unless told to keep going, and tells it."""
    many = Many()
    began = time.perf_counter()
    with TemporaryDirectory(prefix="harness-") as scratch, Meter(len(specs)) as meter:
        try:
            _try_all(specs, Attempt(Path(scratch)), many, meter, keep_going=keep_going)
        except KeyboardInterrupt:
            many.interrupted = True
    many.wall_s = time.perf_counter() - began
    if not many.interrupted:
        _keep(many, out)
    _tell(many)
    emit(list(many.kept.values()), sys.stdout, os.environ)
    if as_json:
        click.echo(_json_line(many))
    return many.exit_code


def _try_all(
    specs: Sequence[RunSpec], attempt: AnyAttempt, many: Many, meter: Meter, *, keep_going: bool
) -> None:
    told = campaign(specs, attempt)
    try:
        for tried in told:
            many.tried.append(tried)
            meter.step(many.words())
            if tried.exit_code in FAILED:
                meter.line(f"seed {tried.spec.seed}: {tried.word.upper()}  {tried.sentence}")
            if tried.exit_code is ExitCode.VIOLATION and not keep_going:
                return
    finally:
        told.close()


def _keep(many: Many, out: Path) -> None:
    """Runs what failed once more, for its folder: the first is shown as a run of its own is."""
    for tried in many.failed[:KEPT]:
        plan, parts = prepare(tried.spec)
        if many.kept:
            record = run_quietly(plan, parts, out)
            reports.write(record, record.folder)
        else:
            record = run_once(plan, parts, out)
        many.kept[tried.spec.seed] = record
        if record.digest != tried.digest:
            many.strays.append(tried.spec.seed)


def _tell(many: Many) -> None:
    say("")
    virtual_s = sum(item.virtual_s for item in many.tried)
    say(
        f"{counted(len(many.tried), 'run')}: {many.words() or 'nothing was tried'}  "
        f"({virtual_s:,.0f} s of simulated time in {many.wall_s:,.1f} s)"
    )
    for tried in many.failed[:LISTED]:
        say(f"seed {tried.spec.seed}: {tried.word}, {', '.join(tried.found_by) or tried.sentence}")
        if tried.spec.seed in many.kept:
            say(f"  folder  {path_words(many.kept[tried.spec.seed].folder)}")
        say(f"  again   {spec_command(tried.spec)}")
    if len(many.failed) > LISTED:
        say(f"and {count(len(many.failed) - LISTED)} more")
    words = Counter(it.word for it in many.tried if it.exit_code not in FAILED)
    for word in sorted(set(words) - {"valid"}):
        found = [item for item in many.tried if item.word == word]
        seeds = ", ".join(str(item.spec.seed) for item in found[:LISTED])
        more = f" and {count(len(found) - LISTED)} more" if len(found) > LISTED else ""
        say(f"{word}: seeds {seeds}{more}; the first: {found[0].sentence}")
        say(f"  again   {spec_command(found[0].spec)}")
    for seed in many.strays:
        say(f"seed {seed} did not run the same way twice: a bug of the harness, please report it")


def _json_line(many: Many) -> str:
    """One object for all of them; only ASCII, so that no value can steer what shows it."""
    code = many.exit_code
    worst = next((item.word for item in many.tried if item.exit_code is code), code.name.lower())
    words = dict.fromkeys(item.word for item in many.tried)
    data = {
        "verdict": worst,
        "exit_code": int(code),
        "runs": len(many.tried),
        "seeds": {
            word: [item.spec.seed for item in many.tried if item.word == word]
            for word in words
            if word != "valid"
        },
        "failed": [
            {
                "seed": item.spec.seed,
                "sentence": item.sentence,
                "found_by": list(item.found_by),
                "found_s": None if item.found_ns is None else item.found_ns / 1e9,
                "digest": item.digest,
                "run": path_words(many.kept[item.spec.seed].folder)
                if item.spec.seed in many.kept
                else None,
                "command": clean(spec_command(item.spec)),
            }
            for item in many.failed
        ],
        "virtual_s": round(sum(item.virtual_s for item in many.tried), 3),
        "wall_s": round(many.wall_s, 3),
    }
    return json.dumps(data, ensure_ascii=True)
