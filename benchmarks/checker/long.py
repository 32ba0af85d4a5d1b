"""Reading and judging long histories: seconds of computing, and the most memory ever held.

    python -m benchmarks.checker.long [--operations 1000000] [--keys 1] [--clients 10]

The file is written first, by this process; then another reads and judges it.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

from harness.check import check
from harness.store.formats import read_history


def write(file: TextIO, operations: int, keys: int, clients: int) -> None:
    """A linearizable history of registers with five values, half reads."""
    rng = random.Random(1)
    file.write('{"format":"quorum-harness-history","version":1,"model":"cas-register"}\n')
    held: dict[int, int] = {}
    open_calls: list[tuple[str, int, int, int | None, bool] | None] = [None] * clients
    called = event = now = 0
    while called < operations or any(open_calls):
        now += 1
        process = rng.randrange(clients)
        call = open_calls[process]
        if call is None:
            if called == operations:
                continue
            called += 1
            key = rng.randrange(keys)
            f, value = ("read", None) if rng.random() < 0.5 else ("write", rng.randrange(5))
            open_calls[process] = (f, key, event, value, False)
            file.write(_line(event, "invoke", process, now, f, key, value))
            event += 1
            continue
        f, key, of, value, done = call
        if done:
            told = value if f == "read" else None
            file.write(_line(event, "ok", process, now, f, key, told, of))
            event += 1
            open_calls[process] = None
        elif f == "read":
            open_calls[process] = (f, key, of, held.get(key), True)
        else:
            assert value is not None
            held[key] = value
            open_calls[process] = (f, key, of, value, True)


def _line(
    index: int,
    kind: str,
    process: int,
    now: int,
    f: str,
    key: int,
    value: int | None,
    of: int | None = None,
) -> str:
    line = f'{{"index":{index},"type":"{kind}","process":{process},"time":{now},"f":"{f}"'
    line += f',"key":"k{key}","node":"n1"'
    line += "" if of is None else f',"of":{of}'
    return line + ("}\n" if value is None else f',"value":{value}}}\n')


def judge(path: Path) -> None:
    """Reads, judges, tells."""
    began = time.process_time()
    history = read_history(path).history
    read = time.process_time()
    loaded = _most_mb()
    result = check(history, "cas-register")
    took = time.process_time() - read
    search = float(str(result.figures["search_ms"])) / 1e3
    print(f"read {read - began:.2f} s, {loaded:.0f} MB")
    print(f"checked {took:.2f} s (search {search:.2f} s), {_most_mb():.0f} MB")
    print(f"{result.verdict.value}: {result.reason}")


def _most_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--keys", type=int, default=1)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--judge", type=Path, help="only read and judge this file")
    options = parser.parse_args()
    if options.judge is not None:
        judge(options.judge)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        with path.open("w") as file:
            write(file, options.operations, options.keys, options.clients)
        print(f"{options.operations:,} operations, {path.stat().st_size >> 20:,} MiB", flush=True)
        command = [sys.executable, "-m", "benchmarks.checker.long", "--judge", str(path)]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
