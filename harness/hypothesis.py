"""Property tests of a cluster in simulation, with Hypothesis (https://hypothesis.works).

Strategies for what may happen to a cluster and for what its clients call, and a function that
runs both and judges the history. A whole run is a function of its inputs and takes some tens of
milliseconds, so Hypothesis shrinks it as it shrinks anything: to fewer faults, calls, nodes and
clients, to shorter and earlier ones.

    @settings(deadline=None)
    @given(schedules(), operations())
    def test_my_cluster(schedule: Schedule, calls: Operations) -> None:
        result = simulate(schedule, calls)
        assert result.valid, result.story

Faults, workloads and targets are named as on the command line, those of other packages too.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

try:
    from hypothesis import currently_in_test_context, note
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError(
        "harness.hypothesis needs Hypothesis: pip install 'quorum-harness[hypothesis]'"
    ) from error

import harness.compiled  # before anything that is compiled  # noqa: F401
import reports
from harness.check.catalogue import parse_model
from harness.cli import planning
from harness.cli.session import run_quietly
from harness.cli.trial import parts_of
from harness.cli.versions import versions
from harness.core.errors import EnvironmentFailure, HarnessError, UsageError
from harness.core.faults import FaultRecord, FaultStep
from harness.core.operations import Call, History
from harness.core.plan import Plan, RunSpec, Script, ScriptedCall, node_names
from harness.core.protocols import HoldsBack, Nemesis
from harness.core.record import record
from harness.core.rng import derive
from harness.core.run import Ending, RunRecord
from harness.core.units import MILLISECOND, SECOND
from harness.core.values import Value
from harness.core.verdict import Anomaly, CheckResult, ExitCode, Verdict, worst
from reports import steps

__all__ = ["Operations", "Schedule", "Simulated", "operations", "schedules", "simulate"]

RUNTIME = "sim"

FAULTS = ("partition", "kill", "pause")
"""What :func:`schedules` draws from, if nothing is named."""

PLANNED_NS = 10 * SECOND
"""A load that every planner fits a fault into; its time is then drawn anew."""

SLOT_NS = 50 * MILLISECOND
"""Faults begin and end on multiples of this, calls shortly after multiples of twice as much: so
that many meet."""

LATE_MS = 9
"""So much later a call may be."""

VARIANTS = 20
"""Drawings of each kind of fault: which nodes, how long a delay."""

AFTER_NS = 100 * MILLISECOND
"""What is left of a load after the last thing that is planned in it."""

MEMORY = Path("/dev/shm")
"""Where runs are made that are not kept, if it is there: most of their files are tiny."""

FUNCTIONS = {
    "register": ("read", "write", "cas"),
    "set": ("read", "add"),
    "counter": ("read", "increment"),
    "append": ("read", "append"),
    "cas-register": ("read", "cas"),
}
"""What :func:`operations` draws for a workload, the simplest first."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cluster of so many nodes, and what happens to it.

    ``seed`` decides what the simulated world leaves to chance: latencies, elections, what a disk
    keeps when the power goes.
    """

    nodes: int
    steps: tuple[FaultStep, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Operations:
    """What clients call, in order of time. Client ``thread`` talks to node ``thread`` modulo nodes.

    With ``final`` every key that was called is read at every node after the last heal.
    """

    workload: str
    calls: tuple[ScriptedCall, ...]
    final: bool = True


@dataclass(frozen=True, slots=True)
class Simulated:
    """What came of a run.

    Attributes:
        verdict: the worst of all checks; UNKNOWN where one had too little to look at.
        anomalies: what should not have happened, of all checks.
        history: what clients called and were told.
        results: each check's word.
        faults: what came of each fault; one that did not bite says so.
        ending: the run's last word, and whether it tested anything.
        story: the run step by step and what was wrong with it, for people.
        digest: a hash over all that was recorded: the same inputs give the same.
        folder: the run's, if it was kept.
    """

    verdict: Verdict
    anomalies: tuple[Anomaly, ...]
    history: History
    results: tuple[CheckResult, ...]
    faults: tuple[FaultRecord, ...]
    ending: Ending
    story: str
    digest: str
    folder: Path | None = None

    @property
    def valid(self) -> bool:
        """No check found anything, and none gave up at a limit.

        That one could not say (nobody called, an element was never read again, a target writes no
        trace) is no violation: its result tells.
        """
        return not any(it.verdict is Verdict.INVALID or it.limit for it in self.results)


# -- what happens to it -------------------------------------------------------------------------
#
# Hypothesis deletes a few neighbouring choices at a time and tries each of them with less. So every
# fault and every call is five choices at most, and none of them changes what another one means.


def schedules(
    faults: Sequence[str] = FAULTS,
    *,
    nodes: tuple[int, int] = (2, 5),
    most: int = 4,
    within_s: float = 3.0,
    longest_s: float = 1.5,
) -> st.SearchStrategy[Schedule]:
    """Clusters, and at most ``most`` faults of these kinds in each.

    Shrinks to fewer faults, shorter and earlier ones, of the kinds that are named first, and to
    fewer nodes. A fault begins ``within_s`` seconds after the load and lasts ``longest_s``, at
    most.

    Args:
        faults: names as of ``harness list``: ``kill``, or narrowed ``kill:leader``.
        nodes: the least and the greatest number of nodes.

    Raises:
        UsageError: an unknown name, or numbers that leave nothing to draw.
        EnvironmentFailure: a fault that simulated machines cannot have.
    """
    least, greatest = nodes
    if not 1 <= least <= greatest:
        raise UsageError(f"nodes should be (least, greatest), at least 1, but is {nodes}")
    if within_s < 0 or longest_s * SECOND < SLOT_NS:
        raise UsageError(f"within_s should be 0 or more, longest_s {SLOT_NS / SECOND} or more")
    kinds = tuple(item for name in faults for item in _kinds(name))
    possible = {
        count: tuple(kind for kind in kinds if kind.planned(count, 0))
        for count in range(least, greatest + 1)
    }
    for name in faults:
        if not any(kind.family == planning.split(name)[0] for kind in possible[greatest]):
            raise UsageError(f"{name} is not possible with {greatest} nodes")
    longest = max(map(len, possible.values()))
    fault = st.tuples(
        st.integers(0, round(within_s * SECOND) // SLOT_NS),
        st.integers(1, round(longest_s * SECOND) // SLOT_NS),
        st.integers(0, max(0, longest - 1)),
        st.integers(0, VARIANTS - 1),
    )
    return st.builds(
        partial(_scheduled, possible),
        st.sampled_from(sorted(possible)),
        st.lists(fault, max_size=most if longest else 0),
        st.integers(0, 9999),
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """A family and one of its narrowings."""

    family: str
    nemesis: Nemesis
    narrowing: str | None

    def planned(self, nodes: int, variant: int) -> FaultStep | None:
        """One fault as its nemesis plans it; None if so many nodes cannot have it."""
        rng = derive(variant, f"nemesis/{self.family}")
        try:
            steps = self.nemesis.plan(rng, node_names(nodes), PLANNED_NS, self.narrowing)
        except UsageError:
            return None
        return steps[0] if steps else None


def _kinds(name: str) -> tuple[_Kind, ...]:
    family, narrowing = planning.split(name)
    nemesis = planning.make_nemeses((name,))[family]
    lacks = planning.pick_runtime(RUNTIME).runtime.lacks(nemesis.capability)
    if lacks:
        raise EnvironmentFailure(f"nemesis {name} cannot work here: {lacks}")
    held_back = nemesis.only_named if isinstance(nemesis, HoldsBack) else ()
    usual = tuple(item for item in nemesis.narrowings if item not in held_back)
    narrowings = usual if narrowing is None else (narrowing,)
    return tuple(_Kind(family, nemesis, item) for item in narrowings or (None,))


def _scheduled(
    possible: Mapping[int, tuple[_Kind, ...]],
    nodes: int,
    drawn: list[tuple[int, int, int, int]],
    seed: int,
) -> Schedule:
    numbers: Counter[str] = Counter()
    found = []
    for at, duration, place, variant in sorted(drawn):
        kinds = possible[nodes]
        step = kinds[place % len(kinds)].planned(nodes, variant) if kinds else None
        if step is None:
            continue
        letters = step.id.rstrip("0123456789")
        numbers[letters] += 1
        name = f"{letters}{numbers[letters]}"
        found.append(FaultStep(name, at * SLOT_NS, duration * SLOT_NS, step.fault))
    return Schedule(nodes, tuple(found), seed)


# -- what clients call --------------------------------------------------------------------------


def operations(
    workload: str = "register",
    *,
    clients: int = 5,
    keys: int = 2,
    most: int = 60,
    within_s: float = 4.0,
    calls: st.SearchStrategy[Call] | None = None,
) -> st.SearchStrategy[Operations]:
    """What clients call within ``within_s`` seconds, ``most`` calls at most; many at once.

    Shrinks to fewer calls, earlier ones, fewer clients and keys, and reads. A value that is written
    is unique for its key; a cas expects one of those that were to be written shortly before.

    Args:
        workload: it judges the history; for one that is not known here, ``calls`` are needed.
        calls: the calls to draw from instead.

    Raises:
        UsageError: an unknown workload, or nothing to draw from.
    """
    planning.make_workload(RunSpec(workload=workload))
    if clients < 1 or keys < 1 or within_s < 0:
        raise UsageError("operations need a client and a key at least, and a time that is not < 0")
    if calls is None:
        calls = st.sampled_from(_drafts(workload, keys))
    call = st.tuples(
        st.integers(0, round(within_s * SECOND) // (2 * SLOT_NS)),
        st.integers(0, LATE_MS),
        st.integers(0, clients - 1),
        calls,
    )

    # Left to itself a list has some five elements. That there should be more is a choice of its
    # own, which shrinks to none without touching the list.
    @st.composite
    def drawn(draw: st.DrawFn) -> Operations:
        final = draw(st.sampled_from((False, True, True, True)))
        wanted = draw(st.integers(0, most))
        return _laid_out(workload, draw(st.lists(call, min_size=wanted, max_size=most)), final)

    return drawn()


@record
class _Draft(Call):
    """A call whose value depends on the calls before it: ``back`` says on which."""

    back: int = 0


def _drafts(workload: str, keys: int) -> list[_Draft]:
    if workload not in FUNCTIONS:
        known = ", ".join(FUNCTIONS)
        raise UsageError(
            f"what do clients call in workload {workload!r}? Say it: "
            f"operations({workload!r}, calls=…) (known without that: {known})"
        )
    found = []
    for number in range(1, keys + 1):
        for f in FUNCTIONS[workload]:
            deltas = (1, 2, 3) if f == "increment" else (None,)
            backs = (0, 1) if f == "cas" else (0,)
            found += [_Draft(f, f"k{number}", it, back) for it in deltas for back in backs]
    return found


def _laid_out(workload: str, drawn: list[tuple[int, int, int, Call]], final: bool) -> Operations:
    """One line of time; drafts get their values in its order."""
    given: defaultdict[Value, list[int]] = defaultdict(list)
    found = []
    for slot, late_ms, thread, call in sorted(drawn, key=lambda item: item[:3]):
        made = _made(call, given[call.key]) if isinstance(call, _Draft) else call
        found.append(ScriptedCall(thread, 2 * slot * SLOT_NS + late_ms * MILLISECOND, made))
    return Operations(workload, tuple(found), final)


def _made(draft: _Draft, given: list[int]) -> Call:
    """The call of a draft. ``given`` are the values that its key was given before, in order."""
    match draft.f:
        case "read" | "increment":
            return Call(draft.f, draft.key, draft.value)
        case "cas":
            expected = given[-1 - draft.back] if draft.back < len(given) else None
            given.append(len(given) + 1)
            return Call("cas", draft.key, (expected, given[-1]))
        case _:
            given.append(len(given) + 1)
            return Call(draft.f, draft.key, given[-1])


# -- the run ------------------------------------------------------------------------------------


def simulate(
    schedule: Schedule,
    operations: Operations,
    *,
    target: str = "raft",
    bugs: Sequence[str] = (),
    election_timeout_ms: tuple[int, ...] = (100, 300),
    operation_timeout_s: float = 1.0,
    recovery_timeout_s: float = 30.0,
    out: Path | None = None,
) -> Simulated:
    """Runs a cluster in simulation and judges what its clients saw and what its nodes did.

    A function of its arguments, but for what the checks say of their own pace. In a test of
    Hypothesis' the story of a failing run is a note of the example. Nothing is left on the disk,
    unless ``out`` is a folder for runs: then the run is there as any other, with its report, for
    ``harness replay`` and ``harness shrink``.

    Raises:
        UsageError: a name that is not known, or things that do not fit each other.
        EnvironmentFailure: the target has no simulated server, or the cluster did not start.
        KeyboardInterrupt: as ever.
    """
    spec = RunSpec(
        target=target,
        workload=operations.workload,
        nemeses=tuple(dict.fromkeys(step.fault.kind for step in schedule.steps)),
        runtime=RUNTIME,
        nodes=schedule.nodes,
        rate=0.0,
        operation_timeout_s=operation_timeout_s,
        recovery_timeout_s=recovery_timeout_s,
        seed=schedule.seed,
        bugs=tuple(bugs),
        election_timeout_ms=election_timeout_ms,
    )
    if out is not None:
        return _told(_run(spec, schedule, operations, out), kept=True)
    scratch_in = MEMORY if os.access(MEMORY, os.W_OK) else None
    with TemporaryDirectory(prefix="harness-", dir=scratch_in) as scratch:
        return _told(_run(spec, schedule, operations, Path(scratch)), kept=False)


def _run(spec: RunSpec, schedule: Schedule, operations: Operations, out: Path) -> RunRecord:
    nodes = node_names(schedule.nodes)
    script = _script(operations, nodes)
    ends = [step.at_ns + step.duration_ns for step in schedule.steps]
    ends += [item.at_ns for item in script.calls]
    plan = Plan(
        spec=replace(
            spec,
            concurrency=len(script.clients),
            time_limit_s=(max(ends, default=0) + AFTER_NS) / SECOND,
        ),
        runtime=RUNTIME,
        nodes=nodes,
        schedule=schedule.steps,
        versions=versions(),
        notes=("a property test",),
        script=script,
    )
    parts = parts_of(plan)
    _can_be_judged(script, operations.workload, parts.workload.model)
    return run_quietly(plan, parts, out)


def _can_be_judged(script: Script, workload: str, model: str | None) -> None:
    """Calls that nobody can judge would let every run pass.

    Raises:
        UsageError: there is one.
    """
    functions: Collection[str] | None = FUNCTIONS.get(workload)
    if model is not None:
        functions = parse_model(model).functions
    if functions is None:
        return
    for f in dict.fromkeys(item.call.f for item in script.calls):
        if f not in functions:
            known = ", ".join(sorted(functions))
            raise UsageError(f"workload {workload} cannot judge a {f!r} (but: {known})")


def _script(operations: Operations, nodes: tuple[str, ...]) -> Script:
    """Clients that call nothing are left out; the others keep their nodes."""
    threads = sorted({item.thread for item in operations.calls}) or [0]
    numbers = {thread: number for number, thread in enumerate(threads)}
    calls = tuple(replace(item, thread=numbers[item.thread]) for item in operations.calls)
    keys = dict.fromkeys(item.call.key for item in calls) if operations.final else ()
    final = tuple((node, Call("read", key)) for key in keys for node in nodes)
    clients = tuple(nodes[thread % len(nodes)] for thread in threads)
    return Script(clients, calls, final)


def _told(record: RunRecord, *, kept: bool) -> Simulated:
    how = record.ending
    match how.exit_code:
        case ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        case ExitCode.ENVIRONMENT:
            raise EnvironmentFailure(how.sentence)
        case ExitCode.INTERNAL:
            crash = record.folder / "crash.txt"
            trace = f"\n{crash.read_text()}" if crash.exists() else ""
            raise HarnessError(how.sentence + trace)
    if kept:
        reports.write(record, record.folder)
    found = Simulated(
        verdict=worst(item.verdict for item in record.results),
        anomalies=tuple(it for item in record.results for it in item.anomalies),
        history=record.history,
        results=record.results,
        faults=record.faults,
        ending=how,
        story="\n".join(steps.lines(record)),
        digest=record.digest,
        folder=record.folder if kept else None,
    )
    if not found.valid and currently_in_test_context():
        note(found.story)
    return found
