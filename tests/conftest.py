"""What all tests share: Hypothesis profiles, and the rule that CI never skips the real parts."""

from __future__ import annotations

import os
from typing import NoReturn

import hypothesis
import pytest

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
