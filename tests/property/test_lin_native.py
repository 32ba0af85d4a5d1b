"""The native core takes the same steps as the Python searches, on histories of every model."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.check import parse_model, verify_witness
from harness.check.antichain import search
from harness.check.limits import Budget
from harness.check.models import Model
from harness.check.native import Native
from harness.check.problem import pose
from harness.check.wgl import wgl
from harness.check.witness import idle, weave
from harness.core.operations import History
from harness.core.protocols import Limits
from tests.fuzz_checker import EXTRA, SUBJECTS, Subject, arbitrary, linearizable, undeclared
from tests.toolchain import need_native

need_native()

ALL = [*SUBJECTS.values(), *EXTRA]
NAMES = [f"{number}-{subject.model}" for number, subject in enumerate(ALL)]


def agree(history: History, model: Model) -> None:
    problem = pose(history.operations, model)
    budget = Budget(Limits())
    core = Native(problem)
    swept, walked = core.search(budget), core.walk(budget)
    python = search(problem, budget)
    assert (swept.dead, swept.visited, swept.widest) == (
        python.dead,
        python.visited,
        python.last.widest,
    )
    assert walked == wgl(problem, budget)
    legal = linearizable(history.operations, model)
    for order in (swept.order, walked.order):
        assert (order is not None) == legal
        if order is not None:
            posed = [problem.operations[place] for place in order]
            witness = weave(posed, idle(history.operations, problem.operations, model))
            assert verify_witness(history, model, {None: witness}) is None


@pytest.mark.parametrize("subject", ALL, ids=NAMES)
@settings(max_examples=60)
@given(rng=st.randoms(use_true_random=False))
def test_step_by_step_the_same(subject: Subject, rng: random.Random) -> None:
    agree(arbitrary(rng, subject, 9), parse_model(subject.model))


@pytest.mark.parametrize("subject", ALL, ids=NAMES)
@settings(max_examples=20)
@given(rng=st.randoms(use_true_random=False))
def test_the_same_with_nothing_declared(subject: Subject, rng: random.Random) -> None:
    agree(arbitrary(rng, subject, 7), undeclared(parse_model(subject.model)))
