"""Sets that only grow, each of whose elements is added once.

What reads returned must form a chain, each a part of the next; and then everything has its place:
an element is added after the last read that lacks it and before the first that has it.
"""

from __future__ import annotations

from harness.check.monitors.intervals import NEVER, Decide, Intervals
from harness.check.problem import Problem
from harness.core.values import Value


def growing_set(problem: Problem) -> Decide | None:
    """Decides by the chain of reads; None if an element is added twice."""
    intervals = Intervals(problem)
    adds: dict[Value, int] = {}
    reads: dict[frozenset[Value], list[int]] = {}
    for operation in intervals.by_call:
        action = problem.table.actions[problem.classes[operation]]
        if action.f == "add":
            if action.value in adds:
                return None
            adds[action.value] = operation
        else:
            members = action.result if isinstance(action.result, tuple) else ()
            reads.setdefault(frozenset(members), []).append(operation)
    chain = sorted(reads.items(), key=lambda entry: len(entry[0]))

    def decide(last: int) -> list[int] | None:
        ends = intervals.ends(last)
        order: list[int] = []
        held: frozenset[Value] = frozenset()
        for members, readers in chain:
            returned = [operation for operation in readers if ends[operation] < NEVER]
            if not returned:
                continue
            if not held <= members:
                return None
            new = [adds.get(element, -1) for element in members - held]
            if -1 in new:
                return None
            order += sorted(new, key=intervals.calls.__getitem__)
            order += returned
            held = members
        order += [
            operation
            for element, operation in adds.items()
            if element not in held and ends[operation] < NEVER
        ]
        return order if intervals.keeps_time(order, ends) else None

    return decide
