"""The page: what nobody can break out of, what it says, how large it may become."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

import reports
from harness.core.operations import Call, History, Operation, Outcome
from harness.core.run import RunRecord
from harness.core.units import MILLISECOND, SECOND
from harness.core.verdict import Verdict
from reports import embedded, html, library
from reports.figures import KEPT_LIMIT, SLOWEST, figures
from reports.model import build
from tests.unit.reports import records
from tests.unit.reports.records import HOSTILE

ALL = {
    "stale_read": records.stale_read,
    "valid": records.valid,
    "unknown": records.unknown,
    "inadequate": records.inadequate,
    "two_leaders": records.two_leaders,
    "environment": records.environment,
    "foreign": records.foreign,
    "untimed": records.untimed,
    "hostile": records.hostile,
}


class Page(HTMLParser):
    """Every element with its attributes; the text of scripts and styles, and of everything else."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inline: list[tuple[str, dict[str, str], str]] = []
        self.words: list[str] = []
        self._open: tuple[str, dict[str, str]] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = {name: value or "" for name, value in attrs}
        self.elements.append((tag, made))
        self._open = (tag, made) if tag in ("script", "style") else None

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is None:
            self.words.append(data)
        else:
            self.inline.append((*self._open, data))

    @property
    def text(self) -> str:
        """What a reader sees, in one line."""
        return " ".join(" ".join(self.words).split())


def page(record: RunRecord) -> Page:
    return Page(html.render(record))


def data_of(found: Page) -> Any:
    (text,) = (text for tag, made, text in found.inline if made.get("id") == "data")
    return json.loads(text)


def rows_of(packed: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(packed)))


@pytest.mark.parametrize("name", ALL)
def test_nothing_runs_but_what_the_policy_names(name: str) -> None:
    found = page(ALL[name]())
    (policy,) = (
        made["content"]
        for tag, made in found.elements
        if made.get("http-equiv") == "Content-Security-Policy"
    )
    assert "unsafe" not in policy
    for tag, made, text in found.inline:
        if made.get("type") != "application/json":
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"{tag}-src" in policy
            assert f"'sha256-{digest}'" in policy
    first = next(made for tag, made in found.elements if tag == "meta")
    assert first.get("http-equiv") == "Content-Security-Policy"
    for tag, made in found.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form")
        assert "style" not in made
        assert not [attribute for attribute in made if attribute.startswith("on")]
        assert "src" not in made
        assert made.get("href", "#").startswith(("#", "data:,"))


def test_hostile_text_stays_text_everywhere() -> None:
    text = html.render(records.hostile())
    found = Page(text)
    assert text.count("<script") == text.count("</script>") == 3
    assert "\x1b" not in text
    assert "\0" not in text
    assert "\u202e" not in text
    # It is all there, to be read: headline, steps, checks, faults, table, logs, footer.
    assert found.text.count(HOSTILE) > 30
    data = data_of(found)
    assert HOSTILE in data["nodes"][0]
    assert any(HOSTILE in word for word in rows_of(data["rows"])["words"])


def test_the_first_screen_of_a_violation() -> None:
    found = page(records.stale_read())
    text = found.text
    assert "✕ INVALID: not linearizable" in text
    assert records.STALE.sentence in text
    assert "every operation takes effect at an instant" in text
    assert "cut off from the majority for 1.3 s" in text
    assert "harness run --target raft" in text
    assert "harness check runs/" in text
    assert "harness replay" not in text
    assert "③ After that, process 7 read k7 and got 3. ✕ Legal here: 4." in text
    assert "3 of 2,592 operations are enough to show it." in text
    assert "③ lies wholly inside “4 only”." in text
    assert "F2 partition n1 n2 | n3 n4 n5 (leader was n2) (since 22.000 s)" in text
    assert "5 faults all proven, all healed" in text


def test_other_endings_say_why() -> None:
    valid = page(records.valid()).text
    assert "✓ VALID" in valid
    assert "1,258 of 2,589 operations ran during 5 proven faults" in valid
    assert "Faults: 3 partition, 1 kill, 1 clock." in valid
    assert "1,258 of 2,589 operations were called during a proven fault." in valid
    unknown = page(records.unknown()).text
    assert "? UNKNOWN" in unknown
    assert "linearizable: k3: no answer within 60 s" in unknown
    inadequate = page(records.inadequate()).text
    assert "▲ INADEQUATE" in inadequate
    assert "Fault F2 partition did not bite: no packet was dropped" in inadequate
    assert "✕ 0 packets dropped between the groups" in inadequate
    environment = page(records.environment()).text
    assert "n3 did not start: port 7000 is taken." in environment
    assert "No check was made." in environment
    assert "Nothing was recorded." in environment
    assert "harness check" not in environment
    leaders = page(records.two_leaders()).text
    assert "no term has two leaders" in leaders
    assert "What each node called itself around 23.210 s" in leaders
    foreign = page(records.foreign()).text
    assert "histories/stale.edn" in foreign
    assert "line 9: an unknown field was ignored" in foreign


def test_more_violations_are_counted() -> None:
    record = records.stale_read()
    more = tuple(replace(records.STALE, sentence=f"another one, {n}") for n in range(60))
    results = (replace(record.results[0], anomalies=(records.STALE, *more)), *record.results[1:])
    text = page(replace(record, results=results)).text
    assert "60 more violations" in text
    assert "another one, 49" in text
    assert "another one, 50" not in text
    assert "and 10 more in verdict.json" in text


def test_a_counterexample_of_very_many_operations_is_told() -> None:
    record = records.stale_read()
    indexes = tuple(item.index for item in record.history.operations[:40])
    steps = tuple(f"Step of operation {index}." for index in indexes)
    anomaly = replace(records.STALE, operations=indexes, culprit=indexes[-1], steps=steps)
    results = (replace(record.results[0], anomalies=(anomaly,)),)
    found = page(replace(record, results=results))
    assert "All 40 operations that it takes to show it" in found.text
    assert f"㊵ {steps[-1]} ✕ Legal here: 4." in found.text
    assert not [made for tag, made in found.elements if made.get("class") == "ce"]


def test_a_violation_of_one_operation_is_about_nodes() -> None:
    record = records.stale_read()
    anomaly = replace(
        records.STALE, kind="acknowledged before a majority had it", operations=(4101,),
        culprit=4101, steps=(), legal=(), lane=(),
    )  # fmt: skip
    results = (replace(record.results[1], verdict=Verdict.INVALID, anomalies=(anomaly,)),)
    text = page(replace(record, results=results)).text
    assert "INVALID: acknowledged before a majority had it" in text
    assert "What happened" in text
    assert "It was answered by n4, leading term 4, while n2 still called itself" in text
    assert "✕ violation" in text
    assert "impossible" not in text


def test_places_are_not_times() -> None:
    found = page(records.untimed())
    text = found.text
    assert "This history has no usable times" in text
    assert "② had returned; ③ is called later" in text
    assert "event 11" in text
    assert "it can hold" in text
    assert "Latency" not in text
    assert "③ ✕ Process 7 read 3; legal here: 4." in text
    assert "0.000 s" not in text
    data = data_of(found)
    assert (data["timed"], data["duration"], data["violation"]) == (False, 12, 11)
    assert rows_of(data["rows"])["start"] == [0, 4_000_000, 4_000_000]


def test_embedded_rows_are_the_operations() -> None:
    record = records.stale_read()
    data = data_of(page(record))
    rows = rows_of(data["rows"])
    operations = record.history.operations
    total = 0
    for number, item in enumerate(operations):
        total += rows["start"][number]
        assert total == item.start // 1000
        took = rows["took"][number]
        assert (took == -1) is (item.end is None)
        assert item.end is None or total + took == item.end // 1000
        assert rows["words"][rows["f"][number]] == item.call.f
        assert rows["words"][rows["key"][number]] == item.call.key
    assert data["violation"] == 23.345
    assert data["culprit"] == 4131
    assert data["latency"] == [1.0, 1000.0]
    assert data["lanes"] is None


def test_many_processes_share_their_clients_lanes() -> None:
    record = records.stale_read()
    operations = tuple(
        replace(item, process=item.process + 10 * (number % 9))
        for number, item in enumerate(record.history.operations)
    )
    assert data_of(page(replace(record, history=History(operations))))["lanes"] == 10


def test_values_in_the_table() -> None:
    def value(f: str, sent: Any, got: Any, outcome: Outcome = Outcome.OK) -> str:
        return embedded.value_text(Operation(0, 0, Call(f, "k", sent), outcome, 0, 1, got))

    assert value("read", None, None) == "nil"
    assert value("read", None, 3) == "3"
    assert value("read", None, None, Outcome.INFO) == ""
    assert value("write", 4, None) == "4"
    assert value("cas", (1, 2), None) == "[1 2]"
    assert value("delete", None, None) == ""
    assert value("txn", (("r", "x", None),), (("r", "x", 3),)) == "[[r x 3]]"
    assert value("txn", (("r", "x", None),), None, Outcome.INFO) == "[[r x nil]]"
    assert len(value("write", "x" * 1000, None)) == embedded.VALUE


@pytest.mark.parametrize("package", ["youplot", "no_such_package_at_all"])
def test_a_library_that_is_not_the_one_is_not_used(package: str) -> None:
    found = library.load(package, script_sha256="0" * 64)
    assert found.script == ""
    assert "pip install youplot" in found.missing
    text = html.render_report(build(records.stale_read()), found)
    assert text.count("<script") == 2
    assert "uPlot=function" not in text
    assert found.missing.split(",")[0] in Page(text).text


def test_the_library_is_there() -> None:
    found = library.load()
    assert found.missing == ""
    assert "v1.6.31" in found.script[:100]
    text = html.render(records.valid())
    assert "Leon Sorokin" in text
    # Should the library ever contain it, an inline script could be ended from within.
    assert "</script" not in found.script.lower()


def test_write(tmp_path: Path) -> None:
    path = reports.write(records.stale_read(), tmp_path)
    assert path == tmp_path / "report.html"
    assert b"\r" not in path.read_bytes()
    assert path.read_text(encoding="utf-8") == html.render(records.stale_read())
    assert (tmp_path / "junit.xml").exists()
    assert path.stat().st_size < 250_000


def test_unencodable_text_does_not_stop_a_report(tmp_path: Path) -> None:
    broken = replace(records.foreign(), history=History(records.WITNESSES, ("\ud800 \0 \x07",)))
    assert "\\ud800 \\x00 \\x07" in reports.write(broken, tmp_path).read_text(encoding="utf-8")


def crowd(count: int) -> tuple[Operation, ...]:
    """A minute of ``count`` quick writes by 50 processes."""
    calls = [Call("write", f"k{n}", n) for n in range(50)]
    step = 60 * SECOND // count
    return tuple(
        Operation(
            2 * n,
            n % 50,
            calls[n % 50],
            Outcome.OK,
            n * step,
            n * step + (n * 7919 % 9973 + 500) * 1000,
        )
        for n in range(count)
    )


def test_a_million_operations_stay_small() -> None:
    record = records.stale_read()
    operations = crowd(1_000_000)
    culprit = operations[389_000].index
    anomaly = replace(records.STALE, operations=(culprit,), culprit=culprit)
    results = (replace(record.results[0], anomalies=(anomaly,)),)
    record = replace(record, history=History(operations), results=results)
    text = html.render(record)
    assert len(text.encode()) < 5_000_000
    found = Page(text)
    assert "Lines and counts come from all 1,000,000 operations." in found.text
    data = data_of(found)
    rows = rows_of(data["rows"])
    assert data["total"] == 1_000_000
    assert SLOWEST <= len(rows["f"]) <= KEPT_LIMIT + SLOWEST
    widths = record.duration_ns / SECOND / len(data["buckets"]["start"])
    assert sum(data["buckets"]["rates"][0]) * widths == pytest.approx(1_000_000, rel=1e-3)
    assert culprit in accumulate(rows["index"])


def test_logs_are_cut_to_their_end() -> None:
    record = replace(records.valid(), logs={"n1": "old line\n" + "x" * 70_000 + "\nlast line\n"})
    text = page(record).text
    assert "last line" in text
    assert "old line" not in text


def test_sentences_stand_beside_plots() -> None:
    found = page(records.stale_read())
    labels = [made["aria-label"] for tag, made in found.elements if made.get("class") == "plot"]
    assert len(labels) == 5
    assert "n3 was off by up to 2.5 s" in labels[4]
    assert "p99" in labels[1]
    # Its clients call when they like: as if there were no rate.
    shown = figures(replace(records.stale_read(), plan=None), None, frozenset())
    assert not shown.aggregated
    assert shown.median is not None
    assert 2 * MILLISECOND < shown.median < 10 * MILLISECOND
