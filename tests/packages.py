"""Installs Debian's packages that tests need, where that is allowed (as root, by apt-get)."""

from __future__ import annotations

import os
import shutil
import subprocess

INSTALL_S = 250
PATIENT = ("-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120")
"""A mirror that hiccups, or somebody else who is installing, is no reason to fail."""


def install(*packages: str) -> str:
    """Tries; returns what to say if what was wanted is not there even now."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "and it may not be installed by this user"
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-qq", *PATIENT, *arguments],
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
