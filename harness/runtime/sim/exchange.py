"""One request of a client and its answer, on their way through the simulated world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.runtime.sim.agenda import Agenda
from harness.runtime.sim.machine import SimMachine
from harness.runtime.sim.network import LATENCY_NS


class Exchange:
    """``done`` is an asyncio future: it gets (status, body), or a TimeoutError."""

    def __init__(self, agenda: Agenda, machine: SimMachine, done: Any) -> None:
        self._agenda = agenda
        self._machine = machine
        self._done = done

    def begin(self, method: str, path: str, body: bytes, timeout_ns: int) -> None:
        """The request leaves now."""
        agenda = self._agenda
        agenda.at(agenda.now_ns + LATENCY_NS, self._leave, method, path, body)
        agenda.at(agenda.now_ns + timeout_ns, self._late)

    def _leave(self, method: str, path: str, body: bytes) -> None:
        if not self._done.done():
            self._machine.ask(method, path, body, self._answered)

    def _answered(self, status: int, data: Mapping[str, object]) -> None:
        self._agenda.at(self._agenda.now_ns + LATENCY_NS, self._arrived, status, data)

    def _arrived(self, status: int, data: Mapping[str, object]) -> None:
        if not self._done.done():
            self._done.set_result((status, data))

    def _late(self) -> None:
        if not self._done.done():
            self._done.set_exception(TimeoutError())
