"""A workload and its checks fit together: a perfect store passes, a forgetful one does not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.check.checkers import CHECKERS
from harness.core.operations import Call, Complete, Completion, Event, History, Invoke, pair
from harness.core.protocols import Evidence, Limits, Workload, WorkloadOptions
from harness.core.rng import derive
from harness.core.verdict import Verdict
from tests.property.test_workloads import Store
from workloads import INSIDE
from workloads.append import Append
from workloads.bank import Bank
from workloads.cas_register import CasRegister
from workloads.counter import Counter
from workloads.lock import Lock
from workloads.queue import Queue
from workloads.register import Register
from workloads.set import GrowSet
from workloads.unique_ids import UniqueIds

NODES = ("n1", "n2", "n3")
ALL = (Register, GrowSet, Counter, Append, CasRegister, Queue, Lock, Bank, UniqueIds)


class Forgetful(Store):
    """Acknowledges everything and does one in twenty of it."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = random.Random(3)

    def answer(self, call: Call) -> Completion:
        held = self.held.get(call.key)
        completion = super().answer(call)
        if self.rng.random() < 0.05:
            self.held[call.key] = held
        return completion


def history(workload: Workload, store: Store, calls: int) -> History:
    """Ten threads, calls overlapping by pairs, and the final reads."""

    def asked() -> Iterator[tuple[int, Call]]:
        for number in range(calls):
            call = workload.next(number % 10)
            assert call is not None
            yield number % 10, call
        for number, (_, call) in enumerate(workload.final()):
            yield 100 + number, call

    events: list[Event] = []
    open_: list[tuple[int, Call]] = []

    def close() -> None:
        of, call = open_.pop(0)
        completion = store.answer(call)
        workload.ended(call, completion)
        events.append(Complete(len(events), of, len(events) * 1000, completion))

    for process, call in asked():
        open_.append((len(events), call))
        events.append(Invoke(len(events), process, None, len(events) * 1000, call))
        if len(open_) == 2:
            close()
    while open_:
        close()
    return History(pair(events))


def verdicts(make: Callable[[Any, Any], Workload], store: Store) -> dict[str, Verdict]:
    workload = make(derive(1, "workload"), WorkloadOptions(NODES, 10))
    evidence = Evidence(history(workload, store, 1500), NODES, workload.model)
    names = [name for name in workload.checkers if name not in INSIDE]
    return {name: CHECKERS[name].check(evidence, Limits()).verdict for name in names}


@pytest.mark.parametrize("make", ALL)
def test_a_perfect_store_passes(make: Callable[[Any, Any], Workload]) -> None:
    assert set(verdicts(make, Store()).values()) == {Verdict.VALID}


@pytest.mark.parametrize("make", ALL)
def test_a_forgetful_store_does_not(make: Callable[[Any, Any], Workload]) -> None:
    assert set(verdicts(make, Forgetful()).values()) == {Verdict.INVALID}
