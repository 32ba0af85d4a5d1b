"""The state machine against a dumb second version, and its sessions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target.machine import TYPES, Machine, command, same

values = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["a", "b"]))
keys = st.sampled_from(["x", "y"])
steps = st.one_of(
    st.tuples(st.just("write"), keys, values),
    st.tuples(st.sampled_from(["increment", "at_least"]), keys, st.integers(-3, 3)),
    st.tuples(st.sampled_from(["enqueue", "dequeue", "next"]), keys, st.integers(-3, 3)),
).map(list)
commands = st.one_of(
    st.tuples(st.sampled_from(["next", "dequeue", "acquire"]), keys, st.none()),
    st.tuples(st.just("enqueue"), keys, values),
    st.tuples(st.just("release"), keys, st.integers(1, 3)),
    st.tuples(st.just("txn"), st.just(""), st.lists(steps, max_size=3)),
    st.tuples(st.sampled_from(["write", "append", "add"]), keys, values),
    st.tuples(st.just("cas"), keys, st.tuples(values, values).map(list)),
    st.tuples(st.just("increment"), keys, st.integers(-3, 3)),
)


class Dumb:
    """Keys as lists of all that was done to them; everything is worked out anew each time."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str, Any]] = []

    def of(self, key: str) -> list[tuple[str, Any]]:
        return [(op, argument) for op, at, argument in self.done if at == key]

    def read(self, key: str) -> Any:
        history = self.of(key)
        if not history:
            return None
        match TYPES[history[0][0]]:
            case "register":
                op, argument = history[-1]
                return argument[1] if op == "cas" else argument
            case "list":
                return [argument for _, argument in history]
            case "queue":
                put = [argument for op, argument in history if op == "enqueue"]
                return put[sum(op == "dequeue" for op, _ in history) :]
            case "lock":
                return (history[-1][0] == "acquire", sum(op == "acquire" for op, _ in history))
            case "set":
                found: list[Any] = []
                for _, argument in history:
                    if not any(same(argument, other) for other in found):
                        found.append(argument)
                return found
            case _:
                return sum(1 if op == "next" else argument for op, argument in history)

    def apply(self, op: str, key: str, argument: Any) -> tuple[Any, str | None]:
        if op == "txn":
            return None, self.transact(argument)
        held, history = self.read(key), self.of(key)
        if history and TYPES[history[0][0]] != TYPES[op]:
            return None, "wrong_type"
        if op == "cas" and not same(held, argument[0]):
            return None, "mismatch"
        if op == "at_least":
            return None, None if (held or 0) >= argument else "mismatch"
        if op == "acquire" and held and held[0]:
            return None, "mismatch"
        if op == "release" and held != (True, argument):
            return None, "mismatch"
        if op == "dequeue" and not held:
            return None, None
        self.done.append((op, key, argument))
        match op:
            case "increment" | "next":
                return self.read(key), None
            case "acquire":
                return self.read(key)[1], None
            case "dequeue":
                return held[0], None
        return None, None

    def transact(self, steps: list[Any]) -> str | None:
        """Each step alone, on what was there before; then one after the other."""
        changed = [key for op, key, _ in steps if op != "at_least"]
        if len(set(changed)) != len(changed):
            return "bad_argument"
        before = list(self.done)
        for step in steps:
            _, error = self.apply(*step)
            self.done = list(before)
            if error:
                return error
        for step in steps:
            if step[0] != "at_least":
                self.apply(*step)
        return None


@given(st.lists(commands, max_size=30))
def test_against_the_dumb_version(script: list[tuple[str, str, Any]]) -> None:
    machine, dumb = Machine(), Dumb()
    for index, (op, key, argument) in enumerate(script, 1):
        result = machine.apply(index, 1, command(op, key, argument))
        assert (result.value, result.error) == dumb.apply(op, key, argument)
        assert result.index == index
        for name in ("x", "y"):
            assert json.dumps(machine.read(name)) == json.dumps(dumb.read(name))
    again = Machine.load(machine.dump())
    assert again.digest() == machine.digest()
    assert again.fingerprint == machine.fingerprint
    for op, key, argument in script:
        data = command(op, key, argument, "s", 1)
        assert again.apply(99, 2, data) == machine.apply(99, 2, data)
    assert again.digest() == machine.digest()


def test_a_retry_is_not_applied_and_gets_the_first_answer() -> None:
    machine = Machine()
    first = machine.apply(1, 1, command("increment", "c", 5, "s", 1))
    assert first.value == 5
    machine.apply(2, 1, command("increment", "c", 1, "t", 1))
    assert Machine.load(machine.dump()).apply(3, 2, command("increment", "c", 5, "s", 1)) == first
    assert machine.apply(3, 2, command("increment", "c", 5, "s", 1)) == first
    assert machine.read("c") == 6
    missed = machine.apply(4, 2, command("cas", "x", [1, 2], "s", 2))
    assert missed.error == "mismatch"
    machine.apply(5, 2, command("write", "x", 1))
    assert machine.apply(6, 2, command("cas", "x", [1, 2], "s", 2)) == missed
    assert machine.read("x") == 1
    assert machine.apply(7, 2, command("increment", "c", 5, "s", 1)).error == "superseded"


def test_what_makes_no_sense_changes_nothing() -> None:
    machine = Machine()
    before = machine.digest()
    assert machine.apply(1, 1, command("delete", "x", 1)).error == "unknown_operation"
    assert machine.apply(2, 1, command("cas", "x", 1)).error == "bad_argument"
    assert machine.apply(3, 1, command("increment", "x", True)).error == "bad_argument"
    assert machine.apply(4, 1, command("increment", "x", "1")).error == "bad_argument"
    assert machine.digest() == before
    assert machine.apply(5, 1, command("cas", "x", [None, 1])).error is None
    assert machine.apply(6, 1, command("cas", "x", [True, 2])).error == "mismatch"
    assert machine.read("x") == 1


@given(st.lists(commands, max_size=20), st.lists(commands, max_size=20))
def test_fingerprints_differ_as_states_do(
    one: list[tuple[str, str, Any]], other: list[tuple[str, str, Any]]
) -> None:
    """Whatever the way to a state, its fingerprint is the same; sessions are a part of it."""
    machines = []
    for script in (one, other):
        machine = Machine()
        for index, (op, key, argument) in enumerate(script, 1):
            session = "s" if index % 3 == 0 else None
            machine.apply(index, 1, command(op, key, argument, session, index))
        machines.append(machine)
    states = [json.loads(machine.dump()) for machine in machines]
    for state in states:
        state["keys"] = sorted(state["keys"].items())
        state["taken"] = sorted(state.get("taken", {}).items())
    fingerprints = [machine.fingerprint for machine in machines]
    assert (fingerprints[0] == fingerprints[1]) == (json.dumps(states[0]) == json.dumps(states[1]))


def test_the_fingerprint_is_fixed_and_follows_every_change() -> None:
    machine = Machine()
    assert machine.fingerprint == 0
    seen = {0}
    script: list[tuple[str, str, object]] = [("write", "x", 1), ("write", "y", 2)]
    script += [("append", "l", 1), ("append", "l", 1), ("add", "s", 1), ("increment", "c", 1)]
    swapped: list[tuple[str, str, object]] = [
        ("write", "x", None),
        ("write", "y", 1),
        ("write", "x", 2),
    ]
    for index, (op, key, argument) in enumerate(script + swapped, 1):
        machine.apply(index, 1, command(op, key, argument))
        assert machine.fingerprint not in seen
        seen.add(machine.fingerprint)
    assert machine.fingerprint == 13293726094929739008  # the same in every process, on every Python


def test_forgotten_sessions_leave_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("target.machine.SESSIONS", 2)
    machine = Machine()
    for index in range(1, 8):
        machine.apply(index, 1, command("write", "x", index, f"s{index}", 1))
        assert Machine.load(machine.dump()).fingerprint == machine.fingerprint
