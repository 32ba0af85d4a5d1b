"""One number for all that a run recorded: equal numbers, equal bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.store.layout import FAULTS, HISTORY, SAMPLES
from harness.store.load import find_traces


def digest(folder: Path) -> str:
    """SHA-256, in hex, over history, faults, samples and the nodes' traces.

    In a simulation the time of day is the world's, like all other time: two runs of one plan have
    the same digest, whenever and wherever they ran. A file that is not there counts as empty.

    Raises:
        OSError: one of the files cannot be read.
    """
    files = {name: _content(folder / name) for name in (HISTORY, FAULTS, SAMPLES)}
    files |= {f"trace/{node}": path.read_bytes() for node, path in find_traces(folder).items()}
    whole = hashlib.sha256()
    for name, content in sorted(files.items()):
        # The length in front: where one file ends and the next begins is part of the number.
        whole.update(f"{name} {len(content)}\n".encode())
        whole.update(content)
    return whole.hexdigest()


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
