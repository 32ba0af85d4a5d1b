"""Strategies for users: what they draw is possible, what they find is real, and it shrinks."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from harness.cli import registry
from harness.core.errors import EnvironmentFailure, UsageError
from harness.core.operations import Call, Outcome
from harness.core.plan import ScriptedCall
from harness.core.units import MILLISECOND, SECOND
from harness.core.verdict import Verdict
from harness.hypothesis import (
    FUNCTIONS,
    Operations,
    Schedule,
    operations,
    schedules,
    simulate,
)
from harness.runtime.sim import CAPABILITIES
from harness.store import load_run

# Without the explaining phase, which traces every line of every run.
FINDING = settings(
    max_examples=300, deadline=None, database=None, phases=(Phase.generate, Phase.shrink)
)
EVERY = [
    name for name in registry.found("nemeses") if registry.nemesis(name).capability in CAPABILITIES
]
WRITE = Operations("register", (ScriptedCall(0, 0, Call("write", "k1", 1)),))


def least_with(
    bug: str, faults: st.SearchStrategy[Schedule], calls: st.SearchStrategy[Operations]
) -> tuple[Schedule, Operations]:
    """What a failing run of a cluster with the bug shrinks to."""
    return find(
        st.tuples(faults, calls),
        lambda pair: not simulate(*pair, bugs=[bug]).valid,
        settings=FINDING,
        random=random.Random(0),
    )


# -- what they find -----------------------------------------------------------------------------


def test_an_early_acknowledgement_shrinks_to_one_write() -> None:
    schedule, calls = least_with("early-ack", schedules(most=2), operations(most=20))
    assert (schedule.nodes, schedule.steps) == (2, ())
    assert [item.call.f for item in calls.calls] == ["write"]
    result = simulate(schedule, calls, bugs=["early-ack"])
    assert result.verdict is Verdict.INVALID
    assert [anomaly.kind for anomaly in result.anomalies] == [
        "acknowledged before a majority had it"
    ]
    assert [item.outcome for item in result.history.operations] == [Outcome.OK]
    assert "early-ack" in result.story
    assert len(result.story.splitlines()) == 3


def test_a_log_that_is_never_synced_shrinks_to_one_power_loss() -> None:
    """Here a fault is needed, and it is all that is left."""
    lights_out = schedules(faults=["power:all", "pause"], nodes=(1, 3))
    schedule, calls = least_with("log-not-fsynced", lights_out, operations(most=10))
    assert [step.fault.kind for step in schedule.steps] == ["power"]
    assert schedule.nodes <= 3
    assert len(calls.calls) <= 2
    result = simulate(schedule, calls, bugs=["log-not-fsynced"])
    assert result.anomalies
    assert [fault.kind for fault in result.faults] == ["power"]


@settings(max_examples=40)
@given(schedules(faults=EVERY), operations())
def test_nothing_is_found_in_the_clean_cluster(schedule: Schedule, calls: Operations) -> None:
    result = simulate(schedule, calls)
    assert result.valid, result.story
    assert len(result.faults) == len(schedule.steps)


@pytest.mark.parametrize("workload", FUNCTIONS)
def test_every_workload_has_calls_that_are_judged(workload: str) -> None:
    called: set[str] = set()
    judged: list[bool] = []

    # The same examples each time: what share of them is judged is no property of a single one.
    @settings(max_examples=15, database=None, derandomize=True)
    @given(schedules(), operations(workload, most=30))
    def clean(schedule: Schedule, calls: Operations) -> None:
        result = simulate(schedule, calls)
        assert result.valid, result.story
        judges = {item.checker for item in result.results if item.verdict is Verdict.VALID}
        judged.append(bool(judges & {"linearizable", workload}))
        called.update(item.call.f for item in calls.calls)

    clean()
    assert called == set(FUNCTIONS[workload])
    assert judged.count(True) > len(judged) // 2


def test_the_same_inputs_are_the_same_run() -> None:
    def drawn(pair: tuple[Schedule, Operations]) -> bool:
        return len(pair[0].steps) >= 2 and len(pair[1].calls) >= 20

    schedule, calls = find(
        st.tuples(schedules(), operations()),
        drawn,
        settings=settings(database=None, phases=(Phase.generate,)),
        random=random.Random(1),
    )
    one, two = simulate(schedule, calls), simulate(schedule, calls)
    assert one.digest == two.digest
    assert one.history.operations == two.history.operations
    assert (one.story, one.faults, one.ending) == (two.story, two.faults, two.ending)
    other = Schedule(schedule.nodes, schedule.steps, schedule.seed + 1)
    assert simulate(other, calls).digest != one.digest


# -- what they draw -----------------------------------------------------------------------------


@given(schedules(faults=EVERY, nodes=(1, 6), most=6, within_s=2, longest_s=0.5))
def test_schedules_keep_to_what_was_asked(schedule: Schedule) -> None:
    assert 1 <= schedule.nodes <= 6
    assert len(schedule.steps) <= 6
    assert len({step.id for step in schedule.steps}) == len(schedule.steps)
    assert list(schedule.steps) == sorted(schedule.steps, key=lambda step: step.at_ns)
    for step in schedule.steps:
        assert step.fault.kind in EVERY
        assert 0 <= step.at_ns <= 2 * SECOND
        assert 0 < step.duration_ns <= SECOND // 2
        registry.nemesis(step.fault.kind).fault(step.fault)


@given(schedules(faults=["kill:leader", "partition:one"]))
def test_a_narrowing_is_kept(schedule: Schedule) -> None:
    for step in schedule.steps:
        wanted = {"kill": ("who", "leader"), "partition": ("shape", "one")}[step.fault.kind]
        assert wanted in step.fault.params.items()


@given(operations(clients=3, keys=2, most=20, within_s=1))
def test_calls_keep_to_what_was_asked(calls: Operations) -> None:
    assert len(calls.calls) <= 20
    assert list(calls.calls) == sorted(calls.calls, key=lambda item: item.at_ns)
    written: dict[object, list[object]] = {}
    for item in calls.calls:
        assert item.thread in range(3)
        assert 0 <= item.at_ns <= SECOND + 9 * MILLISECOND
        assert item.call.key in ("k1", "k2")
        given_before = written.setdefault(item.call.key, [])
        match item.call:
            case Call(f="read"):
                assert item.call.value is None
            case Call(f="cas", value=(expected, new)):
                assert expected in (None, *given_before)
                given_before.append(new)
            case Call(f="write", value=value):
                given_before.append(value)
    for values in written.values():
        assert len(set(values)) == len(values)


def test_calls_of_ones_own() -> None:
    made = operations(calls=st.just(Call("write", "mine", 7)))
    calls = find(made, lambda drawn: len(drawn.calls) == 2)
    assert [item.call for item in calls.calls] == [Call("write", "mine", 7)] * 2


# -- what comes back ----------------------------------------------------------------------------


def test_a_run_may_be_kept(tmp_path: Path) -> None:
    result = simulate(Schedule(2), WRITE, bugs=["early-ack"], out=tmp_path)
    assert result.folder is not None
    assert (result.folder / "report.html").exists()
    record = load_run(result.folder)
    assert record.history == result.history
    assert record.digest == result.digest
    assert simulate(Schedule(2), WRITE, bugs=["early-ack"]).digest == result.digest


def test_clients_keep_their_nodes_and_final_reads_see_all() -> None:
    calls = (ScriptedCall(4, 0, Call("write", "k1", 1)), ScriptedCall(1, 0, Call("read", "k2")))
    history = simulate(Schedule(3), Operations("register", calls)).history
    asked = [(item.node, item.call.f, item.call.key) for item in history.operations]
    assert set(asked[:2]) == {("n2", "write", "k1"), ("n2", "read", "k2")}
    assert sorted(asked[2:]) == [(f"n{n}", "read", key) for n in (1, 2, 3) for key in ("k1", "k2")]


def test_nobody_calls_and_nothing_happens() -> None:
    result = simulate(Schedule(1), Operations("register", ()))
    assert result.valid
    assert result.verdict is Verdict.UNKNOWN
    assert result.ending.word == "inadequate"


def test_the_story_of_a_failure_is_a_note_of_the_example() -> None:
    @settings(max_examples=1, database=None, phases=(Phase.generate,))
    @given(st.just(Schedule(2)))
    def failing(schedule: Schedule) -> None:
        assert simulate(schedule, WRITE, bugs=["early-ack"]).valid

    with pytest.raises(AssertionError) as caught:
        failing()
    assert any("raft with the seeded bug early-ack" in note for note in caught.value.__notes__)


# -- what is refused ----------------------------------------------------------------------------


def test_mistakes_are_told_at_once() -> None:
    with pytest.raises(UsageError, match="unknown nemesis 'flood'"):
        schedules(faults=["flood"])
    with pytest.raises(UsageError, match="partition:left"):
        schedules(faults=["partition:left"])
    with pytest.raises(UsageError, match="kill:minority is not possible with 2 nodes"):
        schedules(faults=["kill:minority"], nodes=(1, 2))
    with pytest.raises(UsageError, match="least, greatest"):
        schedules(nodes=(5, 2))
    with pytest.raises(UsageError, match=r"longest_s 0\.05 or more"):
        schedules(longest_s=0)
    with pytest.raises(UsageError, match="unknown workload 'chat'"):
        operations("chat")
    with pytest.raises(UsageError, match="a client and a key at least"):
        operations(clients=0)
    with pytest.raises(UsageError, match="no bug 'gremlin'"):
        simulate(Schedule(2), WRITE, bugs=["gremlin"])


def test_calls_that_nobody_can_judge_do_not_pass() -> None:
    odd = Operations("set", (ScriptedCall(0, 0, Call("write", "k1", 1)),), final=False)
    with pytest.raises(UsageError, match=r"workload set cannot judge a 'write' \(but: add, read\)"):
        simulate(Schedule(1), odd)


def test_a_bug_of_the_harness_is_not_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("far too early")

    monkeypatch.setattr(sys.modules["harness.engine.conduct"], "_start", broken)
    with pytest.raises(Exception, match=r"(?s)The harness itself failed.*far too early.*Traceback"):
        simulate(Schedule(2), WRITE)


def test_a_cluster_that_does_not_start_is_not_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        raise EnvironmentFailure("no cluster today")

    monkeypatch.setattr(sys.modules["harness.engine.conduct"], "_start", never)
    with pytest.raises(EnvironmentFailure, match="no cluster today"):
        simulate(Schedule(2), WRITE)


def test_without_hypothesis_one_line_says_what_to_do() -> None:
    code = "import sys; sys.modules['hypothesis'] = None; import harness.hypothesis"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "ImportError: harness.hypothesis needs Hypothesis: pip install 'quorum-harness[hypothesis]'"
    )
