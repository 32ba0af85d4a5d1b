"""Runs the tools that know the kernel's firewall: nft, iptables, tc."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.agent.linux import inside

_ENVIRONMENT = {
    **os.environ,
    "LC_ALL": "C",
    # Where these tools live is not on everybody's path.
    "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/local/sbin:/usr/sbin:/sbin",
    # The lock guards the tables of the host; ours are in namespaces of nodes, where nobody else
    # writes. An ordinary user could not open the file.
    "XTABLES_LOCKFILE": "/dev/null",
}
_LIMIT_S = 10.0


class ToolFailed(Exception):
    """A tool is not installed, or it said no; the message is one line."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, with which input, in which network namespace (None: this one)."""

    argv: Sequence[str]
    text: str = ""
    netns: int | None = None


def run(command: Command) -> str:
    """What the tool printed.

    Raises:
        ToolFailed: one line.
    """
    return run_all([command])[0]


def run_all(commands: Iterable[Command]) -> list[str]:
    """Runs them side by side; what each printed.

    Raises:
        ToolFailed: about the first that failed, when all have ended.
    """
    started = [(command, _start(command)) for command in commands]
    ended = [_end(command, process) for command, process in started]
    for outcome in ended:
        if isinstance(outcome, ToolFailed):
            raise outcome
    return [outcome for outcome in ended if isinstance(outcome, str)]


def _start(command: Command) -> subprocess.Popen[str] | ToolFailed:
    name = command.argv[0]
    try:
        with inside(command.netns):
            return subprocess.Popen(
                command.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=_ENVIRONMENT,
            )
    except FileNotFoundError:
        return ToolFailed(f"{name} is not installed")
    except OSError as error:
        return ToolFailed(f"{name}: {error.strerror}")


def _end(command: Command, process: subprocess.Popen[str] | ToolFailed) -> str | ToolFailed:
    if isinstance(process, ToolFailed):
        return process
    try:
        printed, said = process.communicate(command.text, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return ToolFailed(f"{command.argv[0]} did not end within {_LIMIT_S:.0f} s")
    if process.returncode == 0:
        return printed
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return ToolFailed(f"{command.argv[0]}: {lines[0] if lines else 'failed without a word'}")
