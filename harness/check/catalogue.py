"""The models by name, and the model strings of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from harness.check import models_registers as registers
from harness.check import models_services as services
from harness.check import models_structures as structures
from harness.check.models import Model, RegisterRules
from harness.core.errors import UsageError
from harness.core.values import Value, freeze


@dataclass(frozen=True, slots=True)
class Entry:
    """A model one can ask for: what it is, its options with their meanings, how it is made."""

    words: str
    options: Mapping[str, str]
    make: Callable[[str, Options], Model]


@dataclass(frozen=True, slots=True)
class Options:
    """The ``key=value`` part of a model string."""

    given: Mapping[str, str]

    def value(self, key: str, default: Value) -> Value:
        """A value as people write it: ``nil``, a JSON scalar, or plain text."""
        text = self.given.get(key)
        return default if text is None else parse_value(text)

    def choice(self, key: str, default: str, other: str) -> bool:
        """Whether the default of two words was chosen.

        Raises:
            UsageError: it is neither.
        """
        text = self.given.get(key, default)
        if text not in (default, other):
            raise UsageError(f"{key}={text}: expected {default} or {other}")
        return text == default


def parse_value(text: str) -> Value:
    """``nil``, ``3``, ``true``, ``"a b"``; everything else is text."""
    if text == "nil":
        return None
    try:
        return freeze(json.loads(text))
    except ValueError:
        return text


_INITIAL = {"initial": "the value before any write (default nil)"}
_RULES = {
    "read_nil": "value (default) or any: a read of nil says nothing",
    "failed_cas": "observed (default: it held something else) or ignored",
}


def _register(name: str, options: Options, *, cas: bool) -> Model:
    rules = RegisterRules(
        nil_is_a_value=options.choice("read_nil", "value", "any"),
        failed_cas_observes=options.choice("failed_cas", "observed", "ignored"),
    )
    return registers.register(name, options.value("initial", None), rules, cas=cas)


def _counter(name: str, options: Options) -> Model:
    initial = options.value("initial", 0)
    if not isinstance(initial, int):
        raise UsageError("a counter's initial value is a whole number")
    return structures.counter(name, initial)


MODELS: Mapping[str, Entry] = {
    "register": Entry(
        "one register for each key: read, write",
        _INITIAL | _RULES,
        lambda name, options: _register(name, options, cas=False),
    ),
    "cas-register": Entry(
        "a register with compare-and-set for each key: read, write, cas",
        _INITIAL | _RULES,
        lambda name, options: _register(name, options, cas=True),
    ),
    "multi-register": Entry(
        "named registers under transactions of reads and writes: txn",
        {"initial": "every register's value before any write (default nil)"},
        lambda name, options: registers.multi_register(name, options.value("initial", None)),
    ),
    "kv": Entry(
        "a map: get, put, delete, cas, append (of text) for each key",
        _INITIAL,
        lambda name, options: registers.key_value(name, options.value("initial", None)),
    ),
    "kv-append": Entry(
        "a list for each key: append, put, read (or get, also as concatenated text)",
        {},
        lambda name, _: structures.appended_list(name),
    ),
    "set": Entry(
        "a growing set for each key: add, read", {}, lambda name, _: structures.grow_set(name)
    ),
    "counter": Entry(
        "a number for each key: add, read",
        {"initial": "where it starts (default 0)"},
        _counter,
    ),
    "fifo-queue": Entry(
        "a queue for each key: enqueue, dequeue (nil: it was empty)",
        {},
        lambda name, _: structures.fifo_queue(name),
    ),
    "unordered-queue": Entry(
        "a bag for each key: enqueue, dequeue (nil: it was empty)",
        {},
        lambda name, _: structures.unordered_queue(name),
    ),
    "mutex": Entry(
        "a lock for each key: acquire, release",
        {},
        lambda name, _: registers.mutex(name, owned=False),
    ),
    "owned-mutex": Entry(
        "a lock for each key that only its holder may release: acquire, release",
        {},
        lambda name, _: registers.mutex(name, owned=True),
    ),
    "fenced-lock": Entry(
        "a lock for each key that gives growing tokens: acquire, release (of a token)",
        {},
        lambda name, _: services.fenced_lock(name),
    ),
    "bank": Entry(
        "accounts for each key: open, transfer, snapshot", {}, lambda name, _: services.bank(name)
    ),
}


GROUP = "quorum_harness.models"
"""Where a stranger's package declares its models: entry points that lead to a :class:`Model`."""


def strangers() -> Mapping[str, EntryPoint]:
    """Models of other packages, by name."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in MODELS}


def known() -> list[str]:
    """The names of all models there are."""
    return [*MODELS, *sorted(strangers())]


def parse_model(text: str) -> Model:
    """A model from its string: ``cas-register:initial=0,read_nil=any,failed_cas=ignored``.

    A stranger's model is its name alone.

    Raises:
        UsageError: an unknown model, option or value, the line lists what there is; or a
            stranger's entry point that leads to no model.
    """
    name, _, rest = text.partition(":")
    entry = MODELS.get(name)
    if entry is None:
        return _strangers(name, rest)
    given: dict[str, str] = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if key not in entry.options or not equals:
            there = ", ".join(f"{option}=…" for option in entry.options) or "none"
            raise UsageError(f"model {name} has no option {item!r}; it has: {there}")
        given[key] = value
    return entry.make(text, Options(given))


def _strangers(name: str, options: str) -> Model:
    point = strangers().get(name)
    if point is None:
        raise UsageError(f"unknown model {name!r}; known: {', '.join(known())}")
    if options:
        raise UsageError(f"model {name} has no option {options!r}; it has: none")
    try:
        model = point.load()
    except Exception as error:  # whatever somebody else's module does when it is imported
        raise UsageError(f"model {name} cannot be loaded from {point.value}: {error}") from error
    if not isinstance(model, Model):
        raise UsageError(f"model {name}: {point.value} is no harness.check.Model")
    return model
