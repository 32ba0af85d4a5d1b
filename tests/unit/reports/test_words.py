"""How things are written."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.core.events import JudgedSoFar
from harness.core.run import Noticed
from harness.core.verdict import Verdict
from reports.words import (
    check_command,
    clean,
    counted,
    instant,
    joined,
    noticed_words,
    numeral,
    options_line,
    path_words,
    run_command,
    runtime_line,
    shorten,
    so_far,
    span,
    split_words,
    stamp,
    started,
)
from tests.unit.reports.records import PLAN


@given(st.text())
def test_clean_text_steers_nothing(text: str) -> None:
    assert clean(text).isprintable()
    assert clean(clean(text)) == clean(text)
    clean(text).encode("utf-8")


def test_clean_shows_what_it_took_away() -> None:
    assert clean("a\x1b[31mb\nc\u202ed\ud800\0") == "a\\x1b[31mb\\nc\\u202ed\\ud800\\x00"
    assert clean("a\tb\nc", keep="\n\t") == "a\tb\nc"
    assert clean("1\u00a0000") == "1 000"


def test_small_words() -> None:
    assert counted(1, "fault") == "1 fault"
    assert counted(3163, "operation") == "3,163 operations"
    assert instant(23_345_000_000) == "23.345 s"
    assert span(8_000_000_000, 14_000_000_000) == "8.0–14.0 s"
    assert span(8_000_000_000, None) == "from 8.0 s on"
    assert stamp(83_345_999_999) == "01:23.345"
    assert stamp(-1_200_000_000) == "-00:01.200"
    assert [numeral(n) for n in (1, 20, 21, 35, 36, 50, 51)] == [*list("①⑳㉑㉟㊱㊿"), "(51)"]
    assert joined(()) == ""
    assert joined(("3",)) == "3"
    assert joined(("1", "2", "3")) == "1, 2 or 3"
    assert joined(tuple("abcdefg")) == "a, b, c, d or 3 more"
    assert shorten("abcdef", 4) == "abc…"
    assert split_words("n1 | n2 (leader was n1)") == ("n1 | n2", "leader was n1")
    assert split_words("n1 | n2") == ("n1 | n2", "")
    assert started("2026-11-23T14:30:07Z") == "2026-11-23 14:30 UTC"
    assert started("yesterday") == "yesterday"


def test_run_command_leaves_defaults_out() -> None:
    assert run_command(PLAN) == (
        "harness run --target raft --workload register --nemesis partition,kill,clock "
        "--runtime docker --bug stale-read --seed 7312946"
    )


def test_run_command_says_what_is_not_default() -> None:
    spec = replace(
        PLAN.spec,
        nemeses=(),
        bugs=(),
        nodes=3,
        concurrency=4,
        rate=0.0,
        time_limit_s=7.5,
        operation_timeout_s=1.0,
        recovery_timeout_s=9.0,
        min_operations=100,
        min_ok_during=2,
        min_ok_after=0,
        election_timeout_ms=(100, 150, 200),
        firewall="nft",
        target="my target",
        options=("reads=my way",),
    )
    words = shlex.split(run_command(replace(PLAN, spec=spec)))
    flags = dict(zip(words[2::2], words[3::2], strict=True))
    assert flags == {
        "--target": "my target",
        "--workload": "register",
        "--nemesis": "none",
        "--runtime": "docker",
        "--nodes": "3",
        "--concurrency": "4",
        "--rate": "0",
        "--time-limit": "7.5",
        "--operation-timeout": "1",
        "--recovery-timeout": "9",
        "--min-operations": "100",
        "--min-ok-during": "2",
        "--min-ok-after": "0",
        "--election-timeout": "100,150,200",
        "--firewall": "nft",
        "--option": "reads=my way",
        "--seed": "7312946",
    }


def test_paths_as_typed() -> None:
    assert path_words(Path.cwd() / "runs" / "a") == "runs/a"
    assert path_words(Path("/elsewhere/a")) == "/elsewhere/a"
    assert check_command(Path("runs/a b")) == "harness check 'runs/a b'"


def test_first_lines() -> None:
    assert options_line(PLAN).startswith("seed 7312946 · raft · register · partition,kill,clock")
    assert runtime_line(PLAN) == "runtime docker (docker works here)"
    assert runtime_line(replace(PLAN, notes=())) == "runtime docker: as asked"
    quick = replace(PLAN, spec=replace(PLAN.spec, rate=0.0, nemeses=(), bugs=()))
    assert "no faults" in options_line(quick)
    assert "as fast as it goes" in options_line(quick)
    chosen = replace(PLAN, spec=replace(PLAN.spec, options=("reads=fast", "disk=real")))
    assert "· reads=fast · disk=real" in options_line(chosen)


def test_the_verdict_so_far_in_words() -> None:
    judged = JudgedSoFar(9, Verdict.VALID, checked=1234, behind_ns=800_000_000)
    assert so_far(judged) == "no violation in 1,234 operations (0.8 s behind)"
    assert so_far(replace(judged, behind_ns=0)) == "no violation in 1,234 operations"
    undecided = replace(judged, verdict=Verdict.UNKNOWN, limit="5 s of time\x1b[2J")
    assert so_far(undecided) == "unknown: 5 s of time\\x1b[2J"
    assert so_far(replace(judged, verdict=Verdict.INVALID)) == "a violation"


def test_a_noticed_violation_in_words() -> None:
    noticed = Noticed(432, "k", 2_251_000_000, 2_481_000_000, stopped=True)
    assert noticed_words(noticed) == (
        "The load was stopped at the first violation: "
        "operation 432, which returned at 2.251 s, noticed 230 ms later."
    )
    going = noticed_words(replace(noticed, stopped=False))
    assert going.startswith("A violation was seen while the run went on: operation 432")
