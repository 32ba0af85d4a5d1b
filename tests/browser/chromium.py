"""Finds a Chromium, and installs Debian's where that is allowed (as root, by apt-get)."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

from tests.conftest import unavailable

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-dejavu-core")
INSTALL_S = 250


@cache
def chromium() -> str:
    """Its path. Where none can be had: a skip with the reason, a failure under CI."""
    found = _found()
    if found is None:
        why = _install()
        found = _found()
        if found is None:
            unavailable(f"no Chromium ({why}): apt-get install chromium")
    return found


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _install() -> str:
    """Tries; returns what to say if there is still none."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "and it may not be installed by this user"
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", "-qq", *arguments],
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        if done.returncode != 0:
            words = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            return f"apt-get {arguments[0]}: {words}"
    return "installed, but not found"
