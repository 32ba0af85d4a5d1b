"""``harness check``: judges histories, ours and others'."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console as Terminal
from rich.text import Text

from harness.check.catalogue import parse_model
from harness.check.engines import ENGINES, present
from harness.check.native import available
from harness.cli.judging import Choices, Judged, judge
from harness.cli.options import Size, Time
from harness.core.errors import HarnessError, UsageError
from harness.core.protocols import Limits
from harness.core.values import show, thaw
from harness.core.verdict import CheckResult, ExitCode, worst_exit
from harness.store import FORMATS
from reports import html
from reports.console import Console
from reports.glyphs import glyphs_for
from reports.model import build
from reports.words import clean, shorten

PATIENCE_S = 1.0
"""A check that takes longer says that it is still at work, on a terminal."""

MOST_ANOMALIES = 20
"""Anomalies of one checker in JSON."""


@click.command("check")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model",
    metavar="NAME[:key=value,…]",
    help="What the history is compared with (harness list models). Default: found out.",
)
@click.option(
    "--format", type=click.Choice(FORMATS), default="auto", show_default=True, help="Of files."
)
@click.option("--timeout", type=Time(), default="60", show_default=True, help="Of one check.")
@click.option("--memory", type=Size(), default="2G", show_default=True, help="Of one check.")
@click.option("--engine", type=click.Choice(list(ENGINES)), default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each path.")
@click.option(
    "--html",
    "report",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the report of one history to FILE.",
)
def check_command(
    paths: tuple[Path, ...],
    model: str | None,
    format: str,
    timeout: float,
    memory: int,
    engine: str,
    as_json: bool,
    report: Path | None,
) -> int:
    """Judge recorded histories, or runs: a file or a run's folder each.

    Several paths are judged in order; one that cannot be read does not keep the others from
    being judged.
    """
    if report is not None and len(paths) != 1:
        raise UsageError("--html writes the report of one history: give one path")
    if timeout <= 0:
        raise UsageError("--timeout must be more than 0")
    if engine not in present():
        raise UsageError(f"--engine native: there is none here; {available()}")
    if model is not None:
        parse_model(model)
    choices = Choices(model, format, engine, Limits(timeout, memory))
    codes: list[ExitCode] = []
    try:
        for path in paths:
            judged = _judge_one(path, choices, report)
            with _whole():
                codes.append(_tell(path, judged, report, first=not codes, as_json=as_json))
    except KeyboardInterrupt:
        for rest in paths[len(codes) :]:
            _cut_short(rest, as_json=as_json)
        return ExitCode.INTERRUPTED
    return _worst(codes)


def _judge_one(path: Path, choices: Choices, report: Path | None) -> Judged | HarnessError:
    try:
        with _patience(path):
            judged = judge(path, choices)
        if report is not None:
            _write_report(judged, report)
    except HarnessError as error:
        return error
    return judged


def _tell(
    path: Path, judged: Judged | HarnessError, report: Path | None, *, first: bool, as_json: bool
) -> ExitCode:
    if isinstance(judged, HarnessError):
        _complain(path, judged, as_json=as_json)
        return judged.exit_code
    if as_json:
        click.echo(_json_line(judged))
    else:
        _show(judged, report, first=first)
    return judged.record.ending.exit_code


@contextmanager
def _whole() -> Iterator[None]:
    """Ctrl-C waits until a path's words are out: each path is told exactly once."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _worst(codes: list[ExitCode]) -> ExitCode:
    """A violation is the worst there is; then input that could not be judged at all."""
    if ExitCode.VIOLATION in codes:
        return ExitCode.VIOLATION
    if ExitCode.USAGE in codes:
        return ExitCode.USAGE
    return worst_exit(codes)


def _show(judged: Judged, report: Path | None, *, first: bool) -> None:
    terminal = Terminal(highlight=False)
    fit = glyphs_for(terminal.encoding).fit
    if not first:
        terminal.print()
    name = shorten(str(judged.path))
    what = ", ".join(filter(None, (judged.format or "a run", judged.model)))
    words = f"{name}  ({clean(what)}; checked in {judged.check_ms:,.1f} ms)"
    terminal.print(Text(fit(words)), soft_wrap=True)
    for warning in judged.record.history.warnings:
        terminal.print(Text(fit(f"  warning: {shorten(warning)}")), soft_wrap=True)
    Console().finish(judged.record, report)


def _write_report(judged: Judged, path: Path) -> None:
    content = html.render_report(build(judged.record))
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write(content)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _json_line(judged: Judged) -> str:
    record = judged.record
    how = record.ending
    data = {
        "path": str(judged.path),
        "verdict": how.word,
        "exit_code": int(how.exit_code),
        "sentence": how.sentence,
        "model": judged.model,
        "format": judged.format,
        "operations": len(record.history),
        "check_ms": round(judged.check_ms, 3),
        "explain_ms": round(judged.explain_ms, 3),
        "checkers": {result.checker: _checker(result) for result in record.results},
        "warnings": list(record.history.warnings),
    }
    if judged.format is None:
        data["inadequate"] = list(how.adequacy.reasons)
    # Only ASCII: no value can steer the terminal or the log that shows it.
    return json.dumps(data, ensure_ascii=True)


def _checker(result: CheckResult) -> dict[str, object]:
    return {
        "verdict": result.verdict.value,
        "reason": result.reason,
        "limit": result.limit,
        "figures": {name: thaw(value) for name, value in result.figures.items()},
        "anomalies": [
            {
                "kind": anomaly.kind,
                "sentence": anomaly.sentence,
                "steps": list(anomaly.steps),
                "legal": list(anomaly.legal),
                "key": None if anomaly.key is None else show(anomaly.key),
                "operations": list(anomaly.operations),
                "culprit": anomaly.culprit,
                "at_ns": anomaly.at_ns,
            }
            for anomaly in result.anomalies[:MOST_ANOMALIES]
        ],
    }


def _complain(path: Path, error: HarnessError, *, as_json: bool) -> None:
    """One line on standard error; in JSON mode an object too, so that lines match paths."""
    words = str(error)
    if not words.startswith(str(path)):
        words = f"{path}: {words}"
    click.echo(f"harness: {clean(words)}", err=True)
    if as_json:
        data = {
            "path": str(path),
            "verdict": "error",
            "exit_code": int(error.exit_code),
            "error": words,
        }
        click.echo(json.dumps(data, ensure_ascii=True))


def _cut_short(path: Path, *, as_json: bool) -> None:
    if as_json:
        data = {
            "path": str(path),
            "verdict": "unknown",
            "exit_code": int(ExitCode.INTERRUPTED),
            "sentence": "Interrupted.",
        }
        click.echo(json.dumps(data, ensure_ascii=True))
    else:
        click.echo(f"{clean(str(path))}: UNKNOWN, interrupted")


@contextmanager
def _patience(path: Path) -> Iterator[None]:
    """On a terminal, shows after a second that the check is still at work."""
    terminal = Terminal(stderr=True)
    if not terminal.is_terminal:
        yield
        return
    status = terminal.status(Text(f"checking {shorten(str(path))}"))
    timer = threading.Timer(PATIENCE_S, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()
