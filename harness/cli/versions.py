"""What a run was made with, to say later why it is not the same any more."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from harness import __version__

DECISIVE = ("quorum-harness", "code", "python", "msgspec")
"""Those that may change what a simulated run does; the others are of real machines."""

_CODE = ("harness", "nemesis", "workloads", "target")


def versions() -> dict[str, str]:
    """What this run is made with."""
    named = {
        "quorum-harness": __version__,
        "code": code(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
    }
    for package in ("docker", "msgspec"):
        try:
            named[package] = version(package)
        except PackageNotFoundError:
            continue
    return named


def changed(then: Mapping[str, str]) -> tuple[str, ...]:
    """In words, which decisive versions are others now; empty when none is."""
    now = versions()
    return tuple(
        f"{name} {then.get(name, 'unknown')} then, {now.get(name, 'none')} now"
        for name in DECISIVE
        if then.get(name) != now.get(name)
    )


@cache
def code() -> str:
    """A hash over the sources that take part in a run: between two releases they change too."""
    whole = hashlib.sha256()
    for package in _CODE:
        found = find_spec(package)
        for place in (found and found.submodule_search_locations) or ():
            for path in sorted(Path(place).rglob("*.py")):
                content = path.read_bytes()
                name = path.relative_to(place).as_posix()
                whole.update(f"{package}/{name} {len(content)}\n".encode() + content)
    return whole.hexdigest()[:12]
