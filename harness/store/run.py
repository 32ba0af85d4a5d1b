"""The folder of a run: written as things happen, so that a crash loses nothing that happened.

    plan.json  meta.json  history.jsonl  faults.jsonl  samples.jsonl  nodes/<n>/  verdict.json

``meta.json`` holds what is known only once the run is under way (the clock's origin, when each
phase began) and is replaced as a whole each time; the ``.jsonl`` files only grow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness.core.clock import HOST, here
from harness.core.errors import EnvironmentFailure
from harness.core.faults import FaultRecord
from harness.core.operations import Event
from harness.core.plan import Plan, RunSpec
from harness.core.protocols import NodeStatus
from harness.core.run import Ending, Noticed
from harness.core.verdict import CheckResult
from harness.store.codec import to_json
from harness.store.jsonl import Header, HistoryWriter
from harness.store.layout import (
    FAULTS,
    HISTORY,
    META,
    NODES,
    PLAN,
    SAMPLES,
    VERDICT,
    FaultLine,
    Judgement,
    Meta,
    Phase,
    SampleLine,
)
from harness.store.load import load_run

__all__ = ["RunFolder", "load_run", "save_judgement"]


@dataclass(slots=True)
class RunFolder:
    """A run's folder while the run goes on; an engine's recorder (``event``, ``fault``, …)."""

    path: Path
    meta: Meta
    _history: HistoryWriter | None = None
    _faults: BinaryIO | None = None
    _samples: BinaryIO | None = None
    _nodes: tuple[str, ...] = field(default=())
    _made_ns: int = field(default_factory=lambda: here().monotonic_ns())
    _early: tuple[Phase, ...] = ()

    @classmethod
    def create(cls, out: Path, spec: RunSpec, now: datetime | None = None) -> RunFolder:
        """``out/<name>/<UTC>-<seed>/``, and ``out/latest`` pointing to it.

        Raises:
            EnvironmentFailure: it cannot be made.
        """
        started = now or datetime.now(UTC)
        stamp = started.strftime("%Y%m%dT%H%M%SZ")
        try:
            path = _fresh(out / spec.name, f"{stamp}-{spec.seed}")
            (path / NODES).mkdir()
            _point(out / "latest", path)
            folder = cls(path, Meta(version=1, started_utc=started.isoformat(timespec="seconds")))
            folder._save(META, to_json(folder.meta, indent=True))
        except OSError as error:
            raise EnvironmentFailure(f"cannot make a run's folder in {out}: {error}") from error
        return folder

    @property
    def nodes(self) -> Path:
        """Where the nodes' homes appear: ``nodes/<n>``."""
        return self.path / NODES

    def save_plan(self, plan: Plan) -> None:
        """Writes plan.json."""
        self._nodes = plan.nodes
        self._save(PLAN, to_json(plan, indent=True))

    def begin(self, origin_ns: int, model: str | None = None, checkers: Sequence[str] = ()) -> None:
        """Run time zero: ``origin_ns`` is CLOCK_MONOTONIC there. Opens the files that grow."""
        names = tuple(checkers)
        before = tuple(Phase(it.name, it.at_ns + self._made_ns - origin_ns) for it in self._early)
        self._update(
            replace(
                self.meta,
                origin_monotonic_ns=origin_ns,
                model=model,
                checkers=names,
                phases=before,
            )
        )
        clock = here()
        began = datetime.fromtimestamp(clock.wall_ns() // 1_000_000_000, UTC)
        header = Header(
            origin_monotonic_ns=origin_ns,
            started_utc=began.isoformat(timespec="seconds"),
            model=model,
            nodes=self._nodes,
        )
        # Where time is a run's own, nobody reads along, and what a crash takes can be had again.
        self._history = HistoryWriter(self.path / HISTORY, header, held=clock is not HOST)
        self._faults = _grow(self.path / FAULTS)
        self._samples = _grow(self.path / SAMPLES)

    def event(self, event: Event) -> None:
        """Appends a call or a completion to history.jsonl."""
        if self._history is None:
            raise RuntimeError("an event before the run's clock began: call begin first")
        self._history.write(event)

    def fault(self, record: FaultRecord) -> None:
        """Appends to faults.jsonl: a beginning, or, with ``ended_ns``, an end."""
        if self._faults is None:
            raise RuntimeError("a fault before the run's clock began: call begin first")
        what = "began" if record.ended_ns is None else "ended"
        self._faults.write(to_json(FaultLine(what, record)))

    def sample(self, at_ns: int, statuses: Mapping[str, NodeStatus]) -> None:
        """Appends to samples.jsonl."""
        if self._samples is None:
            raise RuntimeError("a sample before the run's clock began: call begin first")
        line = SampleLine(at_ns, here().wall_ns(), tuple(statuses.values()))
        # Nothing but numbers and words in it: no need of what to_json knows of values.
        self._samples.write(msgspec.json.encode(line) + b"\n")

    def phase(self, at_ns: int, name: str) -> None:
        """A phase began; before run time zero is known, it is told from the folder's making."""
        if self.meta.origin_monotonic_ns is None:
            at_ns = here().monotonic_ns() - self._made_ns
            self._early = (*self._early, Phase(name, at_ns))
        self._update(replace(self.meta, phases=(*self.meta.phases, Phase(name, at_ns))))

    def note(self, words: str) -> None:
        """Something worth a line in the report."""
        self._update(replace(self.meta, notes=(*self.meta.notes, words)))

    def noticed(self, noticed: Noticed) -> None:
        """A violation was seen while the run goes on."""
        self._update(replace(self.meta, noticed=noticed))

    def finish(self, duration_ns: int) -> None:
        """The run's load and final reads are over; closes the files that grow."""
        self._update(replace(self.meta, duration_ns=duration_ns))
        self.close()

    def save_ending(self, ending: Ending, results: Sequence[CheckResult], digest: str = "") -> None:
        """Writes verdict.json."""
        save_judgement(self.path, ending, results, digest)

    def close(self) -> None:
        """Idempotent."""
        for file in (self._history, self._faults, self._samples):
            if file is not None:
                file.close()

    def _update(self, meta: Meta) -> None:
        self.meta = meta
        self._save(META, to_json(meta, indent=True))

    def _save(self, name: str, content: bytes) -> None:
        replace_file(self.path / name, content)


def save_judgement(
    folder: Path, ending: Ending, results: Sequence[CheckResult], digest: str = ""
) -> None:
    """Writes verdict.json."""
    judgement = Judgement(1, ending, tuple(results), digest)
    replace_file(folder / VERDICT, to_json(judgement, indent=True))


def replace_file(path: Path, content: bytes) -> None:
    """As a whole or not at all: a reader never sees half a file."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_bytes(content)
    half.replace(path)


def _fresh(parent: Path, name: str) -> Path:
    """A folder that did not exist: two runs of one seed in one second get a number each."""
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = parent / (name if number == 1 else f"{name}.{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def _point(link: Path, path: Path) -> None:
    """Replaces the symlink in one step, so that ``latest`` always leads somewhere."""
    half = link.with_name(f".{link.name}.{os.getpid()}")
    half.unlink(missing_ok=True)
    half.symlink_to(path.relative_to(link.parent), target_is_directory=True)
    half.replace(link)


def _grow(path: Path) -> BinaryIO:
    """Unbuffered: each line is one ``write``, so that a crash can only cut the last one."""
    return path.open("ab", buffering=0)
