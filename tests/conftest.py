"""What all tests share: Hypothesis profiles, and the rule that CI never skips the real parts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

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


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own hook, and would come first.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses real nodes, or looks at the machine as a whole, is for one process of the two.

    It mostly waits, and two of it would see each other's containers. All else computes.
    """
    for item in items:
        room = item.path.relative_to(TESTS).parts[0]
        marks = {mark.name for mark in item.iter_markers()}
        if room in ("browser", "cli", "conformance") or not REAL.isdisjoint(marks):
            item.add_marker(pytest.mark.xdist_group("nodes"))


def pytest_report_header() -> str:
    """Which simulation these tests are of."""
    return f"simulation: {'compiled' if compiled.MISSING is None else 'python'}"
