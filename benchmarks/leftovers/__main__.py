"""Ends runs with everything on at random moments, and looks what is left on the machine.

    python -m benchmarks.leftovers.box --data DIR python -m benchmarks.leftovers
        [--runtimes netns,docker] [--moments 20] [--time-limit 8] [--signals KILL] [--seed 1]
        [--restart-engine DIR]

For each moment: an audit (containers, networks, images, firewall, links, qdiscs, namespaces,
mounts, loop devices, cgroups, stopped processes, processes of the run), a run with ``--nemesis
all`` at ``brutal`` that gets the signals at the moment (drawn evenly over all of a run, from its
start to after its end), what the next run would do first, and a second audit. Every line of it
must be the same. In a box nobody else changes anything; outside of one others' doings show too.

Signals: KILL, INT, TERM, or several one after the other as INT+INT. With ``--restart-engine`` the
box's Docker engine is killed and started again instead (docker only; DIR is the box's).
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.leftovers.box import restart_engine
from harness.core.verdict import ExitCode
from tests.audit import audit, settled
from tests.killing import Run, sweep

SPAN = 1.6, 6.0
"""A run takes about this much times its load, and so many seconds more."""
END_S = 120.0


def one(
    runtime: str, seed: int, load_s: float, signals: list[signal.Signals], engine: Path | None
) -> bool:
    """One moment; whether a run was there, and nothing of it was left."""
    rng = random.Random(f"{runtime}/{seed}")
    moment = rng.uniform(0, load_s * SPAN[0] + SPAN[1])
    sweep(runtime)
    before = audit("")
    with TemporaryDirectory() as folder:
        run = Run(runtime, Path(folder), seed, time_limit_s=load_s)
        began = time.monotonic()
        while time.monotonic() < began + moment and run.process.poll() is None:
            time.sleep(0.005)
        phase = run.phase() or "before the set-up"
        faults = _in_force(run)
        if run.process.poll() is not None:
            phase = "over"
        elif engine is not None:
            restart_engine(engine)
        else:
            run.send(*signals)
        said = run.ended(END_S)
        told = time.monotonic()
        swept = sweep(runtime)
        left = settled(before, run.token)
        took = time.monotonic() - told
    how = f"{len(swept)} things for the next run" if swept else "nothing for the next run"
    status = run.process.returncode
    print(
        f"{runtime:7} {moment:5.1f} s  {phase:20} {faults:2} faults  exit {status:4}"
        f"  {how}, clean after {took:.1f} s: {'same' if not left else 'NOT THE SAME'}",
        flush=True,
    )
    for line in left:
        print(f"    {line}")
    refused = status == ExitCode.USAGE
    if left or refused:
        print(said)
    if refused:
        print("    the run never began: nothing was tested")
    return not left and not refused


def _in_force(run: Run) -> int:
    found: dict[str, bool] = {}
    try:
        assert run.folder is not None
        for line in (run.folder / "faults.jsonl").read_text().splitlines():
            data = json.loads(line)
            found[data["record"]["id"]] = data["what"] == "began"
    except (OSError, ValueError, AssertionError):
        return 0
    return sum(found.values())


def main() -> int:
    """A line a moment; 1 when anything was left."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runtimes", default="netns,docker")
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--time-limit", type=float, default=8.0)
    parser.add_argument("--signals", default="KILL")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restart-engine", type=Path, default=None)
    options = parser.parse_args()
    signals = [signal.Signals[f"SIG{name}"] for name in options.signals.split("+")]
    engine = options.restart_engine
    wrong = 0
    for runtime in options.runtimes.split(","):
        if runtime == "docker":
            # The image stays on purpose; it must be there before the first look.
            with TemporaryDirectory() as folder:
                Run(runtime, Path(folder), 0, nemesis="none", time_limit_s=1).ended(END_S)
        for number in range(options.moments):
            seed = options.seed + number
            wrong += not one(runtime, seed, options.time_limit, signals, engine)
    print(f"{options.moments} moments on each of {options.runtimes}: {wrong} left something")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
