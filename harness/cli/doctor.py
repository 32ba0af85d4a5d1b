"""``harness doctor``: what this machine can do, what is missing, what to do about it."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import compiled
from harness.check import native
from harness.cli import registry
from harness.core.protocols import HasNeeds, Nemesis, programs_of
from harness.core.verdict import ExitCode
from harness.runtime import programs

TOOLS = {
    "nft": "cuts links in one atomic change (Debian: apt-get install nftables)",
    "iptables": "cuts links where nft's bridge table does not work (apt-get install iptables)",
    "tc": "netem, where the kernel has it (apt-get install iproute2)",
    "chromium": "only for the tests of the report (apt-get install chromium)",
}
FAKETIME = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: ``ok`` None means that it is for information."""

    what: str
    ok: bool | None
    words: str


def findings() -> Iterator[Finding]:
    """Everything worth knowing, runtimes first."""
    python = platform.python_version()
    yield Finding("python", sys.version_info >= (3, 11), f"{python} (3.11 or newer is needed)")
    nemeses = {name: registry.nemesis(name) for name in registry.found("nemeses")}
    for name in registry.found("runtimes"):
        runtime = registry.runtime(name)
        missing = runtime.missing()
        yield Finding(f"runtime {name}", missing is None, missing or "works here")
        if missing is not None:
            continue
        for family, nemesis in nemeses.items():
            lacks = runtime.lacks(nemesis.capability)
            yield Finding(f"  {name}: {family}", lacks is None, lacks or "works here")
            for narrowing, capability in _needs(nemesis):
                alone = runtime.lacks(capability)
                if alone != lacks:
                    what = f"  {name}: {family}:{narrowing}"
                    yield Finding(what, alone is None, alone or "works here")
        left = runtime.leftovers()
        if left:
            yield Finding(f"  {name}: left over", False, f"{', '.join(left)}: run `harness clean`")
    for name in registry.found("targets"):
        for program in programs_of(registry.load("targets", name)):
            missing = programs.missing(program)
            told = f"{program.name} {programs.version(program) or ''}".strip()
            words = missing or f"{told} ({programs.find(program)})"
            yield Finding(f"target {name}", None if missing else True, words)
    without = native.available()
    words = (
        "native: compiled, and used by default" if without is None else f"python; native {without}"
    )
    yield Finding("checker's engine", True if without is None else None, words)
    slow = compiled.MISSING
    words = "compiled, and used by default" if slow is None else f"python; compiled: {slow}"
    yield Finding("simulation", True if slow is None else None, words)
    for tool, purpose in TOOLS.items():
        path = shutil.which(tool)
        yield Finding(f"tool {tool}", True if path else None, path or f"not here: {purpose}")
    faketime = next(
        (str(path) for glob in FAKETIME for path in Path("/").glob(glob.lstrip("/"))), None
    )
    yield Finding(
        "tool libfaketime",
        True if faketime else None,
        faketime or "not here: clock faults of systems that are not ours (apt-get install it)",
    )


def _needs(nemesis: Nemesis) -> Iterable[tuple[str, str]]:
    """Narrowings that need something else than their family, and what."""
    return nemesis.needs.items() if isinstance(nemesis, HasNeeds) else ()


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor_command(as_json: bool) -> int:
    """What this machine can do, what is missing, what to do about it."""
    found = list(findings())
    works = any(item.ok for item in found if item.what.startswith("runtime "))
    if as_json:
        click.echo(json.dumps({"works": works, "findings": [asdict(item) for item in found]}))
    else:
        console = Console()
        table = Table(box=None, show_header=False, pad_edge=False)
        marks = {True: Text("✓", "green"), False: Text("✕", "red"), None: Text("·", "dim")}
        for item in found:
            table.add_row(marks[item.ok], Text(item.what), Text(item.words))
        console.print(table)
    return ExitCode.VALID if works else ExitCode.ENVIRONMENT
