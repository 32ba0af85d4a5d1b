"""Programs of other packages that nodes run: where this host has them, and which version."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from harness.core.protocols import Program

_VERSION_S = 10.0


def find(program: Program) -> Path | None:
    """Its path on this host; None when it is not on the PATH."""
    found = shutil.which(program.name)
    return Path(found) if found else None


def missing(program: Program) -> str | None:
    """Why it cannot be run here, and what to do; None when it can."""
    if find(program):
        return None
    return f"{program.name} is not installed here: apt-get install {program.package}"


def version(program: Program) -> str | None:
    """As this host's program tells it; None when it is not here, or tells none."""
    path = find(program)
    if path is None:
        return None
    try:
        said = subprocess.run(
            [path, *program.version],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r"\d+(\.\d+)+[\w.+-]*", said.stdout)
    return number[0] if number else None
