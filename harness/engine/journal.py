"""The one place where events get their index and their time.

Everything runs on one event loop, so taking the time, giving the index and writing the line
are one step: indexes and times grow together, and the file's order is the order of the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from harness.core.clock import here
from harness.core.events import (
    FaultChanged,
    NodesSampled,
    Noted,
    OperationEnded,
    PhaseBegan,
    RunEvent,
    Subscriber,
)
from harness.core.faults import FaultRecord
from harness.core.operations import (
    Call,
    Complete,
    Completion,
    Event,
    Invoke,
    Operation,
    Outcome,
    operation,
)
from harness.core.protocols import NodeStatus


class Recorder(Protocol):
    """Where facts go the moment they are known (the run's folder)."""

    def begin(self, origin_ns: int) -> None:
        """Run time zero: the beginning of the load, as CLOCK_MONOTONIC. Comes before all else."""

    def event(self, event: Event) -> None:
        """A call or a completion."""

    def fault(self, record: FaultRecord) -> None:
        """A fault began, or ended."""

    def sample(self, at_ns: int, statuses: Mapping[str, NodeStatus]) -> None:
        """What the nodes said of themselves."""


class Journal:
    """Gives events their index and run time, records them, and tells subscribers.

    Attributes:
        origin_ns: the monotonic clock at run time zero, the beginning of the load.
        operations: all that ended so far, in order of completion.
        open: calls that have not ended, by event index.
    """

    def __init__(self, recorder: Recorder, subscribers: tuple[Subscriber, ...]) -> None:
        self._recorder = recorder
        self._subscribers = subscribers
        self._next = 0
        self._clock = here()
        self.origin_ns = self._clock.monotonic_ns()
        self.open: dict[int, Invoke] = {}
        self.operations: list[Operation] = []

    def begin_load(self) -> None:
        """Run time zero is now."""
        self.origin_ns = self._clock.monotonic_ns()
        self._recorder.begin(self.origin_ns)

    def now(self) -> int:
        """Run nanoseconds; negative before the load."""
        return self._clock.monotonic_ns() - self.origin_ns

    def invoke(self, process: int, node: str | None, call: Call) -> int:
        """Records that ``call`` is about to be sent; returns its event index."""
        event = Invoke(self._index(), process, node, self.now(), call)
        self.open[event.index] = event
        self._recorder.event(event)
        return event.index

    def complete(self, of: int, completion: Completion) -> None:
        """Records how the call at ``of`` ended."""
        event = Complete(self._index(), of, self.now(), completion)
        self._recorder.event(event)
        ended = operation(self.open.pop(of), event)
        self.operations.append(ended)
        self.tell(OperationEnded(event.at_ns, ended))

    def abandon(self, why: str) -> None:
        """Ends what is still open as unknown: nobody waits for these answers any more."""
        for index in tuple(self.open):
            self.complete(index, Completion(Outcome.INFO, error=why))

    def fault(self, record: FaultRecord) -> None:
        """Records a fault's beginning or end."""
        self._recorder.fault(record)
        self.tell(FaultChanged(self.now(), record))

    def sample(self, statuses: Mapping[str, NodeStatus]) -> None:
        """Records what nodes say of themselves."""
        at_ns = self.now()
        self._recorder.sample(at_ns, statuses)
        self.tell(NodesSampled(at_ns, tuple(statuses.values())))

    def phase(self, name: str) -> None:
        """Tells that a phase began."""
        self.tell(PhaseBegan(self.now(), name))

    def note(self, words: str) -> None:
        """Tells something worth a line."""
        self.tell(Noted(self.now(), words))

    def tell(self, event: RunEvent) -> None:
        """Hands an event to every subscriber."""
        for subscriber in self._subscribers:
            subscriber(event)

    def _index(self) -> int:
        self._next += 1
        return self._next - 1
