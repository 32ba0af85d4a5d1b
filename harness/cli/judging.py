"""From a path (a history file, or a run's folder) to a judged record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.check.adequacy import ending
from harness.check.catalogue import known, parse_model
from harness.check.checkers import CHECKERS, LinearizabilityCheck
from harness.core.errors import UsageError
from harness.core.operations import History
from harness.core.protocols import Checker, Evidence, Limits
from harness.core.run import Ending, RunRecord
from harness.core.verdict import CheckResult, ExitCode, Verdict
from harness.store import is_run_folder, load_evidence, load_meta, load_run, read_history

_SIGNATURES: tuple[tuple[str, frozenset[str]], ...] = (
    ("register", frozenset({"read", "write"})),
    ("cas-register", frozenset({"read", "write", "cas"})),
    ("multi-register", frozenset({"txn"})),
    ("kv", frozenset({"get", "put", "delete", "cas"})),
    ("kv-append", frozenset({"get", "put", "append", "read"})),
)
"""Functions that leave no doubt about the model. Queues and locks come in two kinds each, and an
``add`` may be to a set or to a counter: those have to be named."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What was asked for on the command line; ``model`` None is to be found out."""

    model: str | None = None
    format: str = "auto"
    engine: str = "auto"
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Judged:
    """A path's verdict. ``format`` is None for a run.

    ``check_ms`` is what the checkers took to decide, ``explain_ms`` what they took to make a
    violation small and put it into words.
    """

    path: Path
    record: RunRecord
    model: str | None
    format: str | None
    check_ms: float
    explain_ms: float


def judge(path: Path, choices: Choices) -> Judged:
    """Reads and judges one path.

    Raises:
        UsageError: nothing there, a damaged file, or a model that is needed and not known.
        KeyboardInterrupt: from within a check.
    """
    if path.is_dir():
        return _judge_run(path, choices)
    return _judge_file(path, choices)


def _judge_file(path: Path, choices: Choices) -> Judged:
    recorded = read_history(path, choices.format)
    history = recorded.history
    model = choices.model or recorded.header.model or infer_model(path, history)
    try:
        known = parse_model(model)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    for f, index in history.called().items():
        if f not in known.functions:
            names = ", ".join(sorted(known.functions))
            raise UsageError(
                f"{path}: event {index} is a {f!r}, but model {model} has only: {names}"
            )
    evidence = Evidence(history=history, nodes=recorded.header.nodes, model=model)
    results, check_ms, explain_ms = _run(
        [LinearizabilityCheck(engine=choices.engine)], evidence, choices
    )
    record = RunRecord(
        folder=path,
        plan=None,
        started_utc=recorded.header.started_utc,
        history=history,
        faults=(),
        results=results,
        ending=_ending_of_file(results),
        duration_ns=history.until_ns(),
    )
    return Judged(path, record, model, recorded.format, check_ms, explain_ms)


def _judge_run(path: Path, choices: Choices) -> Judged:
    if not is_run_folder(path):
        raise UsageError(f"{path}: not the folder of a run (it has no plan.json)")
    record = load_run(path)
    evidence = load_evidence(path, record)
    if choices.model is not None:
        parse_model(choices.model)
        evidence = replace(evidence, model=choices.model)
        # What was noticed while it ran was noticed with another model.
        record = replace(record, noticed=None)
    names = load_meta(path).checkers or ("linearizable",)
    unknown = [name for name in names if name not in CHECKERS]
    if unknown:
        raise UsageError(f"{path}: its checker {unknown[0]!r} is not known here")
    checkers = [_with_engine(CHECKERS[name], choices.engine) for name in names]
    results, check_ms, explain_ms = _run(checkers, evidence, choices)
    # What was judged from the live cluster (does it serve again?) cannot be judged once more.
    judged = {result.checker for result in results} | set(CHECKERS)
    results += tuple(result for result in record.results if result.checker not in judged)
    how = _ending_of_run(record, results)
    record = replace(record, results=results, ending=how)
    return Judged(path, record, evidence.model, None, check_ms, explain_ms)


def _with_engine(checker: Checker, engine: str) -> Checker:
    if isinstance(checker, LinearizabilityCheck):
        return LinearizabilityCheck(engine=engine)
    return checker


def run_checks(
    checkers: Sequence[Checker],
    evidence: Evidence,
    limits: Limits,
    told: Callable[[CheckResult], None] = lambda _: None,
) -> tuple[CheckResult, ...]:
    """Every checker's word, told as it comes."""
    results: list[CheckResult] = []
    for checker in checkers:
        results.append(checker.check(evidence, limits))
        told(results[-1])
    return tuple(results)


def _run(
    checkers: Sequence[Checker], evidence: Evidence, choices: Choices
) -> tuple[tuple[CheckResult, ...], float, float]:
    """Results, and the milliseconds of deciding and of explaining."""
    began = time.perf_counter()
    results = run_checks(checkers, evidence, choices.limits)
    took_ms = (time.perf_counter() - began) * 1e3
    told = (result.figures.get("explain_ms") for result in results)
    explain_ms = sum(float(ms) for ms in told if isinstance(ms, int | float))
    return results, max(0.0, took_ms - explain_ms), explain_ms


def _ending_of_file(results: Sequence[CheckResult]) -> Ending:
    (result,) = results
    match result.verdict:
        case Verdict.INVALID:
            sentence = result.anomalies[0].sentence if result.anomalies else result.reason
            return Ending("invalid", ExitCode.VIOLATION, sentence)
        case Verdict.UNKNOWN:
            return Ending("unknown", ExitCode.UNKNOWN, _sentence(result.reason))
        case Verdict.VALID:
            return Ending("valid", ExitCode.VALID, _sentence(result.reason))


def _ending_of_run(record: RunRecord, results: tuple[CheckResult, ...]) -> Ending:
    """As the run itself would end; but one that was cut off has shown less than it set out to."""
    how = ending(record, results)
    stored = record.ending
    if how.exit_code is ExitCode.VIOLATION or stored.word in ("valid", "invalid", "unknown"):
        return how
    if stored.word == "interrupted":
        words = "The run was cut off; nothing is broken in what it recorded."
        return Ending("unknown", ExitCode.UNKNOWN, words, how.adequacy)
    if stored.word in ("environment", "internal", "usage"):
        return replace(stored, adequacy=how.adequacy)
    return how


def infer_model(path: Path, history: History) -> str:
    """The only model whose functions fit; ``register`` for a history without operations.

    Raises:
        UsageError: several fit, or none; the line lists what there is.
    """
    seen = frozenset(history.called())
    for model, functions in _SIGNATURES:
        if seen <= functions:
            return model
    names = ", ".join(sorted(seen))
    raise UsageError(
        f"{path}: which model has {names}? Name it with --model (there are: {', '.join(known())})"
    )


def _sentence(words: str) -> str:
    words = words[:1].upper() + words[1:]
    return words if words.endswith(".") else f"{words}."
