"""A short run as a list of steps: who called what, and which fault began, in order of time."""

from __future__ import annotations

from collections.abc import Sequence

from harness.core.faults import FaultRecord
from harness.core.operations import Operation, Outcome
from harness.core.plan import Plan
from harness.core.run import RunRecord
from harness.core.units import SECOND, show_ms
from harness.core.values import show
from harness.core.verdict import Verdict
from reports.words import clean, counted, shorten

FIRST_FINAL = 1_000_000
"""Process numbers from here on are of the reads after the last heal."""


def lines(record: RunRecord) -> tuple[str, ...]:
    """What a person reads: the setting, one line a step, and what was wrong with it.

    An operation that a violation names has a cross.
    """
    steps = [(item.start, 1, _operation(item, record)) for item in record.history.operations]
    steps += [(_began(fault), 0, _fault(fault)) for fault in record.faults]
    steps.sort(key=lambda step: step[:2])
    rows = [(f"{number}", *cells) for number, (_, _, cells) in enumerate(steps, 1)]
    setting = [] if record.plan is None else [_setting(record.plan)]
    found = [
        f"✕ {item.checker}: {clean(item.anomalies[0].sentence if item.anomalies else item.reason)}"
        for item in record.results
        if item.verdict is Verdict.INVALID
    ]
    return (*setting, *_columns(rows), *found)


def _setting(plan: Plan) -> str:
    spec = plan.spec
    bugs = f" with the seeded bug {', '.join(spec.bugs)}" if spec.bugs else ""
    clients = spec.concurrency if plan.script is None else len(plan.script.clients)
    options = f" with {', '.join(spec.options)}" if spec.options else ""
    words = f"{spec.target}{options}{bugs}: {counted(len(plan.nodes), 'node')}, "
    return clean(f"{words}{counted(clients, 'client')}, seed {spec.seed}, {plan.runtime}")


def _operation(item: Operation, record: RunRecord) -> tuple[str, str, str]:
    plan = record.plan
    at = f" at {item.node}" if item.node else ""
    who = f"p{item.process}{at}"
    if item.process >= FIRST_FINAL:
        who = f"final{at}"
    elif plan is not None:
        stride = plan.spec.concurrency if plan.script is None else len(plan.script.clients)
        who = f"client {item.process % max(1, stride)}{at}"
    key = "" if item.call.key is None else f" on {show(item.call.key)}"
    named = {
        index for result in record.results for it in result.anomalies for index in it.operations
    }
    cross = "  ✕" if item.index in named else ""
    return _time(item.start), clean(who), shorten(f"{item.words()}{key}{_end(item)}") + cross


def _end(item: Operation) -> str:
    took = "" if item.end is None else f" after {show_ms(item.end - item.start)}"
    match item.outcome:
        case Outcome.OK:
            return f", ok{took}"
        case Outcome.FAIL:
            return f", refused{took} ({item.error or 'no reason'})"
        case Outcome.INFO:
            return f", unknown ({item.error or 'no answer'})"


def _fault(fault: FaultRecord) -> tuple[str, str, str]:
    end = "" if fault.ended_ns is None else f", until {_time(fault.ended_ns)}"
    words = shorten(f"{fault.kind} {fault.words}".rstrip())
    return _time(_began(fault)), f"fault {clean(fault.id)}", f"{words}{end}"


def _began(fault: FaultRecord) -> int:
    return fault.asked_ns if fault.began_ns is None else fault.began_ns


def _time(at_ns: int) -> str:
    return f"{at_ns / SECOND:.3f} s"


def _columns(rows: Sequence[tuple[str, str, str, str]]) -> list[str]:
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(3)]
    return [
        f"  {number:>{widths[0]}}  {at:>{widths[1]}}  {who:<{widths[2]}}  {words}"
        for number, at, who, words in rows
    ]
