"""The suite's server in a simulated world: the words of :mod:`tests.conformance.echo_server` that
need no kernel, over the world's exchanges and connections."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.core.simulation import Host

DIAL_MS = 500
"""As the real server gives a peer."""

Answer = Callable[[int, Mapping[str, object]], None]


@dataclass
class Question:
    """What a peer is asked ``times`` times, a millisecond apart, and what it has said."""

    peer: str
    words: str
    times: int
    due_ms: int
    answer: Answer
    asked: int = 0
    next_ms: int = 0
    said: list[int] = field(default_factory=list)


class EchoServer:
    """Implements :class:`harness.core.simulation.SimulatedServer`."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._questions: dict[int, Question] = {}
        self._replies: list[tuple[str, object]] = []
        """What waits for a connection: each direction has one of its own here."""
        self._number = 0

    def start(self) -> None:
        self._host.log("listening")

    def stop(self) -> None:
        (self._host.home / "farewell").write_text("asked to end")

    def abandon(self) -> None:
        pass

    def request(self, method: str, path: str, body: bytes, answer: Answer) -> None:
        word, *arguments = body.decode().split()
        match word:
            case "echo":
                answer(200, {"answer": " ".join(arguments)})
            case "count":
                answer(200, {"answer": self._count()})
            case "dial":
                self._ask(Question(arguments[0], word, 1, self._now() + DIAL_MS, answer))
            case "spread":
                times = int(arguments[1])
                self._ask(Question(arguments[0], word, times, self._now() + 5000, answer))
            case _:
                answer(200, {"answer": "what?"})

    def _now(self) -> int:
        return self._host.monotonic_ms()

    def _count(self) -> str:
        files = self._host.files
        now = int(files.read("count")) + 1 if "count" in files.names() else 1
        files.create("count", str(now).encode())
        return str(now)

    def _ask(self, question: Question) -> None:
        self._number += 1
        self._questions[self._number] = question

    def receive(self, peer: str, message: object) -> None:
        match message:
            case ("asked", int(number)):
                self._replies.append((peer, ("said", number, self._host.true_ns())))
            case ("said", int(number), int(at_ns)) if number in self._questions:
                question = self._questions[number]
                question.said.append(at_ns)
                if len(question.said) == question.times:
                    del self._questions[number]
                    spread_us = (question.said[-1] - question.said[0]) // 1000
                    words = "hello" if question.words == "dial" else str(spread_us)
                    question.answer(200, {"answer": words})

    def decode(self, data: bytes) -> object:
        raise ValueError("nothing here is damaged")

    def lost(self, peer: str) -> None:
        """A dial begins anew, as TCP's would."""
        for question in self._questions.values():
            if question.peer == peer and question.words == "dial":
                question.asked = 0

    def leads(self) -> bool:
        return False

    def wake(self) -> None:
        now = self._now()
        for peer, reply in [it for it in self._replies if self._host.connected(it[0])]:
            self._replies.remove((peer, reply))
            self._host.send(peer, reply, _bytes)
        for number, question in list(self._questions.items()):
            if now >= question.due_ms:
                del self._questions[number]
                question.answer(200, {"answer": "TimeoutError"})
                continue
            ready = question.asked < question.times and now >= question.next_ms
            if ready and self._host.connected(question.peer):
                self._host.send(question.peer, ("asked", number), _bytes)
                question.asked += 1
                question.next_ms = now + 1
        if self._questions or self._replies:
            self._host.wake_at(now + 1)


class SimEcho:
    """Implements :class:`harness.core.simulation.Simulable`."""

    name = "echo"

    def simulated(self, host: Host, rng: random.Random) -> EchoServer:
        return EchoServer(host)


def _bytes(message: object) -> bytes:
    return repr(message).encode()
