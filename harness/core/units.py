"""Times and sizes as people type them and as they read them."""

from __future__ import annotations

import re

from harness.core.errors import UsageError

SECOND = 1_000_000_000
MILLISECOND = 1_000_000

_TIME = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "m": 60.0, "h": 3600.0}
_SIZE = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_time(text: str) -> float:
    """``60``, ``60s``, ``2m``, ``500ms`` in seconds.

    Raises:
        UsageError: not a time.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|us|s|m|h|)", text.strip())
    if match is None:
        raise UsageError(f"not a time: {text!r} (write 60, 60s, 2m or 500ms)")
    return float(match[1]) * _TIME[match[2]]


def parse_size(text: str) -> int:
    """``2G``, ``512M``, ``4096`` in bytes.

    Raises:
        UsageError: not a size.
    """
    match = re.fullmatch(r"(\d+)([KMG]?)i?B?", text.strip())
    if match is None:
        raise UsageError(f"not a size: {text!r} (write 512M or 2G)")
    return int(match[1]) * _SIZE[match[2]]


def show_ms(nanoseconds: int) -> str:
    """A duration in words: ``212 ms``, ``1.3 s``, ``0.4 ms``."""
    milliseconds = nanoseconds / MILLISECOND
    if milliseconds >= 10_000:
        return f"{milliseconds / 1000:,.0f} s"
    if milliseconds >= 1_000:
        return f"{milliseconds / 1000:.1f} s"
    if milliseconds >= 10:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds:.1f} ms"
