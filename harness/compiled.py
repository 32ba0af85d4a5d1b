"""The hot parts of a simulated run, compiled from their very sources, where they were installed.

mypyc makes C of the modules in :data:`MODULES`; nothing but time is different with it, and the
tests hold a run's bytes to that. Imported before any of them, this module has Python load the
compiled ones instead, all or none. Python it is

- where they were left out at installation, or ``QUORUM_NATIVE=0`` asks for it;
- when the sources are not those that were compiled: who edits one runs what he wrote;
- when one of them was imported before;
- in the nodes of real runs, always: those run on nothing but Python.

See docs/compiled.md; ``compiling/`` builds them.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

MODULES = (
    "target.raft.messages",
    "target.raft.membership",
    "target.raft.duties",
    "target.raft.log",
    "target.raft.progress",
    "target.raft.quorum",
    "target.raft.reads",
    "target.raft.state",
    "target.raft.core",
    "target.events",
    "target.requests",
    "target.http",
    "target.machine",
    "target.node",
    "target.storage",
    "target.trace",
    "target.adapters.simulation",
    "harness.runtime.sim.agenda",
    "harness.runtime.sim.chance",
    "harness.runtime.sim.disk",
    "harness.runtime.sim.exchange",
    "harness.runtime.sim.machine",
    "harness.runtime.sim.network",
    "harness.core.traces",
    "harness.check.invariants.promise",
    "harness.check.invariants.node",
    "harness.check.invariants.elections",
    "harness.check.invariants.logs",
    "harness.check.invariants.majority",
    "harness.check.invariants.states",
    "harness.check.invariants.terms",
    "harness.check.invariants.watch",
)
"""What is compiled. The only list."""

GROUP = "quorum_compiled"
LIBRARY = f"{GROUP}__mypyc"
"""The one that holds the code of all modules."""
FOLDER = Path(__file__).parent / "_compiled"
STAMP = "stamp.json"
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))
"""Of the libraries of this Python."""


def path_of(name: str) -> Path:
    """A module's source, from the folder that holds the packages."""
    return Path(*name.split(".")).with_suffix(".py")


def sources(root: Path) -> dict[str, str]:
    """The sources in ``root``, by module.

    Raises:
        OSError: one of them is not there.
    """
    return {name: (root / path_of(name)).read_text(encoding="utf-8") for name in MODULES}


def digest(texts: Mapping[str, str]) -> str:
    """A hash of the sources."""
    whole = hashlib.sha256()
    for name, text in sorted(texts.items()):
        data = text.encode()
        whole.update(f"{name} {len(data)}\n".encode())
        whole.update(data)
    return whole.hexdigest()


class _Finder(MetaPathFinder):
    """Finds the compiled modules, before anybody looks for their sources."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """See the base class."""
        if fullname not in MODULES and fullname != LIBRARY:
            return None
        file = str(FOLDER / (fullname + SUFFIX))
        return spec_from_file_location(fullname, file, loader=ExtensionFileLoader(fullname, file))


def why_not(root: Path, folder: Path = FOLDER) -> str | None:
    """Why the modules compiled in ``folder`` cannot stand for the sources in ``root``, in this
    process and now; None when they can."""
    if os.environ.get("QUORUM_NATIVE") == "0":
        return "QUORUM_NATIVE=0 asks for Python"
    try:
        stamp = json.loads((folder / STAMP).read_text())
        current = digest(sources(root))
    except (OSError, ValueError):
        return "left out at installation (`make native` puts it in, with a C compiler)"
    if stamp.get("suffix") != SUFFIX:
        return f"made for another Python ({stamp.get('suffix')}): install again"
    if stamp.get("digest") != current:
        return "made of other sources than those here (`make native` makes it again)"
    early = [name for name in MODULES if name in sys.modules]
    return f"{early[0]} was imported before harness.compiled" if early else None


def _install() -> str | None:
    """Puts the compiled modules in use, or says why not."""
    missing = why_not(FOLDER.parent.parent)
    if missing is None:
        sys.meta_path.insert(0, _Finder())
    return missing


MISSING = _install()
"""Why the compiled modules are not in use; None when they are."""
