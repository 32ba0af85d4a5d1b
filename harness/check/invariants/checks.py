"""The promises as checks of a run's evidence. All are judged in one pass over the traces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.check.invariants.promise import Breach, listed
from harness.check.invariants.watch import Watch
from harness.check.limits import Budget, LimitReached, uncollected
from harness.check.telling import counted
from harness.core.operations import Outcome
from harness.core.protocols import Evidence, Limits
from harness.core.traces import Decoder, TraceDamage, merged
from harness.core.values import Value
from harness.core.verdict import Anomaly, CheckResult, Verdict


@dataclass(frozen=True, slots=True)
class TraceCheck:
    """One of the promises of :class:`Watch`. Whatever keeps a trace from being proof makes the
    verdict UNKNOWN, unless something was found before."""

    name: str

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """One pass over the merged traces, shared with the other promises."""
        pass_ = _pass(evidence, limits)
        watch, promise = pass_.watch, pass_.watch.promises[self.name]
        figures: dict[str, Value] = {
            "trace_lines": watch.lines,
            "looked_at": promise.looked_at,
            "violations": promise.count,
        }
        seen = len(watch.nodes) - len(watch.silent())
        looked_at = f"{promise.words()} in the traces of {counted(seen, 'node')}"
        if promise.count:
            reason = f"{promise.count:,} × {promise.found[0].kind} in {looked_at}"
            found = _anomalies(promise.found, evidence)
            return CheckResult(self.name, Verdict.INVALID, reason, found, figures, pass_.limit)
        unproven = pass_.trouble or watch.lacks(self.name)
        if unproven is not None:
            reason = f"{unproven}; nothing wrong in {looked_at}"
            return CheckResult(self.name, Verdict.UNKNOWN, reason, (), figures, pass_.limit)
        if not promise.looked_at:
            reason = f"nothing to check: {looked_at}"
            return CheckResult(self.name, Verdict.UNKNOWN, reason, figures=figures)
        return CheckResult(self.name, Verdict.VALID, f"{looked_at}: nothing wrong", figures=figures)


INVARIANTS = tuple(TraceCheck(name) for name in Watch(()).promises)
"""All of them."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """The traces, looked at once. ``trouble`` is why they prove nothing."""

    key: tuple[object, ...]
    traces: Mapping[str, Path]
    watch: Watch
    trouble: str | None
    limit: str | None


_JSON = Decoder(
    msgspec.json.Decoder().decode, (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
)


class _Memory:
    """The last pass: the checks of one run come one after another."""

    last: _Pass | None = None


_MEMORY = _Memory()


def _pass(evidence: Evidence, limits: Limits) -> _Pass:
    """The last pass again, if it was over this very evidence and its files are as they were."""
    key = (evidence.nodes, limits, *map(_stamp, evidence.traces.values()))
    last = _MEMORY.last
    if last is None or last.traces is not evidence.traces or last.key != key:
        last = _MEMORY.last = _look(key, evidence, limits)
    return last


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _look(key: tuple[object, ...], evidence: Evidence, limits: Limits) -> _Pass:
    budget = Budget(limits)
    unseen = [node for node in evidence.nodes if node not in evidence.traces]
    watch = Watch(evidence.nodes, unseen)
    trouble: str | None = None
    limit: str | None = None
    try:
        with uncollected():
            for line in merged(evidence.traces, _JSON):
                watch.line(line)
                if watch.lines % 1024 == 0:
                    budget.look()
    except LimitReached as reached:
        limit = reached.words
        trouble = f"gave up after {reached.words}"
    except (TraceDamage, OSError) as error:
        trouble = str(error)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        trouble = f"a trace line of the wrong shape: {type(error).__name__} {error}"
    if trouble is None and watch.silent():
        trouble = f"no trace of {listed(watch.silent())}"
    if trouble is None:
        watch.finish()
    return _Pass(key, evidence.traces, watch, trouble, limit)


def _anomalies(found: list[Breach], evidence: Evidence) -> tuple[Anomaly, ...]:
    """With times since the run's beginning, and the client's operation where there is one."""
    positions = _positions(evidence)
    origin = evidence.origin_ns

    def anomaly(breach: Breach) -> Anomaly:
        operation = None if breach.index is None else positions.get(breach.index)
        steps = tuple(f"{words} at {(t - origin) / 1e9:.3f} s." for t, words in breach.steps)
        return Anomaly(
            kind=breach.kind,
            sentence=breach.sentence,
            operations=() if operation is None else (operation,),
            culprit=operation,
            steps=steps or (breach.sentence,),
            at_ns=breach.t - origin,
        )

    return tuple(map(anomaly, found))


def _positions(evidence: Evidence) -> Mapping[int, int]:
    """Log index → the operation that was told it, for writes that were acknowledged."""
    return {
        operation.position: operation.index
        for operation in evidence.history.operations
        if operation.position is not None
        and operation.outcome is Outcome.OK
        and operation.call.f not in ("read", "get")
    }
