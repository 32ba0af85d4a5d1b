"""Histories of simulated clients of one register, by family: what makes a search hard."""

from __future__ import annotations

import random
from dataclasses import dataclass

from harness.core.operations import Call, History, Operation, Outcome
from harness.core.values import Value

FIRST = "first"
"""A value that is written once, before everything else."""


@dataclass(frozen=True, slots=True)
class Family:
    """How many operations and clients, what they do, and what goes wrong.

    Attributes:
        operations: how many.
        clients: concurrent ones.
        lost: operations that never get an answer (in the first half, so that they stay open).
        unique: every written value is new; otherwise there are five.
        cas: half of the updates are compare-and-set.
        stale: the last operation reads what has long been overwritten.
    """

    operations: int
    clients: int
    lost: int = 0
    unique: bool = False
    cas: bool = False
    stale: bool = False

    @property
    def name(self) -> str:
        """``1,000 ops · 5 clients · 50 lost · cas · unique · stale``."""
        parts = [f"{self.operations:,} ops", f"{self.clients} clients"]
        parts += [f"{self.lost} lost"] if self.lost else []
        parts += ["cas"] if self.cas else []
        parts += ["unique"] if self.unique else []
        return " · ".join([*parts, "stale" if self.stale else "linearizable"])


@dataclass(slots=True)
class _Client:
    process: int
    index: int = -1
    call: Call | None = None
    start: int = 0
    answer: tuple[Outcome, Value, str | None] | None = None


def history(family: Family, seed: int = 1) -> History:
    """One history of a family."""
    rng = random.Random(f"{seed}/{family}")
    half = max(1, family.operations // 2)
    lost = set(rng.sample(range(half), min(family.lost, half)))
    clients = [_Client(process) for process in range(family.clients)]
    done = [
        _done(_Client(1_000_000, 0, Call("write", None, FIRST), 0), 0, (Outcome.OK, None, None))
    ]
    state: Value = FIRST
    recent: list[Value] = [FIRST]
    called, now = 1, 1
    while called <= family.operations or any(client.call for client in clients):
        now += 1
        client = rng.choice(clients)
        if client.call is None:
            if called <= family.operations:
                call = _ask(rng, family, called, recent)
                if called in lost and call.f == "read":
                    call = Call("write", None, called if family.unique else rng.randrange(5))
                client.index, client.call, client.start = called, call, now
                called += 1
        elif client.index in lost:
            if rng.random() < 0.5:
                state, _ = _take(state, client.call)
                recent = [*recent[-3:], state]
            done.append(_done(client, None, (Outcome.INFO, None, None)))
            client.call = None
            client.process += family.clients
        elif client.answer is None:
            state, client.answer = _take(state, client.call)
            recent = [*recent[-3:], state]
        else:
            done.append(_done(client, now, client.answer))
            client.call = client.answer = None
    if family.stale:
        last = _Client(1_000_001, family.operations + 1, Call("read"), now + 1)
        done.append(_done(last, now + 2, (Outcome.OK, FIRST, None)))
    return History(tuple(sorted(done, key=lambda operation: operation.index)))


def _ask(rng: random.Random, family: Family, number: int, recent: list[Value]) -> Call:
    value: Value = number if family.unique else rng.randrange(5)
    draw = rng.random()
    if draw < 0.5:
        return Call("read")
    if draw < 0.75 or not family.cas:
        return Call("write", None, value)
    return Call("cas", None, (rng.choice(recent) if family.unique else rng.randrange(5), value))


def _take(state: Value, call: Call) -> tuple[Value, tuple[Outcome, Value, str | None]]:
    match call.f, call.value:
        case "read", _:
            return state, (Outcome.OK, state, None)
        case "cas", (expected, new):
            if state != expected:
                return state, (Outcome.FAIL, None, "mismatch")
            return new, (Outcome.OK, None, None)
        case _, value:
            return value, (Outcome.OK, None, None)


def _done(client: _Client, end: int | None, answer: tuple[Outcome, Value, str | None]) -> Operation:
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
