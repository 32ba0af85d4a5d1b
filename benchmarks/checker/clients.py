"""Histories of simulated clients of one correct object, and of one that lies once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.core.operations import Call, History, Operation, Outcome
from harness.core.values import Value

Answer = tuple[Outcome, Value, str | None]
"""Outcome, result, error."""

FIRST = "first"
"""A value that is written once, before everything else."""


class Thing(Protocol):
    """A correct object and its users: a fresh one for each history."""

    def ask(self, rng: random.Random, number: int, process: int) -> Call | None:
        """The next call of a client; None when it has nothing to ask now."""

    def take(self, call: Call, process: int) -> Answer:
        """Carries out a call, at one instant."""

    def lie(self, call: Call, answer: Answer) -> Answer | None:
        """A wrong answer of the same kind; None when this call offers none."""


@dataclass(frozen=True, slots=True)
class Clients:
    """How the object is used.

    Attributes:
        operations: how many, over all keys.
        clients: concurrent ones.
        lost: operations that never get an answer (in the first half, so that they stay open); half
            of them take effect. Only operations that may change something are lost.
        lies: one answer in the last tenth is wrong.
    """

    operations: int
    clients: int
    lost: int = 0
    lies: bool = False


@dataclass(slots=True)
class _Client:
    process: int
    index: int = -1
    call: Call | None = None
    start: int = 0
    answer: Answer | None = None


def history(make: Callable[[], Thing], how: Clients, seed: int = 1) -> History:
    """One history; equal arguments give equal histories."""
    rng = random.Random(f"{seed}/{how}")
    thing = make()
    half = max(1, how.operations // 2)
    due = sorted(rng.sample(range(half), min(how.lost, half)), reverse=True)
    clients = [_Client(process) for process in range(how.clients)]
    done: list[Operation] = []
    lied = not how.lies
    called, now, idle = 0, 1, 0
    while called < how.operations or any(client.call for client in clients):
        now += 1
        client = rng.choice(clients)
        if client.call is None:
            call = None
            if called < how.operations:
                call = thing.ask(rng, called, client.process)
            if call is None:
                idle += 1
                assert idle < 1_000_000, "nobody has anything to do"
                continue
            idle = 0
            client.index, client.call, client.start = called, call, now
            called += 1
        elif due and client.index >= due[-1] and client.answer is None and _changes(client.call):
            due.pop()
            if rng.random() < 0.5:
                thing.take(client.call, client.process)
            done.append(_done(client, None, (Outcome.INFO, None, None)))
            client.call = None
            client.process += how.clients
        elif client.answer is None:
            client.answer = thing.take(client.call, client.process)
        else:
            if not lied and called > 0.9 * how.operations:
                wrong = thing.lie(client.call, client.answer)
                if wrong is not None:
                    lied, client.answer = True, wrong
            done.append(_done(client, now, client.answer))
            client.call = client.answer = None
    assert lied, "no operation offered a lie"
    return History(tuple(sorted(done, key=lambda operation: operation.index)))


def _changes(call: Call) -> bool:
    return call.f not in ("read", "get")


def _done(client: _Client, end: int | None, answer: Answer) -> Operation:
    assert client.call is not None
    outcome, result, error = answer
    return Operation(
        index=client.index,
        process=client.process,
        call=client.call,
        outcome=outcome,
        start=client.start,
        end=end,
        result=result,
        error=error,
    )
