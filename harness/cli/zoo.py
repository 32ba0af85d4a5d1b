"""``harness zoo``: which of the seeded bugs are found, how often, by what, and how soon.

Every cell runs the same seeds, and so does the control, which has no bug at all. The mixes of
nemeses are general: nothing in them, or in the checks, knows what it is looking for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from harness.cli.campaign import campaign
from harness.cli.meter import Meter, say
from harness.cli.options import Time
from harness.cli.swarm import swarm
from harness.cli.trial import Attempt, is_simulated, prepare
from harness.core.errors import UsageError
from harness.core.plan import RunSpec
from harness.core.trials import Score, Share, Tried
from harness.core.verdict import ExitCode
from harness.store.run import replace_file
from reports import scores
from reports.words import counted, path_words
from target.bugs import BUGS, UnknownBug, resolve

MIXES = ("partition", "kill", "partition,kill,pause", "partition,kill,pause,clock,slow,loss")
WORKLOADS = ("register", "set", "append", "counter")
DRAWN = "drawn"
"""In place of a workload where each seed draws its own."""

TITLE = "Track record on seeded bugs"


@dataclass(frozen=True, slots=True)
class Cell:
    """A bug (None: the control) under a mix and a workload, and the runs that this takes."""

    bug: str | None
    nemeses: tuple[str, ...]
    workload: str
    specs: tuple[RunSpec, ...]


@click.command("zoo")
@click.option(
    "--bug",
    "bugs",
    multiple=True,
    default=("all",),
    show_default=True,
    help="A name or a number (harness list bugs), as often as there are, or all.",
)
@click.option("--runtime", default="sim", show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=20, show_default=True, help="Of a cell.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first.")
@click.option(
    "--nemesis",
    "mixes",
    multiple=True,
    default=MIXES,
    show_default=True,
    help="A mix, joined by commas; as often as there are.",
)
@click.option("--workload", "workloads", multiple=True, default=WORKLOADS, show_default=True)
@click.option("--nodes", type=click.IntRange(1, 9), default=5, show_default=True)
@click.option("--concurrency", type=click.IntRange(1, 500), default=10, show_default=True)
@click.option("--rate", type=click.FloatRange(0), default=100, show_default=True)
@click.option("--time-limit", type=Time(), default="20", show_default=True, help="Of each load.")
@click.option(
    "--swarm",
    "swarming",
    is_flag=True,
    help="Each seed draws its part of the nemeses, cluster size, rate, time-outs, workload.",
)
@click.option("--control-only", is_flag=True, help="No bug at all: does anybody cry wolf?")
@click.option("--out", type=click.Path(path_type=Path), default=Path("zoo"), show_default=True)
def zoo_command(
    bugs: tuple[str, ...],
    runtime: str,
    seeds: int,
    seed: int,
    mixes: tuple[str, ...],
    workloads: tuple[str, ...],
    nodes: int,
    concurrency: int,
    rate: float,
    time_limit: float,
    swarming: bool,
    control_only: bool,
    out: Path,
) -> int:
    """Score the harness on the reference Raft's seeded bugs, beside a control without any.

    Writes zoo.json, zoo.md and zoo.html. Exit code 0: every bug was found at least once, and the
    control is clean; 1: the control is not; 4: a bug was not found, or a run tested nothing.
    """
    base = RunSpec(
        runtime=runtime,
        nodes=nodes,
        concurrency=concurrency,
        rate=rate,
        time_limit_s=time_limit,
        seed=seed,
    )
    wanted = [] if control_only else _wanted(bugs)
    cells = list(_cells(base, wanted, mixes, workloads, seeds, swarming=swarming))
    # Whatever was typed is checked before anything is started or written.
    simulated = [is_simulated(prepare(cell.specs[0])[1]) for cell in cells]
    began = time.perf_counter()
    done, interrupted = _score(cells, out, jobs=0 if all(simulated) else 1)
    say("")
    code = _tell(done, wanted, time.perf_counter() - began, complete=not interrupted)
    if done:
        for name in ("zoo.json", "zoo.md", "zoo.html"):
            say(path_words(out / name))
    return ExitCode.INTERRUPTED if interrupted else code


def _wanted(names: Sequence[str]) -> list[str]:
    """Bugs by name, in the zoo's order.

    Raises:
        UsageError: there is no such bug.
    """
    if "all" in names:
        return [bug.name for bug in BUGS]
    try:
        chosen = resolve(names)
    except UnknownBug as error:
        raise UsageError(str(error)) from None
    return [bug.name for bug in BUGS if bug.name in chosen]


def _cells(
    base: RunSpec,
    bugs: Sequence[str],
    mixes: Sequence[str],
    workloads: Sequence[str],
    seeds: int,
    *,
    swarming: bool,
) -> Iterator[Cell]:
    """The control first: a harness that cries wolf need not go on."""
    for bug in (None, *bugs):
        for mix in mixes:
            names = tuple(name.strip() for name in mix.split(",") if name.strip())
            nemeses = () if names == ("none",) else names
            for workload in (DRAWN,) if swarming else workloads:
                spec = replace(base, nemeses=nemeses, bugs=() if bug is None else (bug,))
                specs = [replace(spec, seed=base.seed + number) for number in range(seeds)]
                if swarming:
                    specs = [swarm(item) for item in specs]
                else:
                    specs = [replace(item, workload=workload) for item in specs]
                yield Cell(bug, nemeses, workload, tuple(specs))


def _score(cells: Sequence[Cell], out: Path, jobs: int) -> tuple[list[Score], bool]:
    """The scores of the cells that were run to their end, and whether somebody interrupted it."""
    done: list[Score] = []
    specs = [spec for cell in cells for spec in cell.specs]
    with TemporaryDirectory(prefix="harness-") as scratch, Meter(len(specs)) as meter:
        try:
            with closing(campaign(specs, Attempt(Path(scratch)), jobs)) as told:
                for cell in cells:
                    score = _score_of(cell, told, meter)
                    done.append(score)
                    _write(done, out)
                    meter.line("  ".join(scores.row(score, _numbers().get(cell.bug or "", "0"))))
        except KeyboardInterrupt:
            return done, True
    return done, False


def _score_of(cell: Cell, told: Iterator[Tried], meter: Meter) -> Score:
    tried: list[Tried] = []
    for _ in cell.specs:
        item = next(told)
        if item.exit_code is ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        tried.append(item)
        meter.step(f"{cell.bug or 'control'}  {','.join(cell.nemeses) or 'none'}  {cell.workload}")
    runtime = cell.specs[0].runtime
    return Score(cell.bug, cell.nemeses, cell.workload, runtime, tuple(tried))


def _numbers() -> dict[str, str]:
    return {bug.name: str(bug.number) for bug in BUGS}


def _write(done: Sequence[Score], out: Path) -> None:
    """All three, each as a whole: what is there is of cells that are done."""
    out.mkdir(parents=True, exist_ok=True)
    numbers = _numbers()
    for name, content in (
        ("zoo.json", scores.to_json(done)),
        ("zoo.md", scores.to_markdown(done, numbers)),
        ("zoo.html", scores.to_html(done, numbers, TITLE)),
    ):
        replace_file(out / name, content.encode())


def _tell(done: Sequence[Score], wanted: Sequence[str], wall_s: float, *, complete: bool) -> int:
    """The sum of it, in words and as an exit code."""
    control = [item for score in done if score.bug is None for item in score.tried]
    cried = [item for item in control if item.exit_code is ExitCode.VIOLATION]
    found = {score.bug for score in done if score.bug is not None and score.share.found}
    missed = [bug for bug in wanted if bug not in found]
    unsound = [item for score in done for item in score.unsound]
    runs = sum(len(score.tried) for score in done)
    say(f"{counted(runs, 'run')} in {wall_s:,.0f} s")
    say(f"control: {Share(len(cried), len(control))} runs cried wolf")
    if wanted:
        words = f"; not found: {', '.join(missed)}" if missed and complete else ""
        say(f"bugs: {len(found)} of {len(wanted)} found{words}")
    if unsound:
        first = unsound[0]
        say(
            f"{counted(len(unsound), 'run')} tested nothing, or broke; the first: seed "
            f"{first.spec.seed}, {','.join(first.spec.nemeses)}, {first.spec.workload}: "
            f"{first.word}: {first.sentence}"
        )
    if cried:
        return ExitCode.VIOLATION
    return ExitCode.INADEQUATE if missed or unsound else ExitCode.VALID
