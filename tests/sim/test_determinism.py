"""One seed, the same bytes: in another process, under another order of hashing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.store import digest

MIXES = ["churn:message", "partition", "kill,pause", "partition,kill,clock,slow,loss"]


def run(out: Path, hashes: str, *options: str) -> Path:
    """A run in a process of its own; its folder."""
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--runtime", "sim", "--out", str(out), *options],
        env={**os.environ, "PYTHONHASHSEED": hashes},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (0, 4), done.stdout + done.stderr
    return (out / "latest").resolve()


def content(folder: Path) -> dict[str, bytes]:
    """What was recorded, byte for byte."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.jsonl"))
    }


@pytest.mark.parametrize("nemesis", MIXES)
def test_a_seed_decides_every_byte(nemesis: str, tmp_path: Path) -> None:
    options = ("--nemesis", nemesis, "--time-limit", "8", "--seed", "11")
    one = run(tmp_path / "a", "0", *options)
    two = run(tmp_path / "b", "4242", *options)
    assert content(one) == content(two)
    assert len(content(one)) == 3 + 5  # history, faults, samples, and five traces
    assert digest(one) == digest(two)


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    options = ("--nemesis", "partition", "--time-limit", "5", "--seed")
    one, two = run(tmp_path / "a", "0", *options, "1"), run(tmp_path / "b", "0", *options, "2")
    assert digest(one) != digest(two)
