"""Compiled or not: the same bytes, the same verdicts, the same words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from harness import compiled
from tests.conftest import CI

MIXES = (
    ("--nemesis", "none", "--workload", "append"),
    ("--nemesis", "partition,kill,pause,clock", "--intensity", "brutal"),
    ("--nemesis", "power,slow,loss,duplicate,reorder,corrupt,rate,disk", "--workload", "set"),
    ("--nemesis", "partition,kill", "--bug", "early-ack", "--keep-going"),
    ("--nemesis", "kill", "--bug", "snapshot-off-by-one", "--workload", "counter"),
)


def need_compiled() -> None:
    """Skips with the reason; under CI only where nobody could have compiled them."""
    code = "import harness.compiled as c; print(c.MISSING or '')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "QUORUM_NATIVE": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    missing = done.stdout.strip()
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if missing and not (CI and shutil.which(compiler)):
        pytest.skip(f"the simulation is not compiled: {missing}")
    assert not missing


def run(out: Path, native: str, *options: str) -> Path:
    """A run in a process of its own; its folder."""
    command = [sys.executable, "-m", "harness", "run", "--runtime", "sim", "--out", str(out)]
    done = subprocess.run(
        [*command, "--time-limit", "8", "--seed", "5", *options],
        env={**os.environ, "QUORUM_NATIVE": native},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (0, 1, 4), done.stdout + done.stderr
    return (out / "latest").resolve()


def judgement(folder: Path) -> Any:
    """The verdict without what the checks took in time."""
    data = json.loads((folder / "verdict.json").read_text())
    for result in data["results"]:
        result["figures"] = {
            name: value for name, value in result["figures"].items() if not name.endswith("_ms")
        }
    return data


@pytest.mark.parametrize("options", MIXES, ids=lambda options: options[1])
def test_compiled_or_not_the_run_is_the_same(options: tuple[str, ...], tmp_path: Path) -> None:
    need_compiled()
    slow = run(tmp_path / "python", "0", *options)
    fast = run(tmp_path / "compiled", "1", *options)
    names = {str(path.relative_to(slow)) for path in slow.rglob("*.jsonl")}
    assert names == {str(path.relative_to(fast)) for path in fast.rglob("*.jsonl")}
    assert len(names) == 3 + 5
    for name in sorted(names):
        assert (slow / name).read_bytes() == (fast / name).read_bytes(), name
    assert judgement(slow) == judgement(fast)


def test_what_the_promises_say_of_a_damaged_trace_is_the_same(tmp_path: Path) -> None:
    need_compiled()
    folder = run(tmp_path / "run", "1", "--nemesis", "none")
    trace = folder / "nodes" / "n1" / "trace.jsonl"
    lines = trace.read_bytes().splitlines(keepends=True)
    for number, line in (
        (40, b'{"t":1,"node":"n1"}\n'),
        (41, lines[41].replace(b'"index":', b'"i":')),
    ):
        trace.write_bytes(b"".join([*lines[:number], line, *lines[number + 1 :]]))
        said = [
            subprocess.run(
                [sys.executable, "-m", "harness", "check", "--json", str(folder)],
                env={**os.environ, "QUORUM_NATIVE": native},
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            for native in "01"
        ]
        results = [_reasons(json.loads(one.stdout)) for one in said]
        assert said[0].returncode == said[1].returncode
        assert results[0] == results[1]


def _reasons(data: Any) -> list[tuple[str, str]]:
    """What each check says, wherever in the answer."""
    match data:
        case {"checker": str(checker), "reason": str(reason)}:
            return [(checker, reason)]
        case dict():
            return [pair for item in data.values() for pair in _reasons(item)]
        case list():
            return [pair for item in data for pair in _reasons(item)]
        case _:
            return []


def test_it_is_known_which_is_in_use() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "doctor", "--json"],
        env={**os.environ, "QUORUM_NATIVE": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = {item["what"]: item for item in json.loads(done.stdout)["findings"]}
    assert found["simulation"]["words"] == "python; compiled: QUORUM_NATIVE=0 asks for Python"
    assert compiled.MODULES
