"""What tests of the docker runtime share."""

from __future__ import annotations

import gc
import warnings


def collect_sdk_garbage() -> None:
    """The SDK leaves the socket of a failed connection to the collector, which would complain."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
