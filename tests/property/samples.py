"""Random histories of a real register, and the ways other tools write them down."""

from __future__ import annotations

import random

from harness.core.operations import (
    MISMATCH,
    Call,
    Complete,
    Completion,
    Event,
    Invoke,
    Outcome,
)
from harness.core.values import Value
from harness.store.edn import write


def register_events(rng: random.Random, length: int, keys: tuple[Value, ...]) -> list[Event]:
    """Events of four clients on registers that behave: every answer is the truth."""
    state: dict[Value, Value] = {}
    events: list[Event] = []
    busy: dict[int, Invoke] = {}
    process_of = {thread: thread for thread in range(4)}
    clock = 0
    while len(events) < length:
        clock += rng.randint(1, 1000)
        thread = rng.randrange(4)
        if thread not in busy:
            f = rng.choice(("read", "write", "cas"))
            value: Value = None
            if f == "write":
                value = rng.randrange(5)
            elif f == "cas":
                value = (rng.randrange(5), rng.randrange(5))
            call = Call(f, rng.choice(keys), value)
            node = f"n{thread + 1}"
            busy[thread] = Invoke(len(events), process_of[thread], node, clock, call)
            events.append(busy[thread])
            continue
        invoke = busy.pop(thread)
        completion = _answer(rng, state, invoke.call)
        events.append(Complete(len(events), invoke.index, clock, completion))
        if completion.outcome is Outcome.INFO:
            process_of[thread] += 4
    return events


def _answer(rng: random.Random, state: dict[Value, Value], call: Call) -> Completion:
    held = state.get(call.key)
    fate = rng.random()
    if fate < 0.05:
        return Completion(Outcome.FAIL, error="no-leader")
    changes = call.f == "write" or (isinstance(call.value, tuple) and call.value[0] == held)
    if changes and (fate > 0.1 or rng.random() < 0.5):
        state[call.key] = call.value[1] if isinstance(call.value, tuple) else call.value
    if fate < 0.1:
        return Completion(Outcome.INFO, error="timed-out")
    if call.f == "cas" and not changes:
        return Completion(Outcome.FAIL, error=MISMATCH)
    return Completion(Outcome.OK, held if call.f == "read" else None)


def jepsen_log(events: list[Event], rng: random.Random) -> str:
    """As Jepsen's log has them: tabs or blanks, a repeated argument, ``:timed-out``."""
    lines: list[str] = []
    calls: dict[int, Invoke] = {}
    blank = rng.choice(("\t", " "))
    for event in events:
        match event:
            case Invoke(index, process, _, _, call):
                calls[index] = event
                words = (process, ":invoke", f":{call.f}", write(call.value))
            case Complete(_, of, _, completion):
                call = calls[of].call
                told = write(completion.value if call.f == "read" else call.value)
                if completion.outcome is Outcome.INFO or completion.error == "no-leader":
                    told = ":timed-out"
                words = (calls[of].process, f":{completion.outcome.value}", f":{call.f}", told)
        lines.append("INFO  jepsen.util - " + blank.join(str(word) for word in words))
    return "\n".join(lines) + "\n"


def key_value_log(events: list[Event]) -> str:
    """As Porcupine's key-value logs: gets, puts and appends of text on keys, all answered."""
    lines: list[str] = []
    calls: dict[int, Invoke] = {}
    texts: dict[str, str] = {}
    for event in events:
        match event:
            case Invoke(index, _, _, _, call) if call.f != "cas":
                calls[index] = event
                kind, invoke, told = ":invoke", event, None
            case Complete(_, of) if of in calls:
                kind, invoke, told = ":ok", calls[of], ""
            case _:
                continue
        call = invoke.call
        f = "get" if call.f == "read" else "append"
        key = str(call.key)
        token = None if f == "get" else f"x {invoke.index} y"
        if kind == ":ok" and token is not None:
            texts[key] = texts.get(key, "") + token
        value = texts.get(key, "") if f == "get" and told is not None else token
        lines.append(
            f"{{:process {invoke.process}, :type {kind}, :f :{f}, "
            f":key {write(key)}, :value {write(value)}}}"
        )
    return "\n".join(lines) + "\n"
