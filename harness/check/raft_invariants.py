"""Promises of Raft itself, read from the nodes' traces (docs/trace-format.md).

- *majority-commit*: an entry is on the disks of a majority when its write is acknowledged
  (Ongaro 2014, section 3.5: an entry is committed once it is stored on a majority).
- *one-leader*: at most one leader in a term (Ongaro 2014, figure 3.2, "Election Safety").

A node writes ``durable`` after its fsync and before it tells anybody, so a correct node cannot be
accused by a line that is late.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.check.limits import Budget, LimitReached
from harness.check.telling import SHOWN, counted
from harness.core.operations import Outcome
from harness.core.protocols import Evidence, Limits
from harness.core.traces import TraceDamage, TraceLine, merged
from harness.core.values import Value
from harness.core.verdict import Anomaly, CheckResult, Verdict

TRACE_VERSION = 1


@dataclass(frozen=True, slots=True)
class MajorityCommit:
    """Every acknowledged entry was durable on more than half of the nodes."""

    name: str = "majority-commit"

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """One pass over the merged traces."""
        return _judge(self.name, evidence, limits, _Disks(evidence))


@dataclass(frozen=True, slots=True)
class OneLeader:
    """No two nodes led the same term."""

    name: str = "one-leader"

    def check(self, evidence: Evidence, limits: Limits) -> CheckResult:
        """One pass over the merged traces."""
        return _judge(self.name, evidence, limits, _Leaders(evidence))


@dataclass(slots=True)
class DurableLog:
    """What is known to be on one node's disk: runs of entries of one term, and a snapshot.

    Runs are kept apart and in order: ``starts[i] … ends[i]`` has term ``terms[i]``.
    """

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    terms: list[int] = field(default_factory=list)
    snapshot: int = 0

    def replace_from(self, index: int, runs: Iterable[tuple[int, int, int]]) -> None:
        """Everything at or after ``index`` becomes ``runs`` of (first, last, term)."""
        while self.starts and self.starts[-1] >= index:
            self.starts.pop()
            self.ends.pop()
            self.terms.pop()
        if self.ends and self.ends[-1] >= index:
            self.ends[-1] = index - 1
        for first, last, term in runs:
            if self.ends and self.terms[-1] == term and self.ends[-1] == first - 1:
                self.ends[-1] = last
            else:
                self.starts.append(first)
                self.ends.append(last)
                self.terms.append(term)

    def has(self, index: int, term: int) -> bool:
        """Is the entry there? A snapshot stands for all entries up to its own."""
        if index <= self.snapshot:
            return True
        place = bisect_right(self.starts, index) - 1
        return place >= 0 and self.ends[place] >= index and self.terms[place] == term


class _Disks:
    """All nodes' durable state, line by line; at each ``ack`` a majority must have the entry."""

    def __init__(self, evidence: Evidence) -> None:
        self.nodes = evidence.nodes
        self.disks = {node: DurableLog() for node in evidence.nodes}
        # A node whose trace is missing may have every entry: nobody is accused for want of proof.
        self.unseen = [node for node in evidence.nodes if node not in evidence.traces]
        self.positions = _positions(evidence)
        self.origin_ns = evidence.origin_ns
        self.looked_at = 0
        self.found: list[Anomaly] = []
        self.count = 0

    def line(self, line: TraceLine) -> None:
        disk = self.disks.get(line.node)
        if disk is None:
            return
        fields = line.fields
        match line.e:
            case "boot":
                disk.snapshot = _number(fields["snapshot"][0])
                disk.replace_from(0, _runs(fields["log"]))
            case "durable":
                disk.replace_from(_number(fields["from"]), _runs(fields["log"]))
            case "snapshot":
                disk.snapshot = max(disk.snapshot, _number(fields["index"]))
            case "ack":
                self._acknowledged(line, _number(fields["index"]), _number(fields["term"]))

    def _acknowledged(self, line: TraceLine, index: int, term: int) -> None:
        self.looked_at += 1
        having = [node for node, disk in self.disks.items() if disk.has(index, term)]
        may_have = len(having) + sum(node not in having for node in self.unseen)
        if 2 * may_have > len(self.nodes):
            return
        self.count += 1
        if len(self.found) >= SHOWN:
            return
        only = f"only {_listed(having)}" if having else "none"
        sentence = (
            f"{line.node} acknowledged entry {index} of term {term} when {only} of "
            f"{len(self.nodes)} nodes had it on disk."
        )
        operation = self.positions.get(index)
        self.found.append(
            Anomaly(
                kind="acknowledged before a majority had it",
                sentence=sentence,
                operations=() if operation is None else (operation,),
                culprit=operation,
                steps=(sentence,),
                at_ns=line.t - self.origin_ns,
            )
        )

    def words(self) -> str:
        return counted(self.looked_at, "acknowledgement")


class _Leaders:
    """Who led which term."""

    def __init__(self, evidence: Evidence) -> None:
        self.origin_ns = evidence.origin_ns
        self.unseen = [node for node in evidence.nodes if node not in evidence.traces]
        self.leaders: dict[int, tuple[str, int]] = {}
        self.found: list[Anomaly] = []
        self.count = 0

    @property
    def looked_at(self) -> int:
        return len(self.leaders)

    def line(self, line: TraceLine) -> None:
        if line.e != "role" or line.fields["role"] != "leader":
            return
        term = _number(line.fields["term"])
        first, since = self.leaders.setdefault(term, (line.node, line.t))
        if first == line.node:
            return
        self.count += 1
        if len(self.found) < SHOWN:
            steps = tuple(
                f"{node} became leader of term {term} at {(at - self.origin_ns) / 1e9:.3f} s."
                for node, at in ((first, since), (line.node, line.t))
            )
            self.found.append(
                Anomaly(
                    kind="two leaders in one term",
                    sentence=f"{first} and {line.node} both led term {term}.",
                    steps=steps,
                    at_ns=line.t - self.origin_ns,
                )
            )

    def words(self) -> str:
        return f"{counted(len(self.leaders), 'term')} with a leader"


def _judge(name: str, evidence: Evidence, limits: Limits, state: _Disks | _Leaders) -> CheckResult:
    """Feeds all lines; whatever keeps a trace from being proof makes the verdict UNKNOWN."""
    budget = Budget(limits)
    booted: set[str] = set()
    trouble: str | None = None
    limit: str | None = None
    lines = 0
    try:
        for line in merged(evidence.traces):
            lines += 1
            if lines % 1024 == 0:
                budget.look()
            if line.e == "boot":
                _known_version(line)
                booted.add(line.node)
            if line.node in booted:
                state.line(line)
            else:
                raise TraceDamage(f"the trace of {line.node} does not begin with a boot")
    except LimitReached as reached:
        limit = reached.words
        trouble = f"gave up after {reached.words}"
    except (TraceDamage, OSError) as error:
        trouble = str(error)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        trouble = f"a trace line of the wrong shape: {type(error).__name__} {error}"
    silent = [node for node in evidence.nodes if node not in booted]
    if trouble is None and silent:
        trouble = f"no trace of {_listed(silent)}"
    figures: dict[str, Value] = {
        "trace_lines": lines,
        "looked_at": state.looked_at,
        "violations": state.count,
    }
    looked_at = f"{state.words()} in the traces of {counted(len(booted), 'node')}"
    if state.count:
        reason = f"{state.count:,} × {state.found[0].kind} in {looked_at}"
        return CheckResult(name, Verdict.INVALID, reason, tuple(state.found), figures, limit)
    if trouble is not None:
        reason = f"{trouble}; nothing wrong in {looked_at}"
        return CheckResult(name, Verdict.UNKNOWN, reason, figures=figures, limit=limit)
    if not state.looked_at:
        reason = f"nothing to check: {looked_at}"
        return CheckResult(name, Verdict.UNKNOWN, reason, figures=figures)
    return CheckResult(name, Verdict.VALID, f"{looked_at}: nothing wrong", figures=figures)


def _known_version(line: TraceLine) -> None:
    version = line.fields.get("version")
    if version != TRACE_VERSION:
        raise TraceDamage(f"{line.node}: trace version {version!r} is not known here")


def _runs(data: Any) -> list[tuple[int, int, int]]:
    return [(_number(first), _number(last), _number(term)) for first, last, term in data]


def _number(data: Any) -> int:
    if type(data) is not int:
        raise TypeError(f"{data!r} is no whole number")
    return data


def _positions(evidence: Evidence) -> Mapping[int, int]:
    """Log index → the operation that was told it, for writes that were acknowledged."""
    return {
        operation.position: operation.index
        for operation in evidence.history.operations
        if operation.position is not None
        and operation.outcome is Outcome.OK
        and operation.call.f not in ("read", "get")
    }


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
