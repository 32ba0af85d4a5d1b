"""``harness zoo``: which of the seeded bugs are found, how often, by what, and how soon.

Every cell runs the same seeds, and so does the control, which has no bug at all. The mixes of
nemeses are general: nothing in them, or in the checks, knows what it is looking for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from harness.cli.campaign import campaign
from harness.cli.meter import Meter, say
from harness.cli.options import Time, intensity
from harness.cli.planning import with_all
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

WORKLOADS = ("register", "set", "append", "counter")
DRAWN = "drawn"
"""In place of a workload where each seed draws its own."""


@dataclass(frozen=True, slots=True)
class Mix:
    """A way of testing: the nemeses, their intensity, and what each seed draws of the rest.

    ``draws`` nothing; the ``rest`` (cluster size, rate, clients, time-outs, options, workload); or
    ``all``, which is that and the part of the nemeses and their intensity. Whatever is drawn, the
    cluster has as many ``nodes`` as are given.
    """

    nemeses: tuple[str, ...]
    intensity: str = "normal"
    draws: str = "rest"
    nodes: int | None = None


MIXES: Mapping[str, Mix] = {
    "faults": Mix(("partition", "kill", "pause")),
    "leaders": Mix(("churn", "partition", "kill"), "brutal"),
    "messages": Mix(("churn", "duplicate", "reorder", "slow"), "brutal"),
    "disks": Mix(("disk", "power", "kill"), "brutal"),
    # The fewer there are, the sooner whoever led before leads again.
    "falls": Mix(("churn:message",), "brutal", nodes=3),
    "members": Mix(("membership", "partition", "churn"), "brutal"),
    "swarm": Mix(("all",), draws="all"),
}
"""None of them knows what it is looking for."""

TITLE = "Track record on seeded bugs"


@dataclass(frozen=True, slots=True)
class Cell:
    """A bug (None: the control) under a mix and a workload, and the runs that this takes."""

    bug: str | None
    mix: str
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
    "--mix",
    "names",
    multiple=True,
    type=click.Choice([*MIXES]),
    help="A mix of nemeses by name, as often as there are; all, without --nemesis.",
)
@click.option(
    "--nemesis",
    "mixes",
    multiple=True,
    help="A mix of your own, joined by commas (with --intensity, --swarm), as often as wanted.",
)
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    help="As often as there are; without it, what each seed draws, or the first four.",
)
@intensity
@click.option("--nodes", type=click.IntRange(1, 9), default=5, show_default=True)
@click.option("--concurrency", type=click.IntRange(1, 500), default=10, show_default=True)
@click.option("--rate", type=click.FloatRange(0), default=100, show_default=True)
@click.option("--time-limit", type=Time(), default="10", show_default=True, help="Of each load.")
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
    names: tuple[str, ...],
    mixes: tuple[str, ...],
    workloads: tuple[str, ...],
    intensity: str,
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
    chosen = _mixes(names, mixes, Mix((), intensity, "all" if swarming else "nothing"), runtime)
    cells = list(_cells(base, wanted, chosen, workloads, seeds))
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


def _mixes(
    names: Sequence[str], own: Sequence[str], like: Mix, runtime: str
) -> Iterator[tuple[str, Mix]]:
    """Mixes and what they are called. Those made up on the command line have no other name."""
    if not names and not own:
        # What the others need, real nodes have only in part, and a run there takes its time.
        names = [*MIXES] if runtime == "sim" else ["faults"]
    for name in names:
        yield name, MIXES[name]
    for text in own:
        nemeses = tuple(name.strip() for name in text.split(",") if name.strip())
        yield "", replace(like, nemeses=nemeses)


def _cells(
    base: RunSpec,
    bugs: Sequence[str],
    mixes: Iterable[tuple[str, Mix]],
    workloads: Sequence[str],
    seeds: int,
) -> Iterator[Cell]:
    """The control first: a harness that cries wolf need not go on."""
    mixes = tuple(mixes)
    for bug in (None, *bugs):
        for name, mix in mixes:
            spec = replace(base, nemeses=mix.nemeses, intensity=mix.intensity)
            spec = replace(with_all(spec), bugs=() if bug is None else (bug,))
            spec = spec if spec.nemeses != ("none",) else replace(spec, nemeses=())
            drawn = mix.draws != "nothing"
            for workload in workloads or ((DRAWN,) if drawn else WORKLOADS):
                specs = [replace(spec, seed=base.seed + number) for number in range(seeds)]
                if drawn:
                    specs = [swarm(item, nemeses=mix.draws == "all") for item in specs]
                if mix.nodes is not None:
                    specs = [replace(item, nodes=mix.nodes) for item in specs]
                if workload != DRAWN:
                    specs = [replace(item, workload=workload) for item in specs]
                yield Cell(bug, name, spec.nemeses, workload, tuple(specs))


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
        mix = cell.mix or ",".join(cell.nemeses) or "none"
        meter.step(f"{cell.bug or 'control'}  {mix}  {cell.workload}")
    runtime = cell.specs[0].runtime
    return Score(cell.bug, cell.nemeses, cell.workload, runtime, tuple(tried), cell.mix)


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
    outside = {score.bug for score in done if score.bug is not None and score.from_outside.found}
    missed = [bug for bug in wanted if bug not in found]
    unsound = [item for score in done for item in score.unsound]
    runs = sum(len(score.tried) for score in done)
    say(f"{counted(runs, 'run')} in {wall_s:,.0f} s")
    say(f"control: {Share(len(cried), len(control))} runs cried wolf")
    if wanted:
        words = f"; not found: {', '.join(missed)}" if missed and complete else ""
        say(f"bugs: {len(found)} of {len(wanted)} found, {len(outside)} by clients alone{words}")
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
