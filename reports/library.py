"""The plotting library, read from an installed package and never kept in the repository.

The ``youplot`` wheel carries upstream's build of uPlot 1.6.31. It goes into a page that people
open on their machines, so only the very file that was looked at is used: a different one, or
none, leaves the page with still pictures, and the page says so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

SCRIPT_SHA256 = "2d27e8ad3d228164525ce213f9dc716f39b4e3aee0cc773fb3491c96cf4921a2"
STYLE_SHA256 = "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"
NAME = "uPlot 1.6.31"


@dataclass(frozen=True, slots=True)
class Library:
    """The library's two files; empty with ``missing`` saying why there are none."""

    script: str = ""
    style: str = ""
    missing: str = ""


def load(package: str = "youplot", script_sha256: str = SCRIPT_SHA256) -> Library:
    """Reads and checks the library. Never raises: a report without it is still a report."""
    try:
        folder = files(package) / "vendor"
        script = (folder / "uplot.iife.min.js").read_bytes()
        style = (folder / "uplot.min.css").read_bytes()
    except (ImportError, OSError):
        return Library(
            missing=f"{NAME} was not found, so the plots are still pictures: pip install youplot"
        )
    if hashlib.sha256(script).hexdigest() != script_sha256:
        return Library(
            missing=f"the installed {package} holds another uPlot than {NAME}, which is not "
            "trusted, so the plots are still pictures: pip install youplot==1.0.0"
        )
    if hashlib.sha256(style).hexdigest() != STYLE_SHA256:
        return Library(missing=f"the installed {package} holds a style sheet that is not {NAME}'s")
    return Library(script.decode("utf-8"), style.decode("utf-8"))
