"""A run with everything on, that is ended in the middle."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.runtime.docker.engine import Engine
from harness.runtime.docker.leftovers import dead_runs, remove
from harness.runtime.netns import NetnsRuntime
from tests.audit import TOKEN

LOOK_S = 0.01


@dataclass
class Run:
    """A ``harness run`` in a process of its own, as a user would start it."""

    runtime: str
    out: Path
    seed: int
    nemesis: str = "all"
    time_limit_s: float = 30.0
    prologue: str = ""
    """Python that is run first in its process."""
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        options = f"run --runtime {self.runtime} --nemesis {self.nemesis} --intensity brutal"
        options += f" --time-limit {self.time_limit_s} --seed {self.seed} --out {self.out}"
        # Whoever starts us in the background may have us ignore Ctrl-C, and our children with us.
        heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        main = "import sys; from harness.cli import main; sys.exit(main(sys.argv[1:]))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{heed}\n{self.prologue}\n{main}", *options.split()],
            env={**os.environ, TOKEN: self.token},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def folder(self) -> Path | None:
        """Where it records."""
        latest = self.out / "latest"
        return latest.resolve() if latest.exists() else None

    def phase(self) -> str:
        """The phase that began last; nothing before the first."""
        with suppress(OSError, ValueError, LookupError, AssertionError):
            assert self.folder is not None
            meta = json.loads((self.folder / "meta.json").read_text())
            return str(meta["phases"][-1]["name"])
        return ""

    def under_fault(self) -> bool:
        """Whether a fault is in force."""
        found: dict[str, bool] = {}
        with suppress(OSError, ValueError, AssertionError):
            assert self.folder is not None
            for line in (self.folder / "faults.jsonl").read_text().splitlines():
                data = json.loads(line)
                found[data["record"]["id"]] = data["what"] == "began"
        return any(found.values())

    def until(self, true: Callable[[], bool], limit_s: float = 120.0) -> None:
        """Polls; fails when the run ends first, or it takes too long: then it is killed."""
        deadline = time.monotonic() + limit_s
        while not true():
            assert self.process.poll() is None, self.ended()
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"it takes too long: {self.ended()}")
            time.sleep(LOOK_S)

    def send(self, *signals: signal.Signals) -> None:
        """One right after the other."""
        for number in signals:
            self.process.send_signal(number)

    def ended(self, limit_s: float = 120.0) -> str:
        """What it printed. A run that does not end in time is killed, and it is an error."""
        try:
            return self.process.communicate(timeout=limit_s)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def sweep(runtime: str) -> list[str]:
    """What the next run does before it begins, and ``harness clean`` (that removes old images too).

    In words.
    """
    if runtime == "netns":
        return list(NetnsRuntime().clean())
    engine = Engine.connect()
    try:
        found = dead_runs(engine)
        return [words for run_id, it in found.items() for words in remove(engine, run_id, it)]
    finally:
        engine.close()
