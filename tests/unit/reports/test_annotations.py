"""GitHub: commands that cannot be forged, Markdown that stays words, limits that hold."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.core.run import Ending
from harness.core.verdict import ExitCode
from reports.annotations import SUMMARY_LIMIT, commands, emit, summary
from reports.model import build
from tests.unit.reports import golden, records
from tests.unit.reports.records import HOSTILE


def test_one_line_for_each_run_that_is_not_valid() -> None:
    runs = [records.valid(), records.unknown(), records.inadequate(), records.stale_read()]
    lines = commands([build(record) for record in runs])
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning", "::warning"]
    assert lines[0] == (
        "::error title=raft register partition%2Ckill%2Cclock%3A INVALID::"
        + records.STALE.sentence
        + "%0Arun again: harness run --target raft --workload register --nemesis "
        "partition,kill,clock --runtime docker --bug stale-read --seed 7312946"
    )
    assert "INADEQUATE" in lines[1]
    assert "UNKNOWN" in lines[2]


def test_ten_of_a_kind_and_how_many_more() -> None:
    reports = [build(records.stale_read())] * 17 + [build(records.unknown())] * 3
    lines = commands(reports)
    assert len(lines) == 13
    assert lines[9].endswith("%0Aand 7 more")
    assert not any("more" in line for line in lines[:9] + lines[10:])


@given(st.text(st.characters(codec=None), max_size=60))
def test_no_text_forges_a_command(text: str) -> None:
    record = replace(
        records.foreign(),
        ending=Ending("invalid", ExitCode.VIOLATION, f"%0A\r\n::error::{text}"),
        folder=Path("runs") / "x",
    )
    (line,) = commands([build(record)])
    assert line.isprintable()
    found = re.fullmatch(r"::error title=(.*?)::(.*)", line)
    assert found is not None
    title, message = found.groups()
    assert ":" not in title
    assert "," not in title
    assert re.sub(r"%(25|0A|3A|2C)", "", message).count("%") == 0
    assert message.startswith("%250A\\r\\n::error::")


def test_summary() -> None:
    reports = [build(record) for record in (records.valid(), records.stale_read())]
    golden.check("summary.md", summary(reports))


def test_hostile_text_in_markdown() -> None:
    text = summary([build(records.hostile())])
    fenced = re.sub(r"(`{3,})\n.*?\n\1\n", "", text, flags=re.DOTALL)
    assert HOSTILE not in fenced
    # What is left of tags is ours.
    tags = re.findall(r"(?<!\\)<[^>]*>", fenced)
    assert set(tags) <= {"<details>", "<summary>", "</summary>", "</details>"}
    ticks = build(replace(records.foreign(), folder=Path("a ```` b")))
    assert "`````\nharness check" in summary([ticks])


def test_the_summary_has_a_limit() -> None:
    text = summary([build(records.stale_read())] * 2_000)
    assert len(text.encode()) <= SUMMARY_LIMIT
    assert "The rest is in the reports" in text


def test_emit(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n", encoding="utf-8")
    out = io.StringIO()
    emit([records.stale_read()], out, {})
    assert out.getvalue() == ""
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(path)}
    emit([records.stale_read()], out, env)
    assert out.getvalue().startswith("::error title=raft register")
    assert path.read_text(encoding="utf-8").startswith("before\n| run | verdict |")
