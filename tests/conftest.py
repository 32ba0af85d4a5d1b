"""What all tests share: Hypothesis profiles, and the rule that CI never skips the real parts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# The tests are of Python as it is written; tests/sim/test_compiled.py holds what is compiled to it.
os.environ.setdefault("QUORUM_NATIVE", "0")

from harness import compiled

TESTS = Path(__file__).parent
CI = os.environ.get("CI") == "true"

hypothesis.settings.register_profile("dev", max_examples=50, deadline=None)
hypothesis.settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, print_blob=True
)
hypothesis.settings.register_profile("soak", max_examples=5_000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if CI else "dev"))


def unavailable(reason: str) -> NoReturn:
    """A real part cannot be tested here: a failure under CI, a skip with its reason elsewhere."""
    if CI:
        pytest.fail(f"required under CI: {reason}")
    pytest.skip(reason)


REAL = {"docker", "netns", "browser", "kernel"}
ON_NODES = (
    "tests/browser/",
    "tests/cli/",
    "tests/conformance/",
    "tests/unit/agent/test_netem.py",
    "tests/unit/nemesis/test_real.py",
)
"""Where tests use real nodes, or look at the machine as a whole."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked as real is where :data:`ON_NODES` says."""
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if not (REAL.isdisjoint(marks) or item.nodeid.startswith(ON_NODES)):
            raise pytest.UsageError(f"{item.nodeid} needs real nodes: add its file to ON_NODES")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """What uses real nodes is for one process of the two, all else goes by files.

    It mostly waits, and two of it would see each other's containers. All else computes.
    """
    return ByNodes(config, log)


class ByNodes(LoadScopeScheduling):  # type: ignore[misc]  # It says nothing of its types.
    """By file, but all that is on nodes together."""

    def _split_scope(self, nodeid: str) -> str:
        return "nodes" if nodeid.startswith(ON_NODES) else nodeid.partition("::")[0]


def pytest_report_header() -> str:
    """Which simulation these tests are of."""
    return f"simulation: {'compiled' if compiled.MISSING is None else 'python'}"
