"""The command line: where everything meets.

Every error a user can cause is one or two lines on standard error and an exit code
(:class:`~harness.core.verdict.ExitCode`); a traceback is a bug of ours and ends with 70.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

import harness.compiled  # before anything that is compiled  # noqa: F401
from harness import __version__
from harness.cli.check import check_command
from harness.cli.clean import clean_command
from harness.cli.doctor import doctor_command
from harness.cli.list import list_command
from harness.cli.replay import replay_command
from harness.cli.report import report_command
from harness.cli.run import run_command
from harness.cli.shrink import shrink_command
from harness.cli.zoo import zoo_command
from harness.core.errors import HarnessError
from harness.core.verdict import ExitCode

SHORT_HELP = """\
harness tests what a replicated system promised: it starts a cluster, hurts it, judges the history.

  harness run --nemesis partition   start the reference Raft, cut its network, verdict and report
  harness check FILE                judge a recorded history (own JSONL, Jepsen EDN, Porcupine logs)
  harness doctor                    what this machine can do, what is missing, what to do about it

`harness --help` has all commands, `harness COMMAND --help` one of them.
"""


@click.group(invoke_without_command=True)
@click.version_option(__version__, prog_name="quorum-harness")
@click.pass_context
def cli(context: click.Context) -> int:
    """Test what a replicated system promised: faults, histories, and a verdict you can read."""
    if context.invoked_subcommand is None:
        click.echo(SHORT_HELP, nl=False)
    return ExitCode.VALID


for command in (
    run_command,
    check_command,
    report_command,
    replay_command,
    shrink_command,
    zoo_command,
    list_command,
    doctor_command,
    clean_command,
):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    try:
        with _terminated_is_interrupted():
            code = cli.main(args=arguments, prog_name="harness", standalone_mode=False)
    except HarnessError as error:
        return _complain(str(error), error.exit_code)
    except click.UsageError as error:
        where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        return _complain(error.format_message() + where, ExitCode.USAGE)
    except click.ClickException as error:
        return _complain(error.format_message(), ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        return _complain("interrupted", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more at exit.
        sys.stderr.close()
        return ExitCode.VALID
    except OSError as error:
        # A disk that is full, a folder that somebody removed: the machine's, not ours.
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}", ExitCode.ENVIRONMENT)
    except Exception:
        traceback.print_exc()
        return _complain("internal error (a bug of the harness, please report it)", 70)
    return int(code or 0)


@contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """SIGTERM means what Ctrl-C means: its default would leave processes and folders behind."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _complain(words: str, code: int) -> int:
    click.echo(f"harness: {words}", err=True)
    return int(code)
