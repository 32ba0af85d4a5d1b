"""Texts kept beside the tests. HARNESS_UPDATE_GOLDEN=1 writes them anew, for a look at the diff."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "golden" / "reports"


def check(name: str, text: str) -> None:
    """Fails unless ``text`` is what is kept under ``name``."""
    path = FOLDER / name
    if os.environ.get("HARNESS_UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    assert path.exists(), f"{name} is missing: run with HARNESS_UPDATE_GOLDEN=1"
    assert text == path.read_text(encoding="utf-8")
