"""Whether the native core must be there: under CI, wherever a Rust toolchain works."""

from __future__ import annotations

import subprocess

import pytest

from harness.check.native import available
from tests.conftest import CI


def need_native() -> None:
    """Skips a module with the reason; a failure follows by itself where the core must be there."""
    missing = available()
    if missing is not None and not (CI and _cargo_works()):
        pytest.skip(f"no native core: {missing}", allow_module_level=True)


def _cargo_works() -> bool:
    """On the PATH is not enough: a proxy without a toolchain behind it is there too."""
    try:
        done = subprocess.run(["cargo", "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
