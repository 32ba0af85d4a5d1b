"""Makes a failing plan smaller, until nothing more can go.

Delta debugging (Zeller & Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002) of
a plan's parts, the coarse ones first: what was planned after the failure, faults, clients, nodes,
calls, and at last how long faults take. Nothing here knows how a plan is tried: a :data:`Trial`
runs it and says whether it still fails in the same way, and when.

A plan that lost a part is another run: other messages, other moments. So "this part is not needed"
means that some run without it was seen to fail, never that all would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from harness.core.faults import FaultSpec, FaultStep
from harness.core.plan import Plan, Script
from harness.core.units import MILLISECOND, SECOND
from harness.core.values import Record, Value

T = TypeVar("T")

LEAST_LOAD_NS = SECOND // 2
"""A load shorter than this is not worth anybody's time."""

AFTER_NS = 100 * MILLISECOND
"""What is left of a load after the last thing that matters in it."""

SHORTEST_FAULT_NS = 50 * MILLISECOND


@dataclass(frozen=True, slots=True)
class Failure:
    """A plan that fails, and when its run was known to have failed (nanoseconds of the load).

    ``script`` is what its clients called.
    """

    plan: Plan
    at_ns: int
    script: Script


Trial: TypeAlias = Callable[[Plan], Failure | None]
"""Runs a plan; its failure, if it fails in the way that is looked for.

The failure's plan may differ from the plan that was tried in its seed.
"""

Told: TypeAlias = Callable[[str, Failure], None]
"""Called with what was made smaller, after every success."""


def shrink(failure: Failure, trial: Trial, told: Told = lambda _words, _failure: None) -> Failure:
    """The smallest failure that was found on the way down from ``failure``.

    A trial may raise to end the search (time is up); what was found until then is what ``told``
    was last called with.
    """
    for words, attempt in (
        ("what came after the failure", _without_the_end),
        ("faults", _fewer_faults),
        ("what came after the failure", _without_the_end),
        ("the script of its calls", _as_script),
        ("what came long before the failure", _recent),
    ):
        failure = _take(attempt(failure, trial), words, failure, told)
    while True:
        before = size(failure.plan)
        for words, attempt in (
            ("clients", _fewer_clients),
            ("faults", _fewer_faults),
            ("final reads", _fewer_final_reads),
            ("keys", _fewer_keys),
            ("calls", _fewer_calls),
            ("nodes", _fewer_nodes),
            ("what came after the failure", _without_the_end),
            ("the time before it", _without_the_beginning),
            ("the faults' time", _shorter_faults),
        ):
            failure = _take(attempt(failure, trial), words, failure, told)
        if size(failure.plan) == before:
            return failure


def size(plan: Plan) -> tuple[int, ...]:
    """How much there is to a plan; compared part by part."""
    script = plan.script or Script((), ())
    return (
        len(plan.schedule),
        len(plan.nodes),
        len(script.clients),
        len(script.calls) + len(script.final),
        sum(step.duration_ns for step in plan.schedule),
        round(plan.spec.time_limit_s * 1000),
    )


def _take(found: Failure, words: str, before: Failure, told: Told) -> Failure:
    if found is not before:
        told(words, found)
    return found


def minimize(items: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """A part of ``items`` that still fails, such that no single one can go (ddmin, complements).

    ``fails`` is never asked about all of them, which are taken to fail.
    """
    if items and fails(()):
        return ()
    pieces = 2
    while len(items) > 1:
        width = -(-len(items) // pieces)
        for start in range(0, len(items), width):
            rest = [*items[:start], *items[start + width :]]
            if rest and fails(rest):
                items, pieces = rest, max(2, pieces - 1)
                break
        else:
            if width == 1:
                break
            pieces = min(len(items), 2 * pieces)
    return items


class _Search:
    """Keeps the last failure while parts are tried."""

    def __init__(self, failure: Failure, trial: Trial) -> None:
        self.failure = failure
        self._trial = trial

    def __call__(self, plan: Plan | None) -> bool:
        """Does it fail? Then it is the failure from here on."""
        found = None if plan is None else self._trial(plan)
        if found is not None:
            self.failure = found
        return found is not None


def _without_the_end(failure: Failure, trial: Trial) -> Failure:
    """Nothing planned after the failure had a part in it; it may be seen by final reads too."""
    search = _Search(failure, trial)
    plan = failure.plan
    limit_ns = round(plan.spec.time_limit_s * SECOND)
    ends = [failure.at_ns + AFTER_NS, limit_ns // 2, limit_ns * 3 // 4]
    for end_ns in sorted({_whole(end) for end in ends}):
        if LEAST_LOAD_NS <= end_ns < limit_ns and search(_until(plan, end_ns)):
            break
    return search.failure


def _until(plan: Plan, end_ns: int) -> Plan:
    """Without what begins after ``end_ns``; faults that would last longer are healed then."""
    schedule = tuple(
        replace(step, duration_ns=min(step.duration_ns, end_ns - step.at_ns))
        for step in plan.schedule
        if step.at_ns < end_ns
    )
    script = plan.script
    if script is not None:
        calls = tuple(item for item in script.calls if item.at_ns <= end_ns)
        script = replace(script, calls=calls)
    return _with(plan, schedule=schedule, script=script, load_ns=end_ns)


def _with(
    plan: Plan,
    *,
    schedule: tuple[FaultStep, ...] | None = None,
    script: Script | None = None,
    load_ns: int | None = None,
) -> Plan:
    spec = plan.spec
    if load_ns is not None:
        spec = replace(spec, time_limit_s=load_ns / SECOND)
    if script is not None:
        spec = replace(spec, concurrency=len(script.clients))
    schedule = plan.schedule if schedule is None else schedule
    return replace(plan, spec=spec, schedule=schedule, script=script or plan.script)


def _fewer_faults(failure: Failure, trial: Trial) -> Failure:
    search = _Search(failure, trial)
    plan = failure.plan
    minimize(plan.schedule, lambda kept: search(_with(plan, schedule=tuple(kept))))
    return search.failure


def _as_script(failure: Failure, trial: Trial) -> Failure:
    """From here on its calls are data. If that alone makes it pass, it stays as it is."""
    if failure.plan.script is not None:
        return failure
    search = _Search(failure, trial)
    search(_with(failure.plan, script=failure.script))
    return search.failure


def _fewer_clients(failure: Failure, trial: Trial) -> Failure:
    search = _Search(failure, trial)
    plan, script = failure.plan, failure.plan.script
    if script is None:
        return failure

    def fails(kept: Sequence[int]) -> bool:
        return search(_with(plan, script=_of_clients(script, kept))) if kept else False

    minimize(range(len(script.clients)), fails)
    return search.failure


def _of_clients(script: Script, kept: Sequence[int]) -> Script:
    """Only these clients, numbered anew."""
    numbers = {thread: number for number, thread in enumerate(kept)}
    calls = tuple(
        replace(item, thread=numbers[item.thread])
        for item in script.calls
        if item.thread in numbers
    )
    return replace(script, clients=tuple(script.clients[thread] for thread in kept), calls=calls)


def _fewer_final_reads(failure: Failure, trial: Trial) -> Failure:
    search = _Search(failure, trial)
    plan, script = failure.plan, failure.plan.script
    if script is not None:
        minimize(
            script.final,
            lambda kept: search(_with(plan, script=replace(script, final=tuple(kept)))),
        )
    return search.failure


def _fewer_keys(failure: Failure, trial: Trial) -> Failure:
    search = _Search(failure, trial)
    plan, script = failure.plan, failure.plan.script
    if script is None:
        return failure
    keys = list(dict.fromkeys(item.call.key for item in script.calls))

    def fails(kept: Sequence[Value]) -> bool:
        wanted = set(kept)
        calls = tuple(item for item in script.calls if item.call.key in wanted)
        final = tuple(item for item in script.final if item[1].key in wanted)
        return search(_with(plan, script=replace(script, calls=calls, final=final)))

    minimize(keys, fails)
    return search.failure


def _fewer_calls(failure: Failure, trial: Trial) -> Failure:
    search = _Search(failure, trial)
    plan, script = failure.plan, failure.plan.script
    if script is not None:
        minimize(
            script.calls,
            lambda kept: search(_with(plan, script=replace(script, calls=tuple(kept)))),
        )
    return search.failure


def _fewer_nodes(failure: Failure, trial: Trial) -> Failure:
    search = _Search(failure, trial)
    while len(search.failure.plan.nodes) > 1:
        plan = search.failure.plan
        if not any(search(_without_node(plan, node)) for node in plan.nodes):
            break
    return search.failure


def _without_node(plan: Plan, node: str) -> Plan:
    """One node less: faults name the others alone, its clients talk to the next one.

    Nodes are called n1, n2, …, so those after it move up by one.
    """
    left = [name for name in plan.nodes if name != node]
    names: dict[str, str] = dict(zip(left, plan.nodes, strict=False))
    instead = names[left[plan.nodes.index(node) % len(left)]]
    schedule = tuple(
        replace(step, fault=FaultSpec(step.fault.kind, _params(step.fault, node, names)))
        for step in plan.schedule
    )
    script = plan.script
    if script is not None:
        script = Script(
            tuple(names.get(name, instead) for name in script.clients),
            script.calls,
            tuple((names.get(name, instead), call) for name, call in script.final),
        )
    spec = plan.spec
    timeouts = spec.election_timeout_ms
    if len(timeouts) == len(plan.nodes) != 2:
        timeouts = tuple(
            time for name, time in zip(plan.nodes, timeouts, strict=True) if name != node
        )
    spec = replace(spec, nodes=len(left), election_timeout_ms=timeouts)
    nodes = plan.nodes[: len(left)]
    return replace(plan, spec=spec, nodes=nodes, schedule=schedule, script=script)


def _params(fault: FaultSpec, node: str, names: dict[str, str]) -> dict[str, Value]:
    return {key: _renamed(value, node, names) for key, value in fault.params.items()}


def _renamed(value: Value, node: str, names: dict[str, str]) -> Value:
    """A fault's parameter without a node. What holds only it, as a link's end does, goes too."""
    match value:
        case str():
            return names.get(value, value)
        case tuple():
            items = (_renamed(item, node, names) for item in value if not _about(item, node))
            return tuple(items)
        case Record():
            return Record(
                tuple(
                    (names.get(key, key), _renamed(item, node, names))
                    for key, item in value.items
                    if key != node and not _about(item, node)
                )
            )
        case _:
            return value


def _about(value: Value, node: str) -> bool:
    """The node itself, or a link from or to it."""
    if value == node:
        return True
    pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)
    return pair and isinstance(value, tuple) and node in value and value[0] != value[1]


def _recent(failure: Failure, trial: Trial) -> Failure:
    """Only the last seconds before the failure, if they are enough: the rest is quicker then."""
    search = _Search(failure, trial)
    for back_ns in (SECOND, 3 * SECOND, 9 * SECOND):
        start_ns = _whole(failure.at_ns - back_ns)
        if start_ns < LEAST_LOAD_NS or search(_since(failure.plan, start_ns)):
            break
    return search.failure


def _since(plan: Plan, start_ns: int) -> Plan | None:
    """Begins at ``start_ns``, with the faults that are in force then; None without a script."""
    script = plan.script
    if script is None:
        return None
    schedule = tuple(
        replace(
            step,
            at_ns=max(0, step.at_ns - start_ns),
            duration_ns=min(step.duration_ns, step.at_ns + step.duration_ns - start_ns),
        )
        for step in plan.schedule
        if step.at_ns + step.duration_ns > start_ns
    )
    calls = tuple(
        replace(item, at_ns=item.at_ns - start_ns)
        for item in script.calls
        if item.at_ns >= start_ns
    )
    load_ns = max(LEAST_LOAD_NS, round(plan.spec.time_limit_s * SECOND) - start_ns)
    return _with(plan, schedule=schedule, script=replace(script, calls=calls), load_ns=load_ns)


def _without_the_beginning(failure: Failure, trial: Trial) -> Failure:
    """Everything earlier by what passes before anything happens, and without gaps within."""
    search = _Search(failure, trial)
    for gap_ns in (100 * MILLISECOND, 500 * MILLISECOND, 2 * SECOND):
        if search(_closed(search.failure.plan, gap_ns)):
            break
    return search.failure


def _closed(plan: Plan, gap_ns: int) -> Plan | None:
    """No longer than ``gap_ns`` from one planned moment to the next; None if nothing changes."""
    if plan.script is None:
        return None
    moments = {0}
    for step in plan.schedule:
        moments |= {step.at_ns, step.at_ns + step.duration_ns}
    moments |= {item.at_ns for item in plan.script.calls}
    moved: dict[int, int] = {}
    before = now = 0
    for moment in sorted(moments):
        now += min(moment - before, gap_ns)
        before, moved[moment] = moment, now
    load_ns = max(LEAST_LOAD_NS, _whole(now + AFTER_NS))
    if load_ns >= round(plan.spec.time_limit_s * SECOND):
        return None
    schedule = tuple(
        replace(
            step,
            at_ns=moved[step.at_ns],
            duration_ns=moved[step.at_ns + step.duration_ns] - moved[step.at_ns],
        )
        for step in plan.schedule
    )
    calls = tuple(replace(item, at_ns=moved[item.at_ns]) for item in plan.script.calls)
    return _with(plan, schedule=schedule, script=replace(plan.script, calls=calls), load_ns=load_ns)


def _shorter_faults(failure: Failure, trial: Trial) -> Failure:
    search = _Search(failure, trial)
    for place in range(len(failure.plan.schedule)):
        for plan in _halved(search, place):
            if not search(plan):
                break
    return search.failure


def _halved(search: _Search, place: int) -> Iterator[Plan]:
    """The failure's plan with one fault half as long, again and again."""
    while True:
        plan = search.failure.plan
        step = plan.schedule[place]
        half = _whole(step.duration_ns // 2)
        if half < SHORTEST_FAULT_NS:
            return
        shorter = (*plan.schedule[:place], replace(step, duration_ns=half))
        yield _with(plan, schedule=(*shorter, *plan.schedule[place + 1 :]))


def _whole(nanoseconds: int) -> int:
    return nanoseconds // MILLISECOND * MILLISECOND
