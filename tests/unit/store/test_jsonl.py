"""Our own format: what is written is read, what is damaged is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.core.errors import FormatError
from harness.core.operations import (
    Call,
    Complete,
    Completion,
    Event,
    History,
    Invoke,
    Outcome,
    pair,
)
from harness.core.values import freeze
from harness.store.jsonl import Header, HistoryWriter, read_jsonl

HEADER = '{"format":"quorum-harness-history","version":1,"model":"register","nodes":["n1"]}'
CALL = '{"index":0,"type":"invoke","process":3,"time":10,"f":"write","key":"k","value":5}'
END = '{"index":1,"type":"ok","of":0,"process":3,"time":20,"f":"write"}'


def read(*lines: str, end: str = "\n") -> History:
    return read_jsonl(("\n".join([HEADER, *lines]) + end).encode(), "h.jsonl")[1]


EVENTS: list[Event] = [
    Invoke(0, 3, "n1", 10, Call("write", "k", (1, "zwei", None, 2.5, True))),
    Invoke(1, 4, None, 10, Call("read", freeze({"a": [1]}))),
    Complete(2, 0, 30, Completion(Outcome.OK, node="n2", position=41)),
    Invoke(3, 3, "n1", 40, Call("cas", "k", (1, 2))),
    Complete(4, 3, 50, Completion(Outcome.FAIL, error="mismatch")),
    Complete(5, 1, 60, Completion(Outcome.INFO, error="timed out \u2028 \x1b[31m")),
    Invoke(6, 3, "n1", 70, Call("read", "k")),
]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    header = Header(123, "2026-01-01T00:00:00+00:00", "cas-register:initial=0", ("n1", "n2"))
    writer = HistoryWriter(path, header)
    for event in EVENTS:
        writer.write(event)
    writer.close()
    got, history = read_jsonl(path.read_bytes(), str(path))
    assert got == header
    assert tuple(history.operations) == pair(EVENTS)
    assert history.warnings == ()
    for line in path.read_text().rstrip().split("\n"):
        assert json.loads(line)


def test_each_event_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    writer = HistoryWriter(path, Header())
    for count, event in enumerate(EVENTS, start=2):
        writer.write(event)
        assert path.read_bytes().count(b"\n") == count
    writer.close()


def test_a_strangers_minimal_file() -> None:
    """No index, no of, no time: the order of lines and the process are enough."""
    history = read(
        '{"type":"invoke","process":1,"f":"write","value":3,"colour":"blue"}',
        '{"type":"invoke","process":2,"f":"read"}',
        "",
        '{"type":"ok","process":2,"value":3}',
        '{"type":"ok","process":1}',
    )
    write, seen = history.operations
    assert (write.index, write.start, write.end) == (0, 0, 3)
    assert (seen.index, seen.start, seen.end, seen.result) == (1, 1, 2, 3)
    assert not history.timed
    assert history.warnings == ()


def test_times_that_go_back_are_not_used() -> None:
    history = read(CALL, END.replace("20", "5"))
    assert (history.operations[0].start, history.operations[0].end) == (0, 1)
    assert "times go back" in history.warnings[0]
    assert not history.timed


def test_equal_times_are_used() -> None:
    history = read(CALL, END.replace("20", "10"))
    assert history.timed
    assert (history.operations[0].start, history.operations[0].end) == (10, 10)


def test_a_cut_last_line_is_left_out() -> None:
    history = read(CALL, END[:30], end="")
    assert history.operations[0].outcome is Outcome.INFO
    assert history.warnings == ("line 3 is cut off and was left out",)


def test_the_last_line_may_lack_its_end() -> None:
    assert read(CALL, END, end="").operations[0].outcome is Outcome.OK


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        ([CALL[:30], END], "2:31", "expected an event"),
        ([CALL, "nonsense", END], "3:5", "expected an event"),
        ([CALL.replace(":3,", ':"x",')], "2:28", "Expected `int`"),
        ([CALL.replace("invoke", "invent"), END], "2:12", "invent"),
        ([CALL.replace('"f":"write",', "")], "2:1", "`f`"),
        ([CALL, CALL], "3:1", "index 0 is there a second time"),
        ([CALL, "", CALL.replace('"index":0', '"index":7')], "4:1", "calls before 0 ended"),
        ([END], "2:1", "no open call"),
        ([CALL, END, END], "4:1", "no open call"),
        (["[1, 2]"], "2:1", "expected an event"),
        (["[" * 5000 + "\n"], "2:", "expected an event"),
    ],
)
def test_damage_is_named_with_its_place(lines: list[str], where: str, what: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(*lines)
    assert str(caught.value).startswith(f"h.jsonl:{where}")
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "expected the header"),
        ("{}", "expected the header"),
        ('{"format":"something","version":1}', "found format 'something'"),
        ('{"format":"quorum-harness-history","version":2}', "version 2 is not known"),
        (CALL, "expected the header"),
        (HEADER[:40], "expected the header"),
    ],
)
def test_the_header_is_required(header: str, words: str) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        read_jsonl(f"{header}\n{CALL}\n".encode(), "h.jsonl")
    assert str(caught.value).startswith("h.jsonl:1:")
