"""How numbers, instants and strangers' text are written, in every view alike."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

from harness.core.events import JudgedSoFar
from harness.core.plan import Plan, RunSpec
from harness.core.run import Noticed
from harness.core.units import SECOND, show_ms
from harness.core.verdict import Verdict

LONGEST = 400
"""Characters of a single text that came from outside; what is longer ends in an ellipsis."""


def clean(text: str, keep: str = "") -> str:
    """``text`` without characters that steer a terminal, an XML reader or the writing direction.

    Everything that is not printable (control characters, bidirectional overrides, lone
    surrogates, non-characters) becomes its visible escape, so nothing is lost and nothing acts.
    ``keep`` names exceptions (``"\\n\\t"`` for log text).
    """
    if text.isprintable():
        return text
    return "".join(_visible(letter, keep) for letter in text)


def _visible(letter: str, keep: str) -> str:
    if letter.isprintable() or letter in keep:
        return letter
    if letter == "\u00a0":
        return " "
    return letter.encode("unicode_escape").decode("ascii")


def shorten(text: str, limit: int = LONGEST) -> str:
    """At most ``limit`` characters, cleaned; an ellipsis says that some are missing."""
    text = clean(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def count(number: int) -> str:
    """``3,163``."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """``1 fault``, ``5 faults``."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def so_far(judged: JudgedSoFar) -> str:
    """``no violation in 1,234 operations (0.8 s behind)``."""
    match judged.verdict:
        case Verdict.INVALID:
            return "a violation"
        case Verdict.UNKNOWN:
            return f"unknown: {shorten(judged.limit or 'a limit was reached', 60)}"
        case Verdict.VALID:
            behind = judged.behind_ns / SECOND
            late = f" ({behind:.1f} s behind)" if behind >= 0.05 else ""
            return f"no violation in {counted(judged.checked, 'operation')}{late}"


def noticed_words(noticed: Noticed) -> str:
    """When a violation was seen, and what came of it."""
    late = show_ms(max(0, noticed.noticed_ns - noticed.returned_ns))
    seen = (
        f"operation {noticed.operation}, which returned at {instant(noticed.returned_ns)}, "
        f"noticed {late} later"
    )
    if noticed.stopped:
        return f"The load was stopped at the first violation: {seen}."
    return f"A violation was seen while the run went on: {seen}."


def instant(at_ns: int, *, timed: bool = True) -> str:
    """An exact instant: ``23.345 s``; in a history without times a place: ``event 12``."""
    return f"{at_ns / SECOND:.3f} s" if timed else f"event {at_ns}"


def span(start_ns: int, end_ns: int | None) -> str:
    """``22.0–30.0 s``; an open end reads ``from 22.0 s on``."""
    if end_ns is None:
        return f"from {start_ns / SECOND:.1f} s on"
    return f"{start_ns / SECOND:.1f}–{end_ns / SECOND:.1f} s"


def stamp(at_ns: int) -> str:
    """``00:22.000``: minutes, seconds, milliseconds; a minus before the load began."""
    sign = "-" if at_ns < 0 else ""
    milliseconds = abs(at_ns) // 1_000_000
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{sign}{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def numeral(number: int) -> str:
    """``①`` … ``㊿``, then ``(51)``."""
    if 1 <= number <= 20:
        return chr(0x2460 + number - 1)
    if 21 <= number <= 35:
        return chr(0x3251 + number - 21)
    if 36 <= number <= 50:
        return chr(0x32B1 + number - 36)
    return f"({number})"


def joined(items: tuple[str, ...], last: str = "or", most: int = 4) -> str:
    """``3``, ``3 or 4``, ``1, 2 or 3``; when more than one is beyond ``most``, they are counted."""
    if len(items) > most + 1:
        return f"{', '.join(items[:most])} {last} {len(items) - most} more"
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def path_words(path: Path) -> str:
    """A path as a person in the present directory would type it."""
    here = Path.cwd()
    if path.is_absolute() and path.is_relative_to(here):
        path = path.relative_to(here)
    return str(path)


def check_command(folder: Path) -> str:
    """Judges what is stored once more."""
    return clean(f"harness check {shlex.quote(path_words(folder))}")


def replay_command(folder: Path) -> str:
    """Runs the plan in a folder again: for one that no command makes."""
    return clean(f"harness replay {shlex.quote(path_words(folder))}")


def run_command(plan: Plan) -> str:
    """The command that repeats a run, on the runtime that it had."""
    return spec_command(replace(plan.spec, runtime=plan.runtime))


def spec_command(spec: RunSpec) -> str:
    """The command that runs a spec: same seed, same choices; defaults are left out."""
    usual = RunSpec()
    words = ["harness", "run", "--target", spec.target, "--workload", spec.workload]
    words += ["--nemesis", ",".join(spec.nemeses) or "none", "--runtime", spec.runtime]
    for bug in spec.bugs:
        words += ["--bug", bug]
    for option in spec.options:
        words += ["--option", option]
    optional = (
        ("--intensity", spec.intensity, spec.intensity != usual.intensity),
        ("--nodes", str(spec.nodes), spec.nodes != usual.nodes),
        ("--concurrency", str(spec.concurrency), spec.concurrency != usual.concurrency),
        ("--rate", f"{spec.rate:g}", spec.rate != usual.rate),
        ("--time-limit", f"{spec.time_limit_s:g}", spec.time_limit_s != usual.time_limit_s),
        (
            "--operation-timeout",
            f"{spec.operation_timeout_s:g}",
            spec.operation_timeout_s != usual.operation_timeout_s,
        ),
        (
            "--recovery-timeout",
            f"{spec.recovery_timeout_s:g}",
            spec.recovery_timeout_s != usual.recovery_timeout_s,
        ),
        (
            "--min-operations",
            str(spec.min_operations),
            spec.min_operations != usual.min_operations,
        ),
        ("--min-ok-during", str(spec.min_ok_during), spec.min_ok_during != usual.min_ok_during),
        ("--min-ok-after", str(spec.min_ok_after), spec.min_ok_after != usual.min_ok_after),
        (
            "--election-timeout",
            ",".join(str(item) for item in spec.election_timeout_ms),
            spec.election_timeout_ms != usual.election_timeout_ms,
        ),
        ("--firewall", spec.firewall, spec.firewall != usual.firewall),
    )
    for flag, value, needed in optional:
        if needed:
            words += [flag, value]
    if spec.keep_going:
        words.append("--keep-going")
    words += ["--seed", str(spec.seed)]
    return clean(shlex.join(words))


def options_line(plan: Plan) -> str:
    """The first line of a run: the seed and what everything was resolved to."""
    spec = plan.spec
    rate = f"{spec.rate:g} ops/s" if spec.rate else "as fast as it goes"
    parts = [
        f"seed {spec.seed}",
        spec.target,
        spec.workload,
        ",".join(spec.nemeses) or "no faults",
        plan.runtime,
        counted(len(plan.nodes), "node"),
        counted(spec.concurrency, "client"),
        rate,
        f"{spec.time_limit_s:g} s",
    ]
    parts += spec.options
    if spec.bugs:
        parts.append("seeded bug " + ",".join(spec.bugs))
    return clean(" · ".join(parts))


def runtime_line(plan: Plan) -> str:
    """The second line of a run: where it runs, and why there."""
    reason = clean(plan.notes[0]) if plan.notes else "as asked"
    return reason if reason.startswith("runtime") else f"runtime {clean(plan.runtime)}: {reason}"


def split_words(words: str) -> tuple[str, str]:
    """A fault's words in two lines: ``n1 n2 | n3 n4 n5 (leader was n2)`` at the bracket."""
    head, _, rest = clean(words).partition(" (")
    return head, rest.removesuffix(")")


def started(utc: str) -> str:
    """``2026-11-23 14:30 UTC`` of an ISO 8601 time; other texts stay as they are."""
    match = re.match(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})", utc)
    return f"{match[1]} {match[2]} UTC" if match else clean(utc)
