"""The smallest things an engine can be run with: no node, no network, every call scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from harness.core.cluster import Cluster
from harness.core.faults import FaultRecord, FaultSpec, FaultStep, Proof
from harness.core.operations import Call, Completion, Event, Outcome
from harness.core.protocols import (
    Client,
    FaultContext,
    Nemesis,
    NodeStatus,
    Resolved,
    Target,
    Workload,
)
from harness.engine.journal import Journal

NO_CLUSTER = cast(Cluster, None)


@dataclass
class Memory:
    """A recorder that keeps what it is told."""

    events: list[Event] = field(default_factory=list)
    faults: list[FaultRecord] = field(default_factory=list)

    def begin(self, origin_ns: int) -> None:
        raise AssertionError("no load begins here")

    def event(self, event: Event) -> None:
        self.events.append(event)

    def fault(self, record: FaultRecord) -> None:
        self.faults.append(record)

    def sample(self, at_ns: int, statuses: Mapping[str, NodeStatus]) -> None:
        raise AssertionError("nothing samples here")


Answer = Callable[[Call], Any]


@dataclass
class ScriptedClient:
    """Answers by a function; counts how often it was closed."""

    answer: Answer
    closed: int = 0

    async def invoke(self, call: Call, timeout_s: float) -> Completion:
        result = self.answer(call)
        if asyncio.iscoroutine(result):
            result = await result
        return cast(Completion, result)

    async def close(self) -> None:
        self.closed += 1


@dataclass
class ScriptedTarget:
    """Hands out clients and remembers for whom."""

    answer: Answer
    clients: list[tuple[str, int, ScriptedClient]] = field(default_factory=list)

    def client(self, cluster: Cluster, node: str, process: int) -> Client:
        made = ScriptedClient(self.answer)
        self.clients.append((node, process, made))
        return made


@dataclass
class Script:
    """A workload that is a list of calls."""

    calls: list[Call]
    heard: list[tuple[Call, Outcome]] = field(default_factory=list)
    name: str = "script"
    model: str | None = None
    checkers: tuple[str, ...] = ()
    functions: frozenset[str] = frozenset()

    def next(self, thread: int) -> Call | None:
        return self.calls.pop(0) if self.calls else None

    def ended(self, call: Call, completion: Completion) -> None:
        self.heard.append((call, completion.outcome))

    def final(self) -> Sequence[tuple[str | None, Call]]:
        return ()


@dataclass
class ScriptedFault:
    """Does nothing, but remembers in which order it was asked, and fails where told to."""

    log: list[str]
    fails_in: str | None = None
    bites: bool = True
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def begin(self, context: FaultContext) -> Resolved:
        self.began.set()
        self._step("begin")
        return Resolved("n1 | n2")

    async def prove(self, context: FaultContext) -> Proof:
        self._step("prove")
        return Proof(self.bites, "counted")

    async def end(self, context: FaultContext) -> Proof:
        await asyncio.sleep(0)
        self._step("end")
        return Proof(True, "counted")

    def _step(self, name: str) -> None:
        self.log.append(name)
        if self.fails_in == name:
            raise OSError(f"{name} failed")


@dataclass
class ScriptedNemesis:
    """A nemesis of one fault."""

    made: ScriptedFault

    def fault(self, spec: FaultSpec) -> ScriptedFault:
        return self.made


def as_target(target: ScriptedTarget) -> Target:
    return cast(Target, target)


def as_workload(script: Script) -> Workload:
    return script


def as_nemeses(fault: ScriptedFault) -> Mapping[str, Nemesis]:
    return {"scripted": cast(Nemesis, ScriptedNemesis(fault))}


def step(at_ms: int = 0, duration_ms: int = 1) -> FaultStep:
    return FaultStep("S1", at_ms * 1_000_000, duration_ms * 1_000_000, FaultSpec("scripted"))


def journal(memory: Memory) -> Journal:
    return Journal(memory, ())
