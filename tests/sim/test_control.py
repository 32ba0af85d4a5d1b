"""The clean cluster under everything: nobody may cry wolf."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("nemesis", "first"),
    [
        # The second of these pauses a node that is just starting.
        ("partition,kill,pause", 3),
        ("partition,kill,pause,clock,slow,loss", 40),
    ],
)
def test_no_violation_is_found_where_there_is_none(
    nemesis: str, first: int, tmp_path: Path
) -> None:
    options = f"--runtime sim --nemesis {nemesis} --time-limit 20 --rate 100 --seed {first}"
    options += " --test-count 4 --keep-going"
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", *options.split(), "--out", str(tmp_path)],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode in (0, 4), done.stdout + done.stderr
    verdicts = [json.loads(path.read_text()) for path in tmp_path.rglob("verdict.json")]
    for verdict in verdicts:
        assert all(result["verdict"] == "valid" for result in verdict["results"]), verdict
