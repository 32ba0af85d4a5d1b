"""Finds targets, workloads, nemeses and runtimes by entry-point name.

A stranger's package adds one by declaring an entry point in the group; nothing here, and nothing
in the engine, refers to any of them by a static import.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from harness.core.cluster import Runtime
from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.protocols import Nemesis

KINDS = ("targets", "workloads", "nemeses", "runtimes")
_SINGULAR = {
    "targets": "target",
    "workloads": "workload",
    "nemeses": "nemesis",
    "runtimes": "runtime",
}


def found(kind: str) -> dict[str, EntryPoint]:
    """Entry points of a kind (one of :data:`KINDS`) by name, sorted.

    Raises:
        EnvironmentFailure: none at all, which means that the package is not installed.
    """
    points = {point.name: point for point in entry_points(group=f"quorum_harness.{kind}")}
    if not points:
        raise EnvironmentFailure(
            f"no {kind} are installed: run `pip install .` in the checkout (or `make run`)"
        )
    return dict(sorted(points.items()))


@cache
def load(kind: str, name: str) -> Any:
    """The class behind a name. Any: only the caller knows which protocol it asked for.

    Looked up once: reading the metadata of all that is installed takes as long as a short
    simulated run.

    Raises:
        UsageError: no such name; the message lists those there are.
    """
    points = found(kind)
    if name not in points:
        known = ", ".join(points)
        raise UsageError(f"unknown {_SINGULAR[kind]} {name!r} (there are: {known})")
    return points[name].load()


def nemesis(name: str) -> Nemesis:
    """The nemesis ``name`` (without narrowing)."""
    made: Nemesis = load("nemeses", name)()
    return made


def runtime(name: str) -> Runtime:
    """The runtime ``name``."""
    made: Runtime = load("runtimes", name)()
    return made
