"""Queues, ordered and not, each of whose elements is put in once.

An element is there from the return of its enqueue to the call of its dequeue, for certain; before
and after it may be. A dequeue that found nothing needs an instant at which no element is there for
certain, and any such instant will do; call them *gaps*. What is left is the order of the elements
(for a queue without order there is none to find). With e and d for enqueue and dequeue, and times
of call and return, x must precede y

    P   if e(x) returned before e(y) was called
    Q   if d(x) returned before d(y) was called
    S   if d(x) returned before e(y) was called
    R   if e(x) returned before a gap, and d(y) was called after it

so just if A(x) < call of e(y) or B(x) < call of d(y), with A the earlier one of both returns and
B the earlier one of the return of d and the first gap after the return of e. Neither half has x
before x. Of two pairs of the same half, x1 → x2 and x3 → x4, the smaller left side precedes both
right sides, so a cycle through more than two elements can be made shorter, down to two of them: P
with Q, which no order can pass; the other combinations contradict that gaps are gaps. So if no
element is left that nothing must precede, the history has no order, whichever gaps were taken. If
there is an order of the elements, everything may happen as early as it allows: an enqueue at the
latest call of an enqueue up to here, a dequeue at the latest call of anything up to here, both no
earlier than the gap that some element up to here must come after. That is before any of them
returns, which is what P, Q, S and R say.

A dequeue without answer took some element away, or none. Only elements that nobody is known to have
dequeued can have been taken; one that precedes (P) a dequeued element must have been, before that
dequeue returned. Handing out the earliest called to the most urgent element succeeds if anything
does. With gaps as well as unanswered dequeues the monitor does not decide.

(Henzinger, Sezgin & Vafeiadis, "Aspect-oriented linearizability proofs", 2013, have these
violations for queues; Abdulla et al., "Efficient linearizability monitoring", 2025, other ways to
find them.)
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop
from operator import attrgetter

from harness.check.monitors.intervals import NEVER, Decide, Intervals
from harness.check.problem import Problem
from harness.core.operations import Outcome
from harness.core.values import Value


@dataclass(slots=True, eq=False)
class _Element:
    """One element's way: operations (-1: none) with the positions of calls and returns."""

    enqueue: int
    put_call: int
    put_end: float
    dequeue: int = -1
    take_call: float = NEVER
    take_end: float = NEVER


def fifo(problem: Problem) -> Decide | None:
    """Decides for a queue in order; None if its elements are not unique."""
    return _Queue.of(problem, in_order=True)


def bag(problem: Problem) -> Decide | None:
    """Decides for a queue without order; None if its elements are not unique."""
    return _Queue.of(problem, in_order=False)


@dataclass(frozen=True, slots=True)
class Roles:
    """What the classes of a queue's operations do, in numbers for the compiled monitor: for each 0
    (puts an element in), 1 (takes it), 2 (found nothing) or 3 (unanswered), and the element."""

    what: bytes
    element: Sequence[int]
    in_order: bool


def roles(problem: Problem) -> Roles | None:
    """For an object that these monitors know; None for another, and if nil is an element."""
    monitor = problem.table.model.monitor
    if monitor is not fifo and monitor is not bag:
        return None
    numbers: dict[Value, int] = {}
    what, element = bytearray(), array("I")
    for action in problem.table.actions:
        puts, info = action.f == "enqueue", action.outcome is Outcome.INFO
        value = action.value if puts else None if info else action.result
        if puts and value is None:
            return None
        what.append(0 if puts else 3 if info else 2 if value is None else 1)
        element.append(0 if value is None else numbers.setdefault(value, len(numbers)))
    return Roles(bytes(what), element, monitor is fifo)


class _Queue:
    def __init__(self, problem: Problem, *, in_order: bool) -> None:
        self.in_order = in_order
        self.intervals = Intervals(problem)
        self.enqueues: dict[Value, int] = {}
        self.dequeues: dict[Value, list[int]] = {}
        self.empty: list[int] = []
        self.unanswered: list[int] = []
        self.unclear = False
        for operation in self.intervals.by_call:
            action = problem.table.actions[problem.classes[operation]]
            if action.f == "enqueue":
                # An element that is nil could not be told from no element.
                self.unclear |= action.value is None or action.value in self.enqueues
                self.enqueues[action.value] = operation
            elif action.outcome is Outcome.INFO:
                self.unanswered.append(operation)
            elif action.result is None:
                self.empty.append(operation)
            else:
                self.dequeues.setdefault(action.result, []).append(operation)

    @classmethod
    def of(cls, problem: Problem, *, in_order: bool) -> Decide | None:
        """The decision, if it may be trusted."""
        queue = cls(problem, in_order=in_order)
        if queue.unclear or (queue.empty and queue.unanswered):
            return None
        return queue.decide

    def decide(self, last: int) -> list[int] | None:
        """See :data:`Decide`."""
        ends = self.intervals.ends(last)
        elements = self._elements(last, ends)
        if elements is None:
            return None
        instants = self._instants(elements, ends)
        if instants is None:
            return None
        if self.in_order:
            self._take_away(elements, last)
            ordered = _line(elements, sorted(set(instants.values())))
            if ordered is None:
                return None
            elements = ordered
        return self._scheduled(elements, instants, ends)

    def _elements(self, last: int, ends: Sequence[float]) -> list[_Element] | None:
        """What was put in, or must have been; None if something came out wrongly."""
        calls = self.intervals.calls
        found: list[_Element] = []
        for value, takers in self.dequeues.items():
            if value not in self.enqueues and any(ends[taker] < NEVER for taker in takers):
                return None
        for value, put in self.enqueues.items():
            if calls[put] >= last:
                if any(ends[taker] < NEVER for taker in self.dequeues.get(value, ())):
                    return None
                continue
            element = _Element(put, calls[put], ends[put])
            takers = [taker for taker in self.dequeues.get(value, ()) if calls[taker] < last]
            if takers:
                # One that has not returned may wait for ever: the one that has took the element.
                takers.sort(key=ends.__getitem__)
                if len(takers) > 1 and ends[takers[1]] < NEVER:
                    return None
                taker = takers[0]
                if ends[taker] < calls[put]:
                    return None
                element.dequeue, element.take_call = taker, calls[taker]
                element.take_end = ends[taker]
            if min(element.put_end, element.take_end) < NEVER:
                found.append(element)
        return found

    def _instants(
        self, elements: Sequence[_Element], ends: Sequence[float]
    ) -> dict[int, float] | None:
        """For each dequeue that found nothing an instant without certain elements."""
        wanted = [operation for operation in self.empty if ends[operation] < NEVER]
        if not wanted:
            return {}
        certain = sorted((it.put_end, it.take_call) for it in elements if it.put_end < it.take_call)
        froms: list[float] = []
        tos: list[float] = []
        for begin, end in certain:
            if tos and begin < tos[-1]:
                tos[-1] = max(tos[-1], end)
            else:
                froms.append(begin)
                tos.append(end)
        instants: dict[int, float] = {}
        for operation in wanted:
            instant = self.intervals.calls[operation] + 0.5
            within = bisect_left(froms, instant) - 1
            if within >= 0 and instant < tos[within]:
                instant = tos[within] + 0.5
            if instant > ends[operation]:
                return None
            instants[operation] = instant
        return instants

    def _take_away(self, elements: Sequence[_Element], last: int) -> None:
        """Gives unanswered dequeues what must have been taken away.

        If they are too few or too late, some element is left that precedes another (P) and must
        follow it (Q).
        """
        calls = self.intervals.calls
        taken = sorted((it for it in elements if it.take_end < NEVER), key=attrgetter("put_call"))
        put_calls = [it.put_call for it in taken]
        # The first return of a dequeue, of all elements from a place on.
        soonest = [NEVER] * (len(taken) + 1)
        for place in range(len(taken) - 1, -1, -1):
            soonest[place] = min(soonest[place + 1], taken[place].take_end)
        urgent: list[tuple[float, int, _Element]] = []
        for number, element in enumerate(elements):
            if element.dequeue < 0:
                until = soonest[bisect_right(put_calls, element.put_end)]
                if until < NEVER:
                    urgent.append((until, number, element))
        free = [operation for operation in self.unanswered if calls[operation] < last]
        urgent.sort()
        for (_, _, element), operation in zip(urgent, free, strict=False):
            element.dequeue, element.take_call = operation, calls[operation]

    def _scheduled(
        self, elements: Sequence[_Element], instants: dict[int, float], ends: Sequence[float]
    ) -> list[int]:
        """All operations, each as early as it can be."""
        gaps = sorted(set(instants.values()))
        points: list[tuple[float, int, int]] = [
            (instant, -1, operation) for operation, instant in instants.items()
        ]
        put, take, gap = -1.0, -1.0, -1.0
        for number, element in enumerate(elements):
            if not self.in_order:
                put, take, gap = -1.0, -1.0, -1.0
            latest = max(element.put_call, element.take_call)
            before = bisect_left(gaps, latest)
            gap = max(gap, gaps[before - 1] if before else -1.0)
            put = max(put, gap, element.put_call)
            take = max(take, put, element.take_call)
            points.append((put, 2 * number, element.enqueue))
            if take < NEVER:
                points.append((take, 2 * number + 1, element.dequeue))
        points.sort()
        order = [operation for _, _, operation in points]
        assert self.intervals.keeps_time(order, list(ends)), "by P, Q, S and R"
        return order


def _line(elements: Sequence[_Element], gaps: Sequence[float]) -> list[_Element] | None:
    """The elements in an order that P, Q, S and R allow; None if there is none.

    Those that nothing left must precede are taken one after the other: what must be waited for,
    the least A and the least B of those that are left, only grows.
    """

    def beyond(end: float) -> float:
        place = bisect_left(gaps, end)
        return gaps[place] if place < len(gaps) else NEVER

    first = [(min(it.put_end, it.take_end), place) for place, it in enumerate(elements)]
    second = [(min(it.take_end, beyond(it.put_end)), place) for place, it in enumerate(elements)]
    for heap in (first, second):
        heapify(heap)
    by_put = sorted(range(len(elements)), key=lambda place: elements[place].put_call)
    by_take = sorted(range(len(elements)), key=lambda place: elements[place].take_call)
    passed = [0] * len(elements)
    ready: list[int] = []
    ordered: list[_Element] = []
    done = [False] * len(elements)
    puts = takes = 0
    while len(ordered) < len(elements):
        for heap in (first, second):
            while done[heap[0][1]]:
                heappop(heap)
        while puts < len(by_put) and elements[by_put[puts]].put_call < first[0][0]:
            passed[by_put[puts]] += 1
            if passed[by_put[puts]] == 2:
                ready.append(by_put[puts])
            puts += 1
        # An element that stays is called away at NEVER: nothing must precede that but what returns.
        while takes < len(by_take) and elements[by_take[takes]].take_call <= second[0][0]:
            passed[by_take[takes]] += 1
            if passed[by_take[takes]] == 2:
                ready.append(by_take[takes])
            takes += 1
        if not ready:
            return None
        place = ready.pop()
        done[place] = True
        ordered.append(elements[place])
    return ordered
