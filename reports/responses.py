"""What a call took from the time at which it was due, not from when its client came to it.

With a rate, each client has its slots. One that still waits for an answer cannot call in the next
slot: those calls are never made, and leaving them out would make a system look the better, the
longer it stops ("coordinated omission", Tene, "How not to measure latency", 2013). So for each slot
that passed while a client waited, the wait from that slot to the answer counts as well.
"""

from __future__ import annotations

from harness.core.operations import Operation
from harness.core.plan import FIRST_FINAL, Plan


def responses(plan: Plan | None, operation: Operation) -> list[int]:
    """Nanoseconds that clients waited for the answer of an operation: it, and the calls that were
    due meanwhile. Without a rate it is the operation's own time alone; nothing without an answer.
    """
    start, end = operation.start, operation.end
    if end is None:
        return []
    open_loop = plan is not None and plan.script is None and plan.spec.rate > 0
    if plan is None or not open_loop or operation.process >= FIRST_FINAL:
        return [end - start]
    spec = plan.spec
    period = round(spec.concurrency * 1e9 / spec.rate)
    offset = round(operation.process % spec.concurrency * 1e9 / spec.rate)
    due = start - (start - offset) % period if start >= offset else start
    return list(range(end - due, 0, -period)) or [0]
