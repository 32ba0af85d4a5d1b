"""Runs that are none: what a campaign calls in its processes."""

from __future__ import annotations

import os
import time

from harness.core.plan import RunSpec
from harness.core.trials import Tried
from harness.core.verdict import ExitCode


def sevens_fail(spec: RunSpec) -> Tried:
    """Fails for every seed that ends in 7; says which process ran it."""
    failed = spec.seed % 10 == 7
    code = ExitCode.VIOLATION if failed else ExitCode.VALID
    return Tried(spec, str(os.getpid()), code, "")


def sevens_hang(spec: RunSpec) -> Tried:
    """Never comes back for seed 7."""
    while spec.seed == 7:
        time.sleep(60)
    return sevens_fail(spec)


def sevens_raise(spec: RunSpec) -> Tried:
    """A bug of the harness."""
    if spec.seed == 7:
        raise RuntimeError("seven")
    return sevens_fail(spec)
