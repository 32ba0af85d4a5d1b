"""What runs are about to do to the machine, on disk before they do it.

For each run one file: whose it is, and every effect that does not end with a process, by a name
under which it can be found and undone. It is written and synced before the first of them is made,
and removed after the last is gone. So whatever was killed, and whatever somebody else removed
meanwhile, the next run and ``harness clean`` know what to look for.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.core.errors import EnvironmentFailure

SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Entry:
    """A run's file: ``owner`` is the text by which its process is known, ``where`` the engine that
    it uses, ``effects`` are names by kind (``container``, ``network``, ``firewall table``)."""

    run_id: str
    owner: str
    where: str
    effects: Mapping[str, Sequence[str]]


def folder() -> Path:
    """Where the files are: ``$XDG_STATE_HOME/quorum-harness`` (~/.local/state), or, where that
    cannot be written, a folder of this user's among the temporary ones."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    wanted = Path(base) / "quorum-harness"
    with suppress(OSError):
        wanted.mkdir(parents=True, exist_ok=True)
        if os.access(wanted, os.W_OK):
            return wanted
    return Path(tempfile.gettempdir()) / f"quorum-harness-{os.getuid()}"


def write(entry: Entry, at: Path | None = None) -> None:
    """Before the first effect is made.

    Raises:
        EnvironmentFailure: it cannot be written, so nothing may be done either.
    """
    at = at or folder()
    half, path = at / f".{entry.run_id}{SUFFIX}", _path(entry.run_id, at)
    try:
        at.mkdir(parents=True, exist_ok=True)
        with half.open("w") as file:
            json.dump(asdict(entry), file)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot note what will have to be undone ({error.filename}: {error.strerror}): "
            "set XDG_STATE_HOME to a folder that can be written"
        ) from error


def forget(run_id: str, at: Path | None = None) -> None:
    """After the last effect is gone. Idempotent."""
    with suppress(OSError):
        _path(run_id, at or folder()).unlink()


def entries(at: Path | None = None) -> tuple[Entry, ...]:
    """Of all runs that have not undone everything, the living included; by run id."""
    found = []
    for path in sorted((at or folder()).glob(f"[!.]*{SUFFIX}")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            data = json.loads(path.read_text())
            found.append(Entry(**data))
    return tuple(found)


def _path(run_id: str, at: Path) -> Path:
    return at / f"{run_id}{SUFFIX}"
