"""What machines read of a run: one JSON object on one line."""

from __future__ import annotations

import json

from harness.core.run import Noticed, RunRecord
from harness.core.values import show, thaw
from harness.core.verdict import CheckResult
from reports.model import Counts, report_path
from reports.words import path_words


def json_line(record: RunRecord) -> str:
    """The last line of ``harness run --json``.

    Keys: ``verdict``, ``exit_code``, ``run``, ``seed`` (null for a foreign history), ``checkers``,
    ``stats``, ``noticed`` (a violation that was seen while the run went on), ``digest`` (over all
    that was recorded), ``report``. Only ASCII, so no value can steer what shows it.
    """
    counts = Counts(*record.history.outcomes())
    faults = record.faults
    path = report_path(record)
    data = {
        "verdict": record.ending.word,
        "exit_code": int(record.ending.exit_code),
        "run": path_words(record.folder),
        "seed": record.plan.spec.seed if record.plan else None,
        "sentence": record.ending.sentence,
        "checkers": {result.checker: _checker(result) for result in record.results},
        "stats": {
            "operations": {
                "total": counts.total,
                "ok": counts.ok,
                "fail": counts.fail,
                "info": counts.info,
            },
            "faults": {
                "planned": len(record.plan.schedule) if record.plan else 0,
                "injected": sum(fault.began_ns is not None for fault in faults),
                "proven": sum(fault.bit.holds for fault in faults),
                "healed": sum(fault.healed.holds for fault in faults),
            },
            "duration_s": round(record.duration_ns / 1e9, 3),
        },
        "noticed": None if record.noticed is None else _noticed(record.noticed),
        "digest": record.digest or None,
        "report": None if path is None else path_words(path),
    }
    return json.dumps(data, ensure_ascii=True)


def _noticed(noticed: Noticed) -> dict[str, object]:
    return {
        "operation": noticed.operation,
        "key": None if noticed.key is None else show(noticed.key),
        "returned_ns": noticed.returned_ns,
        "noticed_ns": noticed.noticed_ns,
        "stopped": noticed.stopped,
    }


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
                "key": None if anomaly.key is None else show(anomaly.key),
                "operations": list(anomaly.operations),
                "at_ns": anomaly.at_ns,
            }
            for anomaly in result.anomalies[:20]
        ],
    }
