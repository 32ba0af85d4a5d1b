"""The search beside a run: what it tells, and when it wants the load to stop."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.following import EVERY, Inline
from harness.core.events import JudgedSoFar, RunEvent, ViolationNoticed
from harness.core.operations import Call, Complete, Completion, Event, Invoke, Outcome, pair
from harness.core.values import Value
from harness.core.verdict import Verdict
from harness.engine.journal import Journal
from harness.store.jsonl import Header, HistoryWriter
from tests.unit.engine.parts import Memory


def pairs(count: int, last: Value = 1) -> list[Event]:
    """Reads of 1 after a write of it, the last of them of something else."""
    events: list[Event] = []
    for number in range(count):
        call = Call("read", "k") if number else Call("write", "k", 1)
        value = None if not number else last if number == count - 1 else 1
        at_ns = 2 * number
        events.append(Invoke(at_ns, number, None, at_ns, call))
        events.append(Complete(at_ns + 1, at_ns, at_ns + 1, Completion(Outcome.OK, value)))
    return events


@pytest.mark.parametrize("keep_going", [False, True])
def test_inline_it_tells_once_and_stops_unless_told_to_keep_going(keep_going: bool) -> None:
    told: list[RunEvent] = []
    watch = Inline("register", keep_going)

    async def go() -> None:
        journal = Journal(Memory(), (told.append,))
        task = asyncio.create_task(watch.until_stop(journal))
        events = pairs(EVERY - 1, last=2) + later(pairs(2 * EVERY), EVERY)
        journal.operations.extend(pair(events))
        for event in events:
            watch.event(event)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert task.done() is not keep_going
        task.cancel()

    asyncio.run(go())
    noticed = [event.noticed for event in told if isinstance(event, ViolationNoticed)]
    assert [(item.operation, item.key, item.stopped) for item in noticed] == [
        (2 * (EVERY - 2), "k", not keep_going)
    ]


def later(events: list[Event], by: int) -> list[Event]:
    """The same on another key, after ``by`` operations."""
    moved: list[Event] = []
    for event in events:
        match event:
            case Invoke(index, process, node, at_ns, call):
                call = Call(call.f, "other", call.value)
                moved.append(Invoke(index + 2 * by, process, node, at_ns + 2 * by, call))
            case Complete(index, of, at_ns, completion):
                moved.append(Complete(index + 2 * by, of + 2 * by, at_ns + 2 * by, completion))
    return moved


def test_beside_it_reads_what_is_written_and_ends_with_its_input(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    writer = HistoryWriter(path, Header(model="register"))
    with subprocess.Popen(
        [sys.executable, "-m", "harness.cli.following", str(path), "register"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        told = ""
        for event in pairs(9, last=2) + later(pairs(9), 9):
            writer.write(event)
        while '"operation": 16' not in told:
            told = process.stdout.readline()
            assert told, "it ended without a word"
        process.stdin.close()
        assert process.wait(timeout=20) == 0
    writer.close()


def test_the_verdict_so_far_is_told_with_how_far_behind_it_is() -> None:
    told: list[RunEvent] = []
    watch = Inline("register", keep_going=False)

    async def go() -> None:
        task = asyncio.create_task(watch.until_stop(Journal(Memory(), (told.append,))))
        for event in pairs(EVERY):
            watch.event(event)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()

    asyncio.run(go())
    (so_far,) = (event for event in told if isinstance(event, JudgedSoFar))
    assert (so_far.verdict, so_far.checked, so_far.behind_ns) == (Verdict.VALID, EVERY - 1, 0)
