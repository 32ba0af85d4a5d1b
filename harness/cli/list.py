"""``harness list``: what there is to choose from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from harness.check.catalogue import MODELS, strangers
from harness.cli import registry
from harness.core.errors import HarnessError
from harness.core.protocols import HasChoices
from harness.core.verdict import ExitCode
from harness.store import is_run_folder, load_ending
from reports.glyphs import glyphs_for
from reports.words import counted, shorten
from target.bugs import BUGS

Row = tuple[str, ...]


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0]


def _classes(kind: str) -> Iterator[Row]:
    for name in registry.found(kind):
        yield name, _first_line(registry.load(kind, name))


def _targets() -> Iterator[Row]:
    for name in registry.found("targets"):
        kind = registry.load("targets", name)
        yield name, _first_line(kind)
        for option, values in (kind.choices if isinstance(kind, HasChoices) else {}).items():
            yield f"  --option {option}=…", f"{' or '.join(values)} (default {values[0]})"


def _nemeses() -> Iterator[Row]:
    for name in registry.found("nemeses"):
        nemesis = registry.nemesis(name)
        yield name, _first_line(type(nemesis))
        for narrowing, words in nemesis.narrowings.items():
            yield f"  {name}:{narrowing}", words


def _runtimes() -> Iterator[Row]:
    for name in registry.found("runtimes"):
        runtime = registry.runtime(name)
        missing = runtime.missing()
        state = "works here" if missing is None else f"not here: {missing}"
        yield name, _first_line(sys.modules[type(runtime).__module__]), state


def _models() -> Iterator[Row]:
    for name, entry in MODELS.items():
        yield name, entry.words
        for option, words in entry.options.items():
            yield f"  {option}=…", words
    for name, point in sorted(strangers().items()):
        yield name, f"another package's: {point.value}"


def _bugs() -> Iterator[Row]:
    for bug in BUGS:
        yield str(bug.number), bug.name, bug.sentence, f"seen: {bug.seen}"


def _runs(out: Path) -> Iterator[Row]:
    """Newest first. A folder that cannot be read is listed with the reason."""
    folders = {path.parent for path in out.glob("*/*/meta.json")} | {
        path.parent for path in out.glob("*/*/plan.json")
    }
    for folder in sorted(folders, key=lambda path: (path.name, path.parent.name), reverse=True):
        if folder.parent.is_symlink() or not is_run_folder(folder):
            continue
        try:
            ending = load_ending(folder)
        except HarnessError as error:
            yield str(folder), "damaged", "", "", str(error)
            continue
        if ending is None:
            yield str(folder), "unfinished", "", "", "nothing was judged"
            continue
        figures = ending.adequacy.figures
        operations, faults = figures.get("operations", 0), figures.get("proven", 0)
        tested = counted(operations, "operation"), counted(faults, "proven fault")
        yield str(folder), ending.word, *tested, ending.sentence


KINDS: dict[str, tuple[str, Callable[[Path], Iterator[Row]]]] = {
    "targets": ("systems under test (--target)", lambda _: _targets()),
    "workloads": ("what clients do (--workload)", lambda _: _classes("workloads")),
    "nemeses": ("faults (--nemesis)", lambda _: _nemeses()),
    "runtimes": ("where nodes live (--runtime)", lambda _: _runtimes()),
    "models": ("what histories are compared with (check --model)", lambda _: _models()),
    "bugs": ("seeded bugs of the reference Raft (--bug)", lambda _: _bugs()),
    "runs": ("stored runs, newest first", _runs),
}


@click.command("list")
@click.argument("kind", required=False, type=click.Choice(list(KINDS)))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where runs are stored.",
)
def list_command(kind: str | None, out: Path) -> int:
    """Show what there is to choose from: of one KIND, or of all."""
    console = Console(highlight=False)
    fit = glyphs_for(console.encoding).fit
    for name in [kind] if kind else [name for name in KINDS if name != "runs"]:
        words, rows = KINDS[name]
        console.print(Text(f"{name}: {words}", "bold"), soft_wrap=True)
        found = [[shorten(cell) for cell in row] for row in rows(out)] or [["none"]]
        for row in found:
            console.print(Text(fit(_line(row, found))), soft_wrap=True)
    return ExitCode.VALID


def _line(row: list[str], rows: list[list[str]]) -> str:
    """Cells in columns; nothing is cut, so that a line can be searched and copied."""
    columns = max(len(cells) for cells in rows)
    widths = [
        max(len(cells[place]) for cells in rows if place < len(cells) - 1 or len(cells) == columns)
        for place in range(columns)
    ]
    padded = [f"{cell:<{widths[place]}}" for place, cell in enumerate(row)]
    return ("  " + "  ".join(padded)).rstrip()
