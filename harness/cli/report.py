"""``harness report``: writes the views of stored runs again."""

from __future__ import annotations

from pathlib import Path

import click

import reports
from harness.core.errors import EnvironmentFailure, HarnessError
from harness.core.verdict import ExitCode
from harness.store import load_run
from reports.words import clean


@click.command("report")
@click.argument("runs", metavar="RUN…", nargs=-1, required=True, type=click.Path(path_type=Path))
def report_command(runs: tuple[Path, ...]) -> int:
    """Write report.html and junit.xml of RUN again, from what is stored in its folder."""
    code = ExitCode.VALID
    for folder in runs:
        try:
            click.echo(clean(str(_write(folder))))
        except HarnessError as error:
            click.echo(f"harness: {clean(str(error))}", err=True)
            code = error.exit_code
    return code


def _write(folder: Path) -> Path:
    record = load_run(folder)
    try:
        return reports.write(record, folder)
    except OSError as error:
        raise EnvironmentFailure(f"{folder}: {error.strerror}") from error
