"""The program itself, without any privilege: answers, refusals, and its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.runtime.wire import agent_command

CODE = str(Path(harness.__file__).resolve().parents[1])


class Line:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, line: str) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture
def agent() -> Iterator[Line]:
    with subprocess.Popen(
        agent_command(sys.executable, CODE),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield Line(process)
        process.kill()


def test_hello(agent: Line) -> None:
    answer = agent.ask('{"id": 1, "op": "hello"}')
    assert answer["id"] == 1
    assert answer["ok"]["protocol"] == 1
    assert answer["ok"]["network"] == "host"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('{"id": 7, "op": "fly"}', "unknown request 'fly'"),
        ('{"id": 7}', "unknown request None"),
        ('{"id": 7, "op": "kill"}', "not a request: KeyError: 'node'"),
        ('{"id": 7, "op": "kill", "node": "n1"}', "no such node: 'n1'"),
        ('{"id": 7, "op": "cut", "links": []}', "no firewall was made yet"),
        ('{"id": 7, "op": "shape", "links": []}', "no shaper was made yet"),
        ('{"id": 7, "op": "shaper", "how": "magic"}', "no such shaper: 'magic' (auto, netem,"),
        ('{"id": 7, "op": "build", "nodes": []}', "there is no network of our own to build nodes"),
        ('{"id": 7, "op": "socket"}', "there is no channel to pass sockets over"),
        (
            '{"id": 7, "op": "register", "node": "n", "init": 0, "address": "a", "home": "/"}',
            "No such file or directory (/proc/0/ns/net)",
        ),
        ('{"id": 7, "op": "round_trip", "link": ["n1"]}', "not a request: ValueError"),
    ],
)
def test_a_refusal_is_one_clear_line(agent: Line, line: str, error: str) -> None:
    answer = agent.ask(line)
    assert answer["id"] == 7
    assert answer["error"].startswith(error)
    assert "\n" not in answer["error"]
    assert agent.ask('{"id": 8, "op": "hello"}')["id"] == 8


@pytest.mark.parametrize("line", ["", "{", "[]", '"hello"', "7"])
def test_noise_is_refused_too(agent: Line, line: str) -> None:
    answer = agent.ask(line)
    assert answer["id"] is None
    assert answer["error"].startswith("not a request: ")


def test_it_ends_when_nobody_can_ask_any_more(agent: Line) -> None:
    agent.ask('{"id": 1, "op": "hello"}')
    _, errors = agent.process.communicate(timeout=10)
    assert (agent.process.returncode, errors) == (0, "")


def test_it_ends_when_asked_to(agent: Line) -> None:
    agent.ask('{"id": 1, "op": "hello"}')
    agent.process.send_signal(signal.SIGTERM)
    assert agent.process.wait(10) == 0


def test_wrong_arguments() -> None:
    command = agent_command(sys.executable, CODE, "dance")
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (2, "usage: harness.agent [cluster [FD] | hello]\n")
