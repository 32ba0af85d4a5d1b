"""The objects that the benchmark's clients use: each correct, each able to tell one lie."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from benchmarks.checker.clients import FIRST, Answer
from harness.core.operations import MISMATCH, Call, Outcome
from harness.core.values import Value

DONE: Answer = (Outcome.OK, None, None)


def _ok(value: Value) -> Answer:
    return Outcome.OK, value, None


@dataclass(slots=True)
class Register:
    """``values`` different ones (0: every written value is new); ``cas``: half of the updates."""

    values: int = 5
    cas: bool = False
    held: Value = FIRST
    recent: list[Value] = field(default_factory=lambda: [FIRST])
    begun: bool = False

    def ask(self, rng: random.Random, number: int, _process: int) -> Call:
        """Half reads; the rest writes and, if so, cas."""
        if self.values and not self.begun:
            self.begun = True
            return Call("write", None, FIRST)
        value: Value = number if not self.values else rng.randrange(self.values)
        draw = rng.random()
        if draw < 0.5:
            return Call("read")
        if draw < 0.75 or not self.cas:
            return Call("write", None, value)
        expected = rng.randrange(self.values) if self.values else rng.choice(self.recent)
        return Call("cas", None, (expected, value))

    def take(self, call: Call, _process: int) -> Answer:
        """One step."""
        match call.f, call.value:
            case "read", _:
                return _ok(self.held)
            case "cas", (expected, new):
                if self.held != expected:
                    return Outcome.FAIL, None, MISMATCH
                self._becomes(new)
            case _, value:
                self._becomes(value)
        return DONE

    def _becomes(self, value: Value) -> None:
        self.held = value
        self.recent = [*self.recent[-3:], value]

    def lie(self, call: Call, _answer: Answer) -> Answer | None:
        """A read of what was overwritten at the very beginning."""
        return _ok(FIRST) if call.f == "read" else None


@dataclass(slots=True)
class KeyValue:
    """Lists under ``keys`` keys: append and read, as in Porcupine's key-value logs."""

    keys: int = 10
    held: dict[Value, tuple[Value, ...]] = field(default_factory=dict)

    def ask(self, rng: random.Random, number: int, process: int) -> Call:
        """As many appends as reads."""
        key = rng.randrange(self.keys)
        return Call("read", key) if rng.random() < 0.5 else Call("append", key, (process, number))

    def take(self, call: Call, _process: int) -> Answer:
        """One step."""
        held = self.held.get(call.key, ())
        if call.f == "read":
            return _ok(held)
        self.held[call.key] = (*held, call.value)
        return DONE

    def lie(self, call: Call, answer: Answer) -> Answer | None:
        """A list that lacks its first element."""
        _, held, _ = answer
        if call.f == "read" and isinstance(held, tuple) and len(held) > 1:
            return _ok(held[1:])
        return None


@dataclass(slots=True)
class Members:
    """A growing set."""

    held: dict[Value, None] = field(default_factory=dict)

    def ask(self, rng: random.Random, number: int, _process: int) -> Call:
        """One read for three adds."""
        return Call("read") if rng.random() < 0.25 else Call("add", None, number)

    def take(self, call: Call, _process: int) -> Answer:
        """One step."""
        if call.f == "read":
            return _ok(tuple(self.held))
        self.held[call.value] = None
        return DONE

    def lie(self, call: Call, answer: Answer) -> Answer | None:
        """A set that lacks its first element."""
        _, held, _ = answer
        if call.f == "read" and isinstance(held, tuple) and len(held) > 1:
            return _ok(held[1:])
        return None


@dataclass(slots=True)
class Counter:
    """A number that is added to."""

    held: int = 0

    def ask(self, rng: random.Random, _number: int, _process: int) -> Call:
        """As many additions as reads."""
        return Call("read") if rng.random() < 0.5 else Call("add", None, rng.choice((1, 2, 5)))

    def take(self, call: Call, _process: int) -> Answer:
        """One step."""
        if call.f == "read":
            return _ok(self.held)
        assert isinstance(call.value, int)
        self.held += call.value
        return DONE

    def lie(self, call: Call, _answer: Answer) -> Answer | None:
        """As if nothing had ever been added."""
        return _ok(0) if call.f == "read" else None


@dataclass(slots=True)
class Queue:
    """First in, first out, with a backlog of about ``backlog``.

    ``values`` different ones (0: every element is new). ``orderly`` False: it hands out any of its
    elements.
    """

    backlog: int
    values: int = 0
    orderly: bool = True
    held: deque[Value] = field(default_factory=deque)
    taken: list[Value] = field(default_factory=list)

    def ask(self, rng: random.Random, number: int, _process: int) -> Call:
        """Steers towards the backlog."""
        if rng.random() < (0.75 if len(self.held) < self.backlog else 0.25):
            return Call("enqueue", None, rng.randrange(self.values) if self.values else number)
        return Call("dequeue")

    def take(self, call: Call, _process: int) -> Answer:
        """One step."""
        if call.f == "enqueue":
            self.held.append(call.value)
            return DONE
        if not self.held:
            return _ok(None)
        if not self.orderly:
            self.held.rotate(-(len(self.taken) % len(self.held)))
        self.taken.append(self.held.popleft())
        return _ok(self.taken[-1])

    def lie(self, call: Call, answer: Answer) -> Answer | None:
        """What was handed out first is handed out again; with few values: nothing is there."""
        if call.f != "dequeue" or answer[1] is None:
            return None
        return _ok(None) if self.values else _ok(self.taken[0])


@dataclass(slots=True)
class Mutex:
    """A lock, used properly: whoever wants it waits; only its holder gives it back."""

    holder: int | None = None
    wanted: set[int] = field(default_factory=set)

    def ask(self, rng: random.Random, _number: int, process: int) -> Call | None:
        """Acquire if one does not hold it; sometimes one does something else first."""
        if self.holder == process:
            return Call("release")
        if self.holder is not None or self.wanted or rng.random() < 0.5:
            return None if rng.random() < 0.9 else self._want(process)
        return self._want(process)

    def _want(self, process: int) -> Call:
        self.wanted.add(process)
        return Call("acquire")

    def take(self, call: Call, process: int) -> Answer:
        """One step; an acquire of a lock that is held fails."""
        if call.f == "release":
            self.holder = None
            return DONE
        self.wanted.discard(process)
        if self.holder is not None:
            return Outcome.FAIL, None, "held"
        self.holder = process
        return DONE

    def lie(self, call: Call, answer: Answer) -> Answer | None:
        """A second holder."""
        return DONE if call.f == "acquire" and answer[0] is Outcome.FAIL else None
