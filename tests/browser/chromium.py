"""Finds a Chromium, and installs Debian's where that is allowed (as root, by apt-get)."""

from __future__ import annotations

import shutil
from functools import cache

from tests.conftest import unavailable
from tests.packages import install

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-dejavu-core")


@cache
def chromium() -> str:
    """Its path. Where none can be had: a skip with the reason, a failure under CI."""
    found = _found()
    if found is None:
        why = install(*PACKAGES)
        found = _found()
        if found is None:
            unavailable(f"no Chromium ({why}): apt-get install chromium")
    return found


def _found() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)
