"""One number for all that a run recorded: equal numbers, equal bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from harness.store.layout import FAULTS, HISTORY
from harness.store.load import find_traces


def digest(folder: Path) -> str:
    """SHA-256, in hex, over history, faults and the nodes' traces.

    Of what the wall clock says nothing takes part: two runs of one plan in simulation have the
    same digest, whenever and wherever they ran. A file that is not there counts as an empty one.

    Raises:
        OSError: one of the files cannot be read.
    """
    files = {HISTORY: _history(folder / HISTORY), FAULTS: _content(folder / FAULTS)}
    files |= {f"trace/{node}": path.read_bytes() for node, path in find_traces(folder).items()}
    whole = hashlib.sha256()
    for name, content in sorted(files.items()):
        # The length in front: where one file ends and the next begins is part of the number.
        whole.update(f"{name} {len(content)}\n".encode())
        whole.update(content)
    return whole.hexdigest()


def _history(path: Path) -> bytes:
    """The events, and the header without the time of day."""
    first, newline, rest = _content(path).partition(b"\n")
    try:
        header = json.loads(first)
        header.pop("started_utc", None)
    except (ValueError, AttributeError):
        return first + newline + rest
    return json.dumps(header, sort_keys=True).encode() + newline + rest


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
