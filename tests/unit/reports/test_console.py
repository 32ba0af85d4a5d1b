"""The console: exact lines in a pipe, a panel on a terminal, no value that acts."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console as Terminal

import reports
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
from harness.core.faults import Proof
from harness.core.protocols import NodeStatus
from harness.core.run import Ending, Noticed, RunRecord
from harness.core.units import SECOND
from harness.core.verdict import ExitCode, Verdict
from reports import html, junit, live, machine
from reports.console import Console
from reports.glyphs import ASCII, UNICODE
from reports.plain import fault_line, guarded
from reports.progress import Progress
from tests.unit.reports import golden, records
from tests.unit.reports.records import FAULTS, FOLDER, HOSTILE, PLAN, ROLES

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Utf8(io.StringIO):
    """A stream that says which encoding it has, and whether it is a terminal."""

    def __init__(self, encoding: str = "utf-8", *, terminal: bool = False) -> None:
        super().__init__()
        self._encoding = encoding
        self._terminal = terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal


def events(record: RunRecord) -> Iterator[RunEvent]:
    """What the engine would have told of ``record``, in order."""
    yield RunStarted(PLAN, FOLDER)
    yield PhaseBegan(0, "set-up")
    yield PhaseBegan(0, "load")
    timed: list[tuple[int, int, RunEvent]] = []
    for item in record.history.operations:
        at_ns = item.start + 5 * SECOND if item.end is None else item.end
        timed.append((at_ns, 0, OperationEnded(at_ns, item)))
    for fault in record.faults:
        began, ended = fault.began_ns or 0, fault.ended_ns or 0
        timed.append((began, 1, FaultChanged(began, replace(fault, ended_ns=None))))
        timed.append((ended, 1, FaultChanged(ended, fault)))
    for second in range(60):
        at_ns = second * SECOND
        statuses = tuple(
            NodeStatus(span.node, span.role, span.term, None)
            for span in ROLES
            if span.start <= at_ns < span.end and span.role != "down"
        )
        timed.append((at_ns, 2, NodesSampled(at_ns, statuses)))
    for _, _, event in sorted(timed, key=lambda item: item[:2]):
        yield event
    yield Noted(60 * SECOND, "healed in 0.4 s")
    yield PhaseBegan(60 * SECOND, "check")
    for result in record.results:
        yield Checked(61 * SECOND, result)
    yield RunEnded(record.ending, record.results, FOLDER)


def shown(record: RunRecord, stream: Utf8, **env: str) -> str:
    console = Console(stream, env=env)
    for event in events(record):
        console(event)
    console.finish(record)
    return stream.getvalue()


def test_plain_lines() -> None:
    golden.check("stale-read.console.txt", shown(records.stale_read(), Utf8()))


def test_plain_lines_without_utf8() -> None:
    text = shown(records.stale_read(), Utf8("ascii"))
    assert text.isascii()
    golden.check("stale-read.console-ascii.txt", text)


@pytest.mark.parametrize("name", ["valid", "unknown", "inadequate", "two_leaders"])
def test_last_blocks(name: str) -> None:
    made = getattr(records, name)()
    stream = Utf8()
    Console(stream, env={}).finish(made)
    golden.check(f"{name}.block.txt", stream.getvalue())


@pytest.mark.parametrize("count", [9, 40])
def test_what_the_picture_cannot_hold_is_told(count: int) -> None:
    record = records.stale_read()
    indexes = tuple(item.index for item in record.history.operations[:count])
    steps = tuple(f"Step {number} of many." for number in range(1, count + 1))
    anomaly = replace(records.STALE, operations=indexes, culprit=indexes[-1], steps=steps, lane=())
    results = (replace(record.results[0], anomalies=(anomaly,)),)
    stream = Utf8()
    Console(stream, env={}).finish(replace(record, results=results))
    text = stream.getvalue()
    assert f"Step {count} of many. ✕ Legal here: 4." in text
    assert f"Step {count - 5} of many." in text
    assert f"Step {count - 6} of many." not in text
    assert f"{count - 6} more operations in the report." in text
    assert ("⑨├" in text) is (count == 9)


def test_lines_fit_80_columns() -> None:
    text = shown(records.stale_read(), Utf8())
    block = text[text.index("✕ INVALID") :].splitlines()
    words = [line for line in block if not re.match(r"  (report|run again|check again) ", line)]
    assert len(words) > 10
    assert all(len(line) <= 80 for line in words)


def test_first_lines_are_seed_and_runtime() -> None:
    lines = shown(records.valid(), Utf8()).splitlines()
    assert lines[0].startswith("seed 7312946 · raft · register")
    assert lines[1] == "runtime docker (docker works here)"


def test_a_terminal_gets_the_panel_and_a_ci_does_not() -> None:
    text = shown(records.stale_read(), Utf8(terminal=True))
    assert "\x1b[" in text
    assert "00:22.000  fault F2" not in text
    plain = ESCAPES.sub("", text)
    assert "✕ INVALID  not linearizable" in plain
    for env in ({"CI": "true"}, {"TERM": "dumb"}):
        text = shown(records.stale_read(), Utf8(terminal=True), **env)
        assert "\x1b" not in text
        assert "00:22.000  fault F2" in text


def test_no_color_is_honoured() -> None:
    colours = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    assert colours.search(shown(records.stale_read(), Utf8(terminal=True)))
    text = shown(records.stale_read(), Utf8(terminal=True), NO_COLOR="1")
    assert not colours.search(text)


def panel_at(seconds: float, ascii_only: bool = False) -> str:
    progress = Progress()
    for event in events(records.stale_read()):
        if getattr(event, "at_ns", 0) > seconds * SECOND:
            break
        progress.see(event)
    stream = io.StringIO()
    terminal = Terminal(file=stream, width=80, no_color=True, markup=False)
    terminal.print(live.panel(progress, ASCII if ascii_only else UNICODE))
    return stream.getvalue()


def test_the_panel_while_running() -> None:
    text = panel_at(26)
    golden.check("panel.txt", text)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert re.search(r"n2  LEADER \?  term 3  cut off", text)
    assert re.search(r"F1 partition n5 \| n1 n2 n3 n4  ✓ bit", text)
    assert re.search(r"F2 partition n1 n2 \| n3 n4 n5  4\.0 s", text)
    assert panel_at(26, ascii_only=True).isascii()
    assert re.search(r"n4  no answer", panel_at(36))


def test_what_went_wrong_with_a_fault_stays_on_the_screen() -> None:
    dull = replace(FAULTS[0], bit=Proof(False, "0 packets dropped"))
    broken = replace(FAULTS[1], ended_ns=None, error="nft: permission denied")
    assert "DID NOT BITE (0 packets dropped)" in fault_line(dull)
    assert fault_line(broken).endswith("FAILED: nft: permission denied")
    stream = Utf8(terminal=True)
    console = Console(stream, env={})
    console(RunStarted(PLAN, FOLDER))
    for event in (FaultChanged(1, dull), FaultChanged(2, broken), FaultChanged(3, FAULTS[2])):
        console(event)
    console.close()
    console.close()
    text = ESCAPES.sub("", stream.getvalue())
    assert "DID NOT BITE" in text
    assert "FAILED: nft" in text
    assert "SIGKILL, restarted (leader was n4): bit" not in text


def test_heartbeats_every_ten_seconds() -> None:
    text = shown(records.valid(), Utf8())
    beats = re.findall(r"^00:(\d\d)\.\d{3}  running", text, flags=re.MULTILINE)
    assert [int(beat) // 10 for beat in beats] == [1, 2, 3, 4, 5]


def test_a_second_run_starts_afresh() -> None:
    stream = Utf8()
    console = Console(stream, env={})
    for record in (records.valid(), records.valid()):
        for event in events(record):
            console(event)
        console.finish(record)
    first, second = stream.getvalue().split("seed 7312946 ·")[1:3]
    beats = [re.findall(r"\d\d:\d\d\.\d{3}  running.*", part) for part in (first, second)]
    assert beats[0] == beats[1] != []


@given(st.text(st.characters(codec=None), max_size=30))
def test_no_value_becomes_a_command_or_a_control_sequence(text: str) -> None:
    record = replace(
        records.foreign(),
        ending=Ending("invalid", ExitCode.VIOLATION, f"::error::{text}"),
    )
    for encoding in ("utf-8", "ascii"):
        stream = Utf8(encoding)
        console = Console(stream, env={})
        for words in (text, f"::set-env::{text}", f"  ::x {text}", f"##[error]{text}"):
            console.say(words)
            console(Noted(0, words))
        console.finish(record)
        for line in stream.getvalue().split("\n"):
            assert line.isprintable()
            assert not line.lstrip().startswith("::")
            assert "##[" not in line
        stream.getvalue().encode(encoding)


def test_markup_of_rich_is_text() -> None:
    stream = Utf8(terminal=True)
    console = Console(stream, env={})
    console(RunStarted(PLAN, FOLDER))
    console(Noted(0, "[red]not red[/red] :boom: " + HOSTILE))
    console.close()
    assert f"[red]not red[/red] :boom: {HOSTILE}" in ESCAPES.sub("", stream.getvalue())
    hostile = Utf8(terminal=True)
    Console(hostile, env={}).finish(records.hostile())
    # The colour of the value is not obeyed: what is left of it are letters.
    assert "\\x1b[31m\\u202e" in ESCAPES.sub("", hostile.getvalue())
    assert "\u202e" not in hostile.getvalue()


def test_guarded() -> None:
    assert guarded("a line") == "a line"
    assert guarded("::error::x") == "| ::error::x"
    assert guarded("   ::error::x") == "|    ::error::x"
    assert guarded("x ##[error]y") == "x ## [error]y"


def test_json_line() -> None:
    line = reports.json_line(records.stale_read())
    assert line.isascii()
    assert "\n" not in line
    data = json.loads(line)
    assert {"verdict", "exit_code", "run", "seed", "checkers", "stats", "report"} <= set(data)
    assert (data["verdict"], data["exit_code"], data["seed"]) == ("invalid", 1, 7312946)
    assert data["run"] == str(FOLDER)
    assert data["report"] == str(FOLDER / "report.html")
    assert data["stats"]["operations"] == {"total": 2592, "ok": 2533, "fail": 12, "info": 47}
    assert data["stats"]["faults"] == {"planned": 5, "injected": 5, "proven": 5, "healed": 5}
    assert data["checkers"]["linearizable"]["verdict"] == "invalid"
    assert data["checkers"]["linearizable"]["anomalies"][0]["operations"] == [4001, 4101, 4131]
    assert data["checkers"]["one-leader"]["verdict"] == "valid"
    foreign = json.loads(reports.json_line(records.foreign()))
    assert foreign["seed"] is None
    assert foreign["report"] is None
    assert reports.json_line(records.hostile()).isascii()


JUDGED = JudgedSoFar(5 * SECOND, Verdict.VALID, checked=1234, behind_ns=800_000_000)
NOTICED = Noticed(432, "k\x1b[2J", 5 * SECOND, 6 * SECOND, stopped=True)


def test_a_heartbeat_says_the_verdict_so_far_and_a_violation_is_a_line_at_once() -> None:
    stream = Utf8()
    console = Console(stream, env={})
    for event in (
        RunStarted(PLAN, FOLDER),
        JUDGED,
        NodesSampled(10 * SECOND, ()),
        ViolationNoticed(11 * SECOND, NOTICED),
    ):
        console(event)
    assert stream.getvalue().splitlines()[-2:] == [
        "00:10.000  so far   no violation in 1,234 operations (0.8 s behind)",
        "00:11.000  The load was stopped at the first violation: operation 432, which returned at "
        "5.000 s, noticed 1.0 s later.",
    ]


def test_the_panel_says_the_verdict_so_far_until_there_is_a_verdict() -> None:
    progress = Progress()
    progress.see(JUDGED)
    terminal = Terminal(file=io.StringIO(), width=120)
    with terminal.capture() as capture:
        terminal.print(live.panel(progress, UNICODE))
    assert "so far: no violation in 1,234 operations (0.8 s behind)" in capture.get()
    progress.see(Checked(6 * SECOND, records.valid().results[0]))
    with terminal.capture() as capture:
        terminal.print(live.panel(progress, UNICODE))
    assert "so far" not in capture.get()


def test_the_last_block_junit_and_json_say_where_it_was_stopped() -> None:
    record = replace(records.stale_read(), noticed=NOTICED)
    stream = Utf8()
    Console(stream, env={}).finish(record)
    words = "The load was stopped at the first violation: operation 432"
    for text in (stream.getvalue(), junit.render(record), html.render(record)):
        assert words in " ".join(text.split())
    assert json.loads(machine.json_line(record))["noticed"] == {
        "operation": 432,
        "key": "'k\\x1b[2J'",
        "returned_ns": 5 * SECOND,
        "noticed_ns": 6 * SECOND,
        "stopped": True,
    }
