"""The search during the run against the search after it, event by event."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.check import parse_model
from harness.check.engines import by_antichain
from harness.check.limits import Budget
from harness.check.linearizability import judge
from harness.check.models import Model
from harness.check.online import Online, SoFar
from harness.check.problem import partition
from harness.core.operations import (
    Complete,
    Completion,
    Event,
    History,
    Invoke,
    Operation,
    Outcome,
    pair,
)
from harness.core.protocols import Limits
from harness.core.verdict import Verdict
from tests.fuzz_checker import EXTRA, SUBJECTS, Subject, arbitrary, undeclared

ALL = [*SUBJECTS.values(), *EXTRA]
NAMES = [f"{number}-{subject.model}" for number, subject in enumerate(ALL)]

randoms = st.randoms(use_true_random=False)


def as_events(history: History, rng: random.Random) -> list[Event]:
    """The events of a history as a recorder saw them; an answer that never came comes late."""
    latest = max((item.end or item.start for item in history.operations), default=0)
    drafts: list[tuple[int, int, int, Operation]] = []
    for number, item in enumerate(history.operations):
        drafts.append((item.start, 2 * number, 0, item))
        if item.end is not None:
            drafts.append((item.end, 2 * number + 1, 1, item))
        elif rng.random() < 0.8:
            drafts.append((rng.randint(item.start, latest + 2), 2 * number + 1, 1, item))
    # At one instant a recorder may see a return before a call: both orders are drawn.
    noise = {draft[1] // 2: rng.random() for draft in drafts}
    drafts.sort(key=lambda draft: (draft[0], noise[draft[1] // 2], draft[2]))
    events: list[Event] = []
    calls: dict[int, int] = {}
    for at_ns, _, ending, item in drafts:
        index = len(events)
        if ending:
            completion = Completion(item.outcome, item.result, item.error)
            events.append(Complete(index, calls[item.index], at_ns, completion))
        else:
            calls[item.index] = index
            events.append(Invoke(index, item.process, None, at_ns, item.call))
    return events


def culprit_after(events: Sequence[Event], model: Model) -> Operation | None:
    """What the search after the run blames, of the keys' culprits the first that returned."""
    parts = partition(History(pair(events)), model)
    budget = Budget(Limits())
    judged = [judge(key, part, model, budget, by_antichain) for key, part in parts.items()]
    blamed = [item.culprit for item in judged if item.culprit is not None]
    return min(blamed, key=lambda item: (item.end or 0, item.index), default=None)


def culprit_so_far(events: Sequence[Event], model: Model) -> Operation | None:
    """The same of a history that goes on: returns at the present instant are not due yet.

    A call may still come at that instant and overlap them; so they are taken to come after it.
    """
    now = events[-1].at_ns
    told = [
        replace(event, at_ns=now + 1) if event.at_ns == now and returns(event) else event
        for event in events
    ]
    culprit = culprit_after(told, model)
    return None if culprit is None or culprit.end == now + 1 else culprit


def assert_as_after(events: Sequence[Event], model: Model, online: Online) -> None:
    for number, event in enumerate(events, start=1):
        online.feed(event)
        assert_told(online.look(), culprit_so_far(events[:number], model))
        assert online.lag == 0
    assert_told(online.look(final=True), culprit_after(events, model))
    if online.verdict_so_far.violation is None:
        assert online.checked == sum(isinstance(event, Complete) for event in events)


def assert_told(so_far: SoFar, expected: Operation | None) -> None:
    found = None if so_far.violation is None else so_far.violation.operation
    assert found == expected
    assert so_far.verdict is (Verdict.VALID if expected is None else Verdict.INVALID)
    assert so_far.limit is None


def returns(event: Event) -> bool:
    return isinstance(event, Complete) and event.completion.outcome is not Outcome.INFO


@pytest.mark.parametrize("subject", ALL, ids=NAMES)
@settings(max_examples=25)
@given(rng=randoms)
def test_after_every_event_it_says_what_the_search_after_the_run_says(
    subject: Subject, rng: random.Random
) -> None:
    model = parse_model(subject.model)
    if bare := rng.random() < 0.2:
        model = undeclared(model)
    events = as_events(arbitrary(rng, subject, 7 if bare else 14), rng)
    online = Online(model, batch=rng.choice([1, 2, 5]), patience=rng.choice([1, 3, 100]))
    assert_as_after(events, model, online)
