"""The search beside the run: in a process of its own, or, where time is simulated, in this one.

A process of its own is never in the way of the engine's event loop. It reads history.jsonl as it
is written, and its standard input tells it when to end: that closes however the harness ends.

    python -m harness.cli.following HISTORY MODEL
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from math import inf
from pathlib import Path

from harness.check.online import Online, SoFar
from harness.core.events import JudgedSoFar, ViolationNoticed
from harness.core.operations import Complete, Event
from harness.core.protocols import Limits, Workload
from harness.core.run import Noticed
from harness.core.verdict import Verdict
from harness.engine.journal import Journal
from harness.store.tail import Tail

LIMITS = Limits(time_s=5.0, memory_bytes=512 << 20)
"""Of the search beside the run; what takes more is for the check after it."""

NICE = 10
"""The nodes and the clients come first."""

READ_S = 0.05
"""Seconds between two reads of the history."""

LOOK_S, SHARE = 0.25, 4
"""Seconds between two looks; and of the time, a look may take one part in this many."""

EVERY = 64
"""Completed operations between two looks of an inline watch."""

LONGEST = 200
"""Characters of a limit in words; it may quote the history."""

END_LIMIT_S = 2.0


def judged_live(workload: Workload) -> str | None:
    """The model that a run of this workload is searched with while it goes on, if any."""
    return workload.model if "linearizable" in workload.checkers else None


@dataclass(slots=True)
class Inline:
    """Feeds every event at once and looks every so many operations: the same run, the same words.

    For runtimes whose time stands still while it thinks.
    """

    model: str
    keep_going: bool
    _online: Online = field(init=False)
    _new: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: int = 0

    def __post_init__(self) -> None:
        # No clock has a say in it: only the work that a search takes limits it.
        self._online = Online(self.model, replace(LIMITS, time_s=inf))

    def event(self, event: Event) -> None:
        """An event was recorded."""
        self._online.feed(event)
        if isinstance(event, Complete):
            self._ended += 1
            if self._ended % EVERY == 0:
                self._online.look()
                self._new.set()

    async def until_stop(self, journal: Journal) -> None:
        """Returns at the first violation, unless the run is to keep going."""
        teller = _Teller(journal, self.keep_going)
        while True:
            await self._new.wait()
            self._new.clear()
            if teller.tell(_plain(self._online.verdict_so_far)):
                return


@dataclass(frozen=True, slots=True)
class Follower:
    """The search in a process of its own. That it fails is no failure of the run."""

    history: Path
    model: str
    keep_going: bool

    def event(self, event: Event) -> None:
        """The other process reads it from the file."""

    async def until_stop(self, journal: Journal) -> None:
        """Returns at the first violation, unless the run is to keep going."""
        command = (sys.executable, "-m", "harness.cli.following", str(self.history), self.model)
        try:
            # A session of its own: Ctrl-C is the harness' business.
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            journal.note(f"not searched while it goes on: {error}")
            return await _for_ever()
        try:
            teller = _Teller(journal, self.keep_going)
            assert process.stdout is not None
            async for line in process.stdout:
                if teller.tell(_read(line)):
                    return None
            journal.note("the search beside the run has ended; the check after it decides")
        finally:
            await _end(process)
        return await _for_ever()


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its input closes, and it goes; if it does not, it is killed."""
    assert process.stdin is not None
    process.stdin.close()
    with suppress(TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(END_LIMIT_S):
            await process.wait()
            return
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


@dataclass(slots=True)
class _Teller:
    """Passes on what the search says: the verdict so far each time, a violation once."""

    journal: Journal
    keep_going: bool
    _noticed: bool = False

    def tell(self, so_far: _Told) -> bool:
        """Whether the load has to stop."""
        now = self.journal.now()
        behind = so_far.checked < len(self.journal.operations)
        self.journal.tell(
            JudgedSoFar(
                now,
                so_far.verdict,
                so_far.checked,
                max(0, now - so_far.at_ns) if behind else 0,
                so_far.limit,
            )
        )
        if so_far.operation is None or self._noticed:
            return False
        self._noticed = True
        culprit = next(
            item for item in reversed(self.journal.operations) if item.index == so_far.operation
        )
        noticed = Noticed(
            culprit.index, culprit.call.key, culprit.end or 0, now, stopped=not self.keep_going
        )
        self.journal.tell(ViolationNoticed(now, noticed))
        return not self.keep_going


@dataclass(frozen=True, slots=True)
class _Told:
    """What is known so far, as it goes over the pipe; ``operation`` is the culprit's index."""

    verdict: Verdict
    checked: int
    at_ns: int
    limit: str | None = None
    operation: int | None = None


def _plain(so_far: SoFar) -> _Told:
    found = so_far.violation
    return _Told(
        so_far.verdict,
        so_far.checked,
        so_far.at_ns,
        so_far.limit and so_far.limit[:LONGEST],
        None if found is None else found.operation.index,
    )


def _write(told: _Told) -> bytes:
    return json.dumps(asdict(told) | {"verdict": told.verdict.value}).encode() + b"\n"


def _read(line: bytes) -> _Told:
    data = json.loads(line)
    return _Told(**data | {"verdict": Verdict(data["verdict"])})


def follow(history: Path, model: str) -> None:
    """Searches a history that is being written, until standard input ends.

    Writes a line whenever more is known: at once for a violation, otherwise at most every
    ``LOOK_S``, and never so often that looking takes more than its share of the time.
    """
    online, tail = Online(model, LIMITS), Tail()
    due = 0.0
    changed = False
    with history.open("rb") as file:
        while not select.select([sys.stdin], [], [], READ_S)[0]:
            for event in tail.read(file.read()):
                online.feed(event)
                changed = True
            began = time.monotonic()
            if changed and began >= due and online.verdict_so_far.violation is None:
                changed = False
                told = _write(_plain(online.look()))
                os.write(sys.stdout.fileno(), told)
                took = time.monotonic() - began
                due = began + max(LOOK_S, SHARE * took)


def main() -> None:
    """The process beside a run."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.nice(NICE)
    follow(Path(sys.argv[1]), sys.argv[2])


if __name__ == "__main__":
    main()
