"""The checker against the plainest search there is, on small histories of every model."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.check import check, parse_model
from harness.check.lane import UNTOLD
from harness.check.models import Action, Choice, Kind, Model, Refused, Shape, State
from harness.check.problem import pose
from harness.core.operations import History, Operation
from harness.core.verdict import Verdict
from tests.fuzz_checker import (
    EXTRA,
    SUBJECTS,
    Subject,
    arbitrary,
    disagreement,
    linearizable,
    successors,
    undeclared,
)

ALL = [*SUBJECTS.values(), *EXTRA]
NAMES = [f"{number}-{subject.model}" for number, subject in enumerate(ALL)]

randoms = st.randoms(use_true_random=False)


@pytest.mark.parametrize("subject", ALL, ids=NAMES)
@settings(max_examples=30)
@given(rng=randoms)
def test_every_engine_agrees_with_the_judge_and_proves_its_verdict(
    subject: Subject, rng: random.Random
) -> None:
    history = arbitrary(rng, subject, 8)
    assert disagreement(history, parse_model(subject.model)) is None


@pytest.mark.parametrize("subject", ALL, ids=NAMES)
@settings(max_examples=15)
@given(rng=randoms)
def test_a_model_that_declares_nothing_gets_the_same_verdicts(
    subject: Subject, rng: random.Random
) -> None:
    history = arbitrary(rng, subject, 7)
    assert disagreement(history, undeclared(parse_model(subject.model))) is None


@pytest.mark.parametrize("subject", ALL, ids=NAMES)
@settings(max_examples=20)
@given(rng=randoms)
def test_declared_shapes_are_what_step_does(subject: Subject, rng: random.Random) -> None:
    model = parse_model(subject.model)
    actions = [
        action
        for operation in arbitrary(rng, subject, 12).operations
        if (action := model.action(operation)) is not None
    ]
    project = model.project(actions)
    states: set[State] = {project(model.init)}
    for _ in range(3):
        for state in list(states):
            for action in rng.sample(actions, min(4, len(actions))):
                assert_shape(model, state, action)
                states.update(map(project, successors(model, state, action)))


def assert_shape(model: Model, state: State, action: Action) -> None:
    """The declaration about one action holds in one state."""
    shape = model.shape(action)
    after = model.step(state, action)
    match shape:
        case None | Shape(kind=Kind.OTHER):
            pass
        case Shape(kind=Kind.IDLE):
            assert after == state
        case Shape(kind=Kind.SEES):
            assert (after == state) if state == shape.at else isinstance(after, Refused)
        case Shape(kind=Kind.SEES_OTHER):
            assert (after == state) if state != shape.at else isinstance(after, Refused)
        case Shape(kind=Kind.LOOKS):
            assert isinstance(after, Refused) or after == state
        case Shape(kind=Kind.BLIND):
            assert after == shape.to
        case Shape(kind=Kind.TOTAL):
            assert not isinstance(after, Refused | Choice)
        case Shape(kind=Kind.MOVES):
            assert (after == shape.to) if state == shape.at else isinstance(after, Refused)


@pytest.mark.parametrize("name", ["set", "counter", "unordered-queue"])
@given(rng=randoms)
def test_total_operations_commute_where_that_is_declared(name: str, rng: random.Random) -> None:
    model = parse_model(name)
    assert model.commutes
    history = arbitrary(rng, SUBJECTS[name], 12)
    actions = [known for item in history.operations if (known := model.action(item)) is not None]
    total = [known for known in actions if model.shape(known) == Shape(Kind.TOTAL)]
    states = {model.init}
    for action in actions[:6]:
        states |= {after for state in states for after in successors(model, state, action)}
    for state in sorted(states, key=repr)[:20]:
        for one in total[:5]:
            for other in total[:5]:
                (first,), (second,) = successors(model, state, one), successors(model, state, other)
                assert successors(model, first, other) == successors(model, second, one)


@pytest.mark.parametrize("subject", ALL, ids=NAMES)
@settings(max_examples=20)
@given(rng=randoms)
def test_the_blamed_operation_is_the_first_that_cannot_return(
    subject: Subject, rng: random.Random
) -> None:
    model = parse_model(subject.model)
    history = arbitrary(rng, subject, 8)
    result = check(history, model)
    if result.verdict is Verdict.INVALID:
        culprit = by_index(history, result.anomalies[0].culprit)
        part = called_by_the_end_of(culprit, history)
        assert not linearizable(part, model, until=culprit)
        before = [item for item in part if item.index != culprit.index]
        assert linearizable(before, model, until=culprit)


@pytest.mark.parametrize("name", ["register", "cas-register", "counter"])
@given(rng=randoms)
def test_legal_answers_are_exactly_those_with_a_legal_order(name: str, rng: random.Random) -> None:
    model = parse_model(name)
    history = arbitrary(rng, SUBJECTS[name], 8)
    result = check(history, model)
    for anomaly in result.anomalies:
        culprit = by_index(history, anomaly.culprit)
        if culprit.call.f != "read":
            continue
        part = called_by_the_end_of(culprit, history)
        legal = {
            "nil" if value is None else str(value)
            for value in (range(30) if name == "counter" else [None, *range(30)])
            if linearizable(
                [replace(item, result=value) if item is culprit else item for item in part],
                model,
                until=culprit,
            )
        }
        assert set(anomaly.legal) == legal or (anomaly.legal == UNTOLD and len(legal) > 6)
        assert anomaly.lane[-1].end == culprit.end
        assert culprit.result not in legal


def by_index(history: History, index: int | None) -> Operation:
    return next(item for item in history.operations if item.index == index)


def called_by_the_end_of(culprit: Operation, history: History) -> list[Operation]:
    assert culprit.end is not None
    return [item for item in history.operations if item.start <= culprit.end]


@given(rng=randoms)
def test_a_history_of_many_keys_is_as_bad_as_its_worst_key(rng: random.Random) -> None:
    model = parse_model("cas-register")
    parts = [arbitrary(rng, SUBJECTS["cas-register"], 5) for _ in range(3)]
    together: list[Operation] = []
    for key, part in enumerate(parts):
        together += [
            replace(item, index=item.index + 10 * key, call=replace(item.call, key=f"k{key}"))
            for item in part.operations
        ]
    verdicts = [check(part, model).verdict for part in parts]
    result = check(History(tuple(together)), model)
    assert result.verdict is max(verdicts)
    assert [anomaly.key for anomaly in result.anomalies if anomaly.key is None] == []


@given(rng=randoms)
def test_posing_keeps_every_operation_that_can_matter(rng: random.Random) -> None:
    model = parse_model("cas-register")
    history = arbitrary(rng, SUBJECTS["cas-register"], 12)
    problem = pose(history.operations, model)
    assert len(problem.events) == len(problem.operations) + sum(problem.returned)
    open_now: set[int] = set()
    for event in problem.events:
        if event & 1:
            open_now.remove(event >> 1)
        else:
            open_now.add(event >> 1)
    assert all(not problem.returned[place] for place in open_now)
