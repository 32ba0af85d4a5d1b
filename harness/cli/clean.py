"""``harness clean``: undoes what a killed run left."""

from __future__ import annotations

import click

from harness.cli import registry
from harness.core.verdict import ExitCode


@click.command("clean")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def clean_command(dry_run: bool) -> int:
    """Undo what killed runs left: containers, networks, rules. Live runs are not touched."""
    removed: list[str] = []
    for name in registry.found("runtimes"):
        runtime = registry.runtime(name)
        if runtime.missing() is None:
            removed += runtime.leftovers() if dry_run else runtime.clean()
    verb = "would remove" if dry_run else "removed"
    for words in removed:
        click.echo(f"{verb} {words}")
    if not removed:
        click.echo("nothing was left behind")
    return ExitCode.VALID
