"""One seed, named substreams.

Every random choice is made at plan time from a stream derived from the run's seed and a name, so
that adding a draw in one place does not shift the draws of another.
"""

from __future__ import annotations

import hashlib
import random


def derive(seed: int, name: str) -> random.Random:
    """An independent stream for ``name`` (such as ``nemesis/partition``).

    The derivation is SHA-256 over seed and name: stable over processes, platforms and
    PYTHONHASHSEED.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))
