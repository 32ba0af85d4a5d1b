"""Operations in words, for the sentences of an anomaly."""

from __future__ import annotations

from harness.check.models import enumerated
from harness.core.operations import Operation, Outcome
from harness.core.units import show_ms
from harness.core.values import Value, show

_READ = ("read", "get")
_WRITE = ("write", "put")


def did(operation: Operation, key: Value) -> str:
    """What an operation did, after its subject: ``read 3 from key k7``."""
    call, result = operation.call, _told(operation.result)
    value, what = show(call.value), _object(key)
    match call.f, call.value:
        case "read" | "get", _:
            return f"read {result}" + (f" from {what}" if key is not None else "")
        case "cas", (expected, new) if operation.outcome is Outcome.FAIL:
            pair = f"from {show(expected)} to {show(new)}"
            return f"was refused a cas {pair} on {what} because it held another value"
        case "cas", (expected, new):
            return f"changed {what} from {show(expected)} to {show(new)} by cas"
        case "dequeue", _:
            if operation.result is None:
                return f"found {what} empty"
            return f"dequeued {result} from {what}"
        case "txn", _:
            return f"ran the transaction {result}"
        case f, _ if f in _PAST:
            return _phrase(_PAST[f], value, key)
        case f, _:
            return f"ran {f} {value} on {what} with the result {result}"


_PAST = {
    "write": "wrote {} to",
    "put": "wrote {} to",
    "append": "appended {} to",
    "add": "added {} to",
    "increment": "added {} to",
    "enqueue": "enqueued {} on",
    "delete": "deleted",
    "acquire": "acquired",
    "release": "released",
}
_INFINITIVE = {
    "write": "write {} to",
    "put": "write {} to",
    "append": "append {} to",
    "add": "add {} to",
    "increment": "add {} to",
    "enqueue": "enqueue {} on",
    "dequeue": "dequeue from",
    "read": "read from",
    "get": "read from",
    "delete": "delete",
    "acquire": "acquire",
    "release": "release",
}


def asked(operation: Operation, key: Value) -> str:
    """What an operation asked for: ``write 3 to key k7``."""
    call = operation.call
    match call.f, call.value:
        case "cas", (expected, new):
            return f"change {_object(key)} from {show(expected)} to {show(new)} by cas"
        case f, value if f in _INFINITIVE:
            return _phrase(_INFINITIVE[f], show(value), key)
        case f, value:
            return f"run {f} {show(value)} on {_object(key)}"


def had_happened(operation: Operation) -> str:
    """An operation as a point in time: ``the write of 4 had been acknowledged``."""
    call = operation.call
    who, result = f"process {operation.process}", _told(operation.result)
    match call.f, call.value:
        case "read" | "get", _:
            return f"{who} had read {result}"
        case "write" | "put", value:
            return f"the write of {show(value)} had been acknowledged"
        case "delete", _:
            return "its deletion had been acknowledged"
        case "cas", (expected, new) if operation.outcome is Outcome.OK:
            return f"the cas from {show(expected)} to {show(new)} had succeeded"
        case "cas", (expected, new):
            return f"a cas from {show(expected)} to {show(new)} had met another value"
        case ("append" | "add" | "increment" | "enqueue") as f, value:
            verb = {"append": "append", "enqueue": "enqueueing"}.get(f, "addition")
            return f"the {verb} of {show(value)} had been acknowledged"
        case "dequeue", _:
            return f"{who} had dequeued {result}"
        case "acquire", _:
            return f"{who} had acquired it"
        case "release", _:
            return f"{who} had released it"
        case f, _:
            return f"the {f} of {who} had been acknowledged"


def step(operation: Operation, key: Value, *, timed: bool = True) -> str:
    """One operation of a counterexample as a sentence; how long it took only if that is known."""
    who = f"Process {operation.process}"
    match operation.outcome:
        case Outcome.OK if not timed:
            return f"{who} {did(operation, key)}."
        case Outcome.OK:
            took = show_ms((operation.end or operation.start) - operation.start)
            return f"{who} {did(operation, key)}; answered after {took}."
        case Outcome.FAIL if operation.call.f == "cas":
            return f"{who} {did(operation, key)}."
        case Outcome.FAIL:
            error = f" ({operation.error})" if operation.error else ""
            return f"{who} asked to {asked(operation, key)} and was refused{error}."
        case Outcome.INFO:
            return (
                f"{who} asked to {asked(operation, key)} and never learnt the outcome: "
                "it may take effect at any later time, or never."
            )


def _told(value: Value) -> str:
    """A result; of a long list only the ends."""
    if isinstance(value, tuple):
        return enumerated([show(item) for item in value], "[]")
    return show(value)


def _object(key: Value) -> str:
    return "the object" if key is None else f"key {show(key)}"


def _phrase(template: str, value: str, key: Value) -> str:
    """A template with its value, and its object if that has a name."""
    words = template.format(value)
    if key is not None:
        return f"{words} {_object(key)}"
    verb, _, _ = words.rpartition(" ") if "{}" in template else ("", "", "")
    return verb or f"{words} the object"
