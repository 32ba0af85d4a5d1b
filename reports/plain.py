"""Progress as lines: for pipes, files and CI logs."""

from __future__ import annotations

from typing import TextIO

from harness.core.events import (
    Checked,
    FaultChanged,
    JudgedSoFar,
    NodesSampled,
    Noted,
    OperationEnded,
    PhaseBegan,
    RunEnded,
    RunEvent,
    RunStarted,
    ViolationNoticed,
)
from harness.core.faults import FaultRecord
from harness.core.units import SECOND
from reports.glyphs import Glyphs
from reports.progress import Progress
from reports.words import (
    clean,
    noticed_words,
    options_line,
    path_words,
    runtime_line,
    so_far,
    stamp,
)

HEARTBEAT_NS = 10 * SECOND


class PlainView:
    """A line for each event that is worth one, time first, flushed at once.

    Every ten seconds of a run there is a heartbeat, so that a CI sees life.
    """

    def __init__(self, stream: TextIO, glyphs: Glyphs) -> None:
        self._stream = stream
        self._glyphs = glyphs
        self._beat_ns = HEARTBEAT_NS

    def show(self, event: RunEvent, progress: Progress) -> None:
        """What the event is worth."""
        match event:
            case RunStarted(plan, folder):
                self._beat_ns = HEARTBEAT_NS
                self.line(options_line(plan))
                self.line(runtime_line(plan))
                for note in plan.notes[1:]:
                    self.line(note)
                self.line(f"folder {path_words(folder)}")
            case PhaseBegan(at_ns, phase):
                self._timed(at_ns, phase)
            case Noted(at_ns, words):
                self._timed(at_ns, words)
            case FaultChanged(at_ns, record):
                self._timed(at_ns, fault_line(record))
            case Checked(at_ns, result):
                self._timed(at_ns, f"{result.checker}: {result.verdict.value}, {result.reason}")
            case ViolationNoticed(at_ns, noticed):
                self._timed(at_ns, noticed_words(noticed))
            case JudgedSoFar():
                pass
            case OperationEnded(at_ns) | NodesSampled(at_ns):
                if at_ns >= self._beat_ns:
                    self._heartbeat(at_ns, progress)
            case RunEnded():
                pass

    def line(self, text: str) -> None:
        """One line; nothing that a value holds can make it a command of a CI."""
        self._stream.write(guarded(self._glyphs.fit(clean(text))) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to undo."""

    def _timed(self, at_ns: int, words: str) -> None:
        self.line(f"{stamp(at_ns)}  {words}")

    def _heartbeat(self, at_ns: int, progress: Progress) -> None:
        self._beat_ns = (at_ns // HEARTBEAT_NS + 1) * HEARTBEAT_NS
        self._timed(
            at_ns,
            f"running  {progress.share:.0%}  {progress.total:,} ops  ok {progress.ok:,}"
            f"  failed {progress.fail:,}  unknown {progress.info:,}",
        )
        if progress.so_far is not None:
            self._timed(at_ns, f"so far   {so_far(progress.so_far)}")


def fault_line(record: FaultRecord) -> str:
    """``fault F2 partition n1 n2 | n3 n4 n5 (leader was n2): began``."""
    head = f"fault {record.id} {record.kind} {record.words}".rstrip()
    if record.error is not None:
        return f"{head}: FAILED: {record.error}"
    if record.ended_ns is None:
        return f"{head}: began"
    bit = "bit" if record.bit.holds else "DID NOT BITE"
    healed = "healed" if record.healed.holds else "NOT HEALED"
    return f"{head}: {bit} ({record.bit.words}), {healed} ({record.healed.words})"


def guarded(line: str) -> str:
    """GitHub takes a line for a command when it begins with ``::``, spaces or not, or has
    ``##[`` anywhere (the runner's ActionCommand). A bar in front, or a space inside, ends that."""
    if line.lstrip().startswith("::"):
        line = f"| {line}"
    return line.replace("##[", "## [")
