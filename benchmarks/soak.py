"""The clean cluster under every nemesis, several times on each runtime; then seeded bugs.

    python benchmarks/soak.py [--runs 5] [--runtimes docker,netns] [--time-limit 30] [--bugs]

A clean run must be VALID and adequate. With --bugs each bug, under a nemesis that suits it, must be
caught. Prints a line a run and a table; exits 1 when anything was not as it must be. Not a part of
the tests: it takes about as long as the runs' time limits add up to.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass

NEMESES = ("partition", "kill", "pause", "clock", "slow", "partition,kill,pause,clock,slow")
BUGS = (
    ("early-ack", "partition:leader", "register"),
    ("local-read-leader", "partition:leader", "register"),
    ("vote-not-persisted", "kill:all", "register"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One run: what was asked, what came, wall seconds."""

    runtime: str
    what: str
    exit_code: int
    verdict: str
    seconds: float
    seed: int
    detail: str


def run(runtime: str, what: str, arguments: list[str]) -> Row:
    """Runs the command line as a user would."""
    command = [sys.executable, "-m", "harness", "run", "--json", "--runtime", runtime, *arguments]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    lines = done.stdout.strip().splitlines()
    try:
        last = json.loads(lines[-1])
    except (IndexError, ValueError):
        last = {"verdict": "no answer", "seed": -1, "run": (done.stderr.strip() or "?")[-200:]}
    detail = str(last.get("sentence") or last.get("run"))
    return Row(runtime, what, done.returncode, last["verdict"], seconds, last["seed"], detail)


def main() -> int:
    """Runs the matrix."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--runtimes", default="docker,netns")
    parser.add_argument("--nemeses", default=" ".join(NEMESES), help="separated by blanks")
    parser.add_argument("--workload", default="register")
    parser.add_argument("--time-limit", default="30")
    parser.add_argument("--bugs", action="store_true", help="the seeded bugs instead")
    options = parser.parse_args()
    rows: list[tuple[Row, bool]] = []
    for runtime in options.runtimes.split(","):
        for number in range(options.runs):
            common = ["--time-limit", options.time_limit, "--seed", str(1000 + number)]
            if options.bugs:
                for bug, nemesis, workload in BUGS:
                    arguments = ["--bug", bug, "--nemesis", nemesis, "--workload", workload]
                    rows.append((run(runtime, f"{bug} {nemesis}", [*common, *arguments]), False))
            else:
                for nemesis in options.nemeses.split():
                    arguments = ["--nemesis", nemesis, "--workload", options.workload]
                    rows.append((run(runtime, nemesis, [*common, *arguments]), True))
                    row = rows[-1][0]
                    print(
                        f"{row.runtime:7} {row.what:34} {row.verdict:11} {row.seconds:5.1f} s  "
                        f"seed {row.seed}  {row.detail}",
                        flush=True,
                    )
    wrong = [row for row, clean in rows if row.exit_code != (0 if clean else 1)]
    for runtime in options.runtimes.split(","):
        for what in dict.fromkeys(row.what for row, _ in rows):
            mine = [row for row, _ in rows if (row.runtime, row.what) == (runtime, what)]
            words = ", ".join(row.verdict for row in mine)
            print(f"{runtime:7} {what:34} {words}")
    print(f"{len(rows)} runs, {len(wrong)} not as they must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
