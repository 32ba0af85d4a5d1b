"""Shrinking against plans that fail for a known reason: exactly the reason is left."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.core.faults import FaultSpec, FaultStep
from harness.core.operations import Call, Completion, History, Operation, Outcome
from harness.core.plan import FIRST_FINAL, Plan, RunSpec, Script, ScriptedCall, node_names
from harness.core.protocols import WorkloadOptions
from harness.core.units import MILLISECOND, SECOND
from harness.engine.scripts import Scripted, script_of
from harness.engine.shrinking import SHORTEST_FAULT_NS, Failure, minimize, shrink, size
from workloads.register import Register


def step(number: int, at_s: float, order: tuple[str, ...] = ()) -> FaultStep:
    fault = FaultSpec("kill", {"who": "one", "order": order, "links": (("n1", "n2"),)})
    return FaultStep(f"K{number}", round(at_s * SECOND), 3 * SECOND, fault)


def plan(faults: int, calls: int, clients: int = 6, nodes: int = 5) -> Plan:
    names = node_names(nodes)
    script = Script(
        clients=tuple(names[thread % nodes] for thread in range(clients)),
        calls=tuple(
            ScriptedCall(number % clients, number * 200 * MILLISECOND, Call("write", "k", number))
            for number in range(calls)
        ),
        final=tuple((node, Call("read", "k")) for node in names),
    )
    spec = RunSpec(nodes=nodes, concurrency=clients, time_limit_s=30.0)
    schedule = tuple(step(number, number * 2 + 1, names) for number in range(faults))
    return Plan(spec, "sim", names, schedule, script=script)


@given(
    st.sets(st.integers(0, 7), max_size=3),
    st.sets(st.integers(0, 39), min_size=1, max_size=4),
    st.booleans(),
)
def test_what_is_left_is_what_is_needed(faults: set[int], calls: set[int], at_end: bool) -> None:
    whole = plan(8, 40)
    wanted = {f"K{number}" for number in faults}
    tried: list[Plan] = []

    def trial(tried_plan: Plan) -> Failure | None:
        tried.append(tried_plan)
        script = tried_plan.script
        assert script is not None
        assert all(item.thread < len(script.clients) for item in script.calls)
        assert tried_plan.spec.concurrency == len(script.clients)
        assert tried_plan.spec.nodes == len(tried_plan.nodes)
        here = {item.call.value for item in script.calls}
        if not wanted <= {item.id for item in tried_plan.schedule} or not calls <= here:
            return None
        if at_end and not script.final:
            return None
        last = max([item.at_ns for item in script.calls if item.call.value in calls], default=0)
        return Failure(tried_plan, last, script)

    first = trial(whole)
    assert first is not None
    told: list[tuple[int, ...]] = []
    least = shrink(first, trial, lambda _words, found: told.append(size(found.plan))).plan
    assert {item.id for item in least.schedule} == wanted
    assert least.script is not None
    assert {item.call.value for item in least.script.calls} == calls
    assert len(least.script.final) == at_end
    assert len(least.nodes) == 1
    assert len(least.script.clients) <= len(calls)
    assert all(item.duration_ns < 2 * SHORTEST_FAULT_NS for item in least.schedule)
    assert least.spec.time_limit_s < whole.spec.time_limit_s
    times = [item.at_ns for item in least.script.calls]
    assert times == sorted(times)
    assert len(tried) < 2000


def test_a_failure_that_needs_nothing_is_told_so() -> None:
    """Not one fault and not one call: then the plan says so by being empty."""

    def trial(tried: Plan) -> Failure | None:
        return Failure(tried, 0, tried.script or Script((), ()))

    first = trial(plan(3, 10))
    assert first is not None
    least = shrink(first, trial).plan
    assert least.schedule == ()
    assert least.script is not None
    assert least.script.calls == ()


def test_a_node_less() -> None:
    """Its clients talk to the next one, and no fault names it."""
    seen: list[Plan] = []

    def trial(tried: Plan) -> Failure | None:
        if len(tried.schedule) < 1 or len(tried.nodes) < 3:
            return None
        assert tried.script is not None
        if len(tried.script.clients) < 4 or len(tried.script.calls) < 4:
            return None
        seen.append(tried)
        return Failure(tried, SECOND, tried.script)

    first = trial(plan(1, 4, clients=4, nodes=4))
    assert first is not None
    least = shrink(first, trial).plan
    assert least.nodes == ("n1", "n2", "n3")
    assert least.script is not None
    # n1 went: what were n2, n3 and n4 are called n1, n2 and n3.
    assert least.script.clients == ("n1", "n1", "n2", "n3")
    params = least.schedule[0].fault.params
    assert params["order"] == ("n1", "n2", "n3")
    assert params["links"] == ()


@given(st.integers(0, 40), st.sets(st.integers(0, 39), max_size=5))
def test_minimize_leaves_no_item_too_many(count: int, needed: set[int]) -> None:
    items = tuple(range(count))
    wanted = needed & set(items)
    asked = 0

    def fails(kept: Sequence[int]) -> bool:
        nonlocal asked
        asked += 1
        return wanted <= set(kept)

    assert set(minimize(items, fails)) == wanted
    assert asked <= 2 * (count + 1) * (len(wanted) + 2)


def test_a_run_as_a_script_and_back() -> None:
    """Threads are found from processes, which grow by the number of clients when one dies."""
    whole = replace(plan(0, 0, clients=4), script=None)

    def operation(index: int, process: int, node: str, f: str) -> Operation:
        return Operation(
            index, process, Call(f, "k"), Outcome.OK, index * 10, index * 10 + 5, node=node
        )

    history = History(
        (
            operation(0, 0, "n1", "read"),
            operation(1, 5, "n2", "read"),
            operation(2, 0, "n1", "read"),
            operation(3, FIRST_FINAL, "n3", "read"),
        )
    )
    script = script_of(whole, history)
    assert script.clients == ("n1", "n2", "n3", "n4")
    assert [(item.thread, item.at_ns) for item in script.calls] == [(0, 0), (1, 10), (0, 20)]
    assert script.final == (("n3", Call("read", "k")),)
    like = Register(random.Random(1), WorkloadOptions(whole.nodes, 4))
    workload = Scripted(script, like)
    assert (workload.name, workload.model) == (like.name, like.model)
    assert workload.following(0, 0.0) == 0.0
    assert workload.next(0) == Call("read", "k")
    assert workload.following(0, 0.0) == 20e-9
    assert workload.following(1, 1.0) == 1.0
    workload.ended(Call("read", "k"), Completion(Outcome.OK))
    assert workload.next(0) is not None
    assert workload.next(0) is None
    assert workload.final() == script.final
