"""Did the run test anything, and how did it end?

A run that passes because no fault bit, or because nothing was answered while one was in force,
has shown nothing, and must not look like success.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from harness.check.linearizability import NAME
from harness.check.telling import counted
from harness.core.errors import HarnessError
from harness.core.faults import FaultRecord
from harness.core.operations import Operation, Outcome
from harness.core.plan import RunSpec
from harness.core.run import Adequacy, Ending, RunRecord
from harness.core.verdict import CheckResult, ExitCode, Verdict, worst

_WORDS = {Outcome.OK: "ok", Outcome.FAIL: "failed", Outcome.INFO: "unknown"}


def adequacy(record: RunRecord) -> Adequacy:
    """Every fault bit and healed, and operations succeeded during and after them.

    Figures: operations by outcome (``ok``, ``failed``, ``unknown``), ``faults``, ``proven``,
    ``during_faults`` (operations called while a proven fault was in force), ``ok_during`` (answered
    well while any was), ``ok_after``, and for each fault ``F1.ok``, ``F1.failed``, ``F1.unknown``
    (of the operations called while it was in force).
    """
    operations, faults = record.history.operations, record.faults
    figures = _figures(operations, faults)
    if record.noticed is not None and record.noticed.stopped:
        # It was ended on purpose, for what it had found: enough was tested.
        return Adequacy((), figures)
    return Adequacy(tuple(_reasons(record, figures)), figures)


def _reasons(record: RunRecord, figures: dict[str, int]) -> Iterator[str]:
    spec = record.plan.spec if record.plan else RunSpec()
    if not figures["ok"]:
        yield f"none of {counted(figures['operations'], 'operation')} succeeded"
    elif figures["ok"] < spec.min_operations:
        yield f"{few(figures['ok'])} succeeded, fewer than {spec.min_operations:,}"
    asked = record.plan.spec.nemeses if record.plan else ()
    seen = {fault.kind for fault in record.faults}
    for name in asked:
        if name.partition(":")[0] not in seen:
            yield f"no {name} fault was injected: the load was too short for one"
    for fault in record.faults:
        yield from _fault_reasons(fault)
        ok = figures.get(f"{fault.id}.ok", 0)
        if fault.began_ns is not None and ok < spec.min_ok_during:
            yield (
                f"{few(ok)} succeeded during {fault.id} {fault.kind} ({fault.words}), fewer than "
                f"{spec.min_ok_during:,}"
            )
    if not record.faults or not figures["ok"]:
        return
    if not figures["ok_during"]:
        yield "no operation succeeded while a fault was in force"
    if figures["ok_after"] < spec.min_ok_after:
        few_words = few(figures["ok_after"])
        least = f", fewer than {spec.min_ok_after:,}" if spec.min_ok_after > 1 else ""
        yield f"{few_words} succeeded after the last heal{least}"


def few(number: int) -> str:
    """``no operation``, ``3 operations``."""
    return counted(number, "operation") if number else "no operation"


def _fault_reasons(fault: FaultRecord) -> Iterator[str]:
    """A fault that was aimed at the leader says in ``resolved`` who that turned out to be."""
    who = f"{fault.id} {fault.kind}"
    if fault.began_ns is None:
        yield f"{who}: {fault.error or 'was not injected'}"
        return
    if not fault.bit.holds:
        yield f"{who} ({fault.words}) did not bite: {fault.bit.words}"
    if not fault.healed.holds:
        yield f"{who} ({fault.words}) was not healed: {fault.healed.words}"
    if "leader" in fault.resolved:
        leader, hit = fault.resolved["leader"], fault.resolved.get("nodes")
        if leader is None:
            yield f"{who} ({fault.words}) was meant for the leader, but nobody led"
        elif isinstance(hit, tuple) and leader not in hit:
            yield f"{who} ({fault.words}) was meant for the leader, {leader}, and missed it"


def _figures(operations: Sequence[Operation], faults: Sequence[FaultRecord]) -> dict[str, int]:
    figures = {"operations": len(operations), "ok": 0, "failed": 0, "unknown": 0}
    for operation in operations:
        figures[_WORDS[operation.outcome]] += 1
    spans = [
        (fault, fault.began_ns, fault.ended_ns) for fault in faults if fault.began_ns is not None
    ]
    figures["faults"] = len(faults)
    figures["proven"] = sum(fault.bit.holds for fault in faults)
    for fault, _, _ in spans:
        figures.update({f"{fault.id}.{word}": 0 for word in _WORDS.values()})
    last_heal = max((end for _, _, end in spans if end is not None), default=None)
    figures.update(during_faults=0, ok_during=0, ok_after=0)
    for operation in operations:
        start, end = operation.start, operation.end
        hit = [fault for fault, began, ended in spans if _within(start, began, ended)]
        for fault in hit:
            figures[f"{fault.id}.{_WORDS[operation.outcome]}"] += 1
        figures["during_faults"] += any(fault.bit.holds for fault in hit)
        if operation.outcome is Outcome.OK and end is not None:
            figures["ok_during"] += any(_within(end, began, ended) for _, began, ended in spans)
            figures["ok_after"] += last_heal is not None and start >= last_heal
    return figures


def _within(at: int, began: int, ended: int | None) -> bool:
    return began <= at and (ended is None or at < ended)


def ending(
    record: RunRecord,
    results: Sequence[CheckResult],
    trouble: BaseException | None = None,
) -> Ending:
    """The word, the exit code and the sentence of a run.

    ``trouble`` is what ended it early. Violation comes first, whatever else went wrong; then
    interruption, internal errors, the environment (a fault that could not be healed is one),
    inadequacy, unknown; VALID is what is left.
    """
    found = adequacy(record)
    bad = [result for result in results if result.verdict is Verdict.INVALID]
    if bad:
        first = next((result for result in bad if result.anomalies), bad[0])
        sentence = first.anomalies[0].sentence if first.anomalies else _sentence(first.reason)
        return Ending("invalid", ExitCode.VIOLATION, sentence, found)
    if trouble is not None:
        return _troubled(trouble, found)
    if record.noticed is not None and _denied(results):
        words = (
            f"The harness contradicts itself: while the run went on, operation "
            f"{record.noticed.operation} had no legal order; the check after it found one."
        )
        return Ending("internal", ExitCode.INTERNAL, words, found)
    stuck = [fault for fault in record.faults if _in_force(fault)]
    if stuck:
        fault = stuck[0]
        words = f"{fault.id} {fault.kind} ({fault.words}) could not be healed: {fault.healed.words}"
        return Ending("environment", ExitCode.ENVIRONMENT, _sentence(words), found)
    if not found.adequate:
        more = f" (and {len(found.reasons) - 1} more)" if len(found.reasons) > 1 else ""
        words = f"The run tested too little: {found.reasons[0]}{more}"
        return Ending("inadequate", ExitCode.INADEQUATE, _sentence(words), found)
    if not results or worst(result.verdict for result in results) is Verdict.UNKNOWN:
        open_ = [result for result in results if result.verdict is Verdict.UNKNOWN]
        words = f"{open_[0].checker}: {open_[0].reason}" if open_ else "nothing was judged"
        return Ending("unknown", ExitCode.UNKNOWN, _sentence(words), found)
    return Ending("valid", ExitCode.VALID, _tested(found), found)


def _denied(results: Sequence[CheckResult]) -> bool:
    """Whether the search after the run decided otherwise than the one during it."""
    return any(item.checker == NAME and item.verdict is Verdict.VALID for item in results)


def _troubled(trouble: BaseException, found: Adequacy) -> Ending:
    operations = counted(found.figures["operations"], "operation")
    match trouble:
        case KeyboardInterrupt() | asyncio.CancelledError():
            words = f"Interrupted after {operations}; nothing was broken so far."
            return Ending("interrupted", ExitCode.INTERRUPTED, words, found)
        case HarnessError():
            code = trouble.exit_code
            word = "environment" if code is ExitCode.ENVIRONMENT else code.name.lower()
            lines = str(trouble).splitlines() or [type(trouble).__name__]
            return Ending(word, code, _sentence(lines[0]), found)
        case _:
            words = f"The harness itself failed: {type(trouble).__name__}: {trouble}"
            return Ending("internal", ExitCode.INTERNAL, _sentence(words), found)


def _in_force(fault: FaultRecord) -> bool:
    """Injected, perhaps in part, and not known to be undone."""
    return not fault.healed.holds and (fault.began_ns is not None or fault.ended_ns is not None)


def _tested(found: Adequacy) -> str:
    figures = found.figures
    if not figures["faults"]:
        words = f"{counted(figures['operations'], 'operation')} without any fault"
    else:
        words = (
            f"{figures['during_faults']:,} of {counted(figures['operations'], 'operation')} ran "
            f"during {counted(figures['proven'], 'proven fault')}"
        )
    return f"{words}; nothing promised was broken."


def _sentence(words: str) -> str:
    return words if words.endswith((".", "!", "?")) else f"{words}."
