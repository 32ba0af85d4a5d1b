"""Runs the command line as a user does: a process of its own, its output and exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from harness.cli import registry
from tests.conftest import unavailable

ROOT = Path(__file__).parents[2]
RUNTIMES = [
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("netns", marks=pytest.mark.netns),
]


@cache
def _missing(runtime: str) -> str | None:
    return registry.runtime(runtime).missing()


def need(runtime: str) -> None:
    """The runtime must work here: a skip with its reason, or a failure under CI."""
    missing = _missing(runtime)
    if missing:
        unavailable(f"runtime {runtime}: {missing}")


def environment() -> dict[str, str]:
    """The user's, with what is compiled where it is, but for what would change the output."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
    kept.pop("QUORUM_NATIVE", None)
    return {**kept, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}


def command(*arguments: str) -> list[str]:
    """The command line as a list."""
    return [sys.executable, "-m", "harness", *arguments]


def harness(*arguments: str, cwd: Path, timeout_s: float = 150) -> subprocess.CompletedProcess[str]:
    """Runs to its end."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=cwd,
        env=environment(),
        check=False,
    )


def start(*arguments: str, cwd: Path, under: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Starts it, ``under`` another command, in a session of its own: a signal meets only it."""
    return subprocess.Popen(
        [*under, *command(*arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env=environment(),
        start_new_session=True,
    )


def last_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The object that ``--json`` promises as the last line."""
    data: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return data


def until(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Polls with a bound.

    Raises:
        AssertionError: it never held.
    """
    give_up = monotonic() + limit_s
    while not condition():
        assert monotonic() < give_up, f"not within {limit_s:.0f} s: {what}"
        # A short wait between looks, bounded above: nothing depends on its length.
        subprocess.run(["sleep", "0.05"], check=True)
