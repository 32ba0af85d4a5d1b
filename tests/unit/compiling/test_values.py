"""Classes of values, written out for the compiler: they behave as the decorated ones did."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiling.values import Unknown, written_out
from harness import compiled
from target.raft import messages

ROOT = Path(__file__).parents[3]

SOURCE = '''\
"""A module."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from target.raft.record import record


@record
class Point:
    """With a default, and a method that ends it."""

    x: int
    y: int = 2

    def sum(self) -> int:
        """Both."""
        return self.x + self.y


@dataclass(slots=True)
class Base:
    count: int = 0
    found: list[int] = field(default_factory=list)

    def words(self) -> str:
        return "base"


@dataclass(slots=True)
class Derived(Base):
    """Inherits, and keeps something to itself."""

    names: dict[str, int] = field(default_factory=dict)
    """Says what it is."""
    _seen: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def words(self) -> str:
        return "derived"


@dataclass(frozen=True, slots=True)
class Made:
    """Sets a field up by itself."""

    given: str
    own: int = field(init=False, default=7)


class Plain:
    """Is left alone."""

    kind: int = 3
'''


def module(text: str, name: str) -> dict[str, Any]:
    made = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), made.__dict__)
    return made.__dict__


@pytest.fixture(scope="module")
def both() -> tuple[dict[str, Any], dict[str, Any]]:
    out = written_out({"sample": SOURCE})["sample"]
    return module(SOURCE, "compiling_sample"), module(out, "compiling_sample_out")


Values = Mapping[str, Any]


@pytest.mark.parametrize(
    "make",
    [
        lambda here: here["Point"](1),
        lambda here: here["Point"](1, 5),
        lambda here: here["Point"](x=3, y=4),
        lambda here: here["Base"](4, [1]),
        lambda here: here["Base"](),
        lambda here: here["Derived"](names={"a": 1}),
        lambda here: here["Derived"](),
        lambda here: here["Made"]("a"),
        lambda here: here["Plain"].kind,
    ],
)
def test_they_look_the_same(make: Callable[[Values], Any], both: tuple[Values, Values]) -> None:
    was, now = make(both[0]), make(both[1])
    assert repr(was) == repr(now)
    assert make(both[1]) == now


def test_methods_and_text_stay(both: tuple[Values, Values]) -> None:
    for here in both:
        assert here["Point"](3).sum() == 5
        assert here["Derived"]().words() == "derived"
        assert here["Derived"].__doc__ == "Inherits, and keeps something to itself."


def test_nothing_is_shared(both: tuple[Values, Values]) -> None:
    for here in both:
        one, two = here["Derived"](), here["Derived"]()
        one.found.append(1)
        one._seen["a"].append(1)
        assert (two.found, dict(two._seen)) == ([], {})


def test_equal_means_equal_fields_and_class(both: tuple[Values, Values]) -> None:
    for here in both:
        point = here["Point"]
        assert point(1) == point(1, 2) != point(1, 3)
        assert point(1) != here["Made"]("a")
        assert len({point(1), point(1, 2), point(2)}) == 2
        with pytest.raises(TypeError):
            hash(here["Derived"]())


def test_patterns_take_them_apart(both: tuple[Values, Values]) -> None:
    for here in both:
        point = here["Point"]
        match point(8, 9):
            case point(x, y):
                assert (x, y) == (8, 9)
        assert here["Made"].__match_args__ == ("given",)


def test_dataclasses_know_them(both: tuple[Values, Values]) -> None:
    shapes = [
        [(field.name, field.type) for field in dataclasses.fields(here["Point"])] for here in both
    ]
    assert shapes[0] == shapes[1]
    assert dataclasses.replace(both[1]["Point"](1, 5), x=2) == both[1]["Point"](2, 5)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("@dataclass(order=True)\nclass A:\n    x: int\n", "A: order"),
        ("@dataclass\nclass A:\n    x: int = field(repr=False)\n", "field x: repr"),
        ("@final\n@record\nclass A:\n    x: int\n", "A: more than one decorator"),
        (
            "@dataclass\nclass A:\n    x: int\n\n\n@dataclass\nclass B(A):\n    y: int\n",
            "B inherits a field without a default",
        ),
    ],
)
def test_what_it_does_not_know_it_refuses(source: str, words: str) -> None:
    with pytest.raises(Unknown, match=words):
        written_out({"sample": source})


def test_what_is_not_a_value_is_left_as_it_is() -> None:
    text = (ROOT / "target/raft/log.py").read_text()
    assert written_out({"log": text}) == {"log": text}


numbers = st.integers(0, 1 << 40)


@given(st.tuples(numbers, numbers, numbers, numbers, numbers), st.binary(max_size=8))
def test_messages_are_what_they_were(five: tuple[int, int, int, int, int], data: bytes) -> None:
    shown = messages.Append(*five, (messages.Entry(five[0], five[1], 1, data),))
    for here in (vars(messages), _written_messages()):
        append = here["Append"](*five, (here["Entry"](five[0], five[1], 1, data),))
        assert repr(append) == repr(shown)
        assert append == here["Append"](*five, (here["Entry"](five[0], five[1], 1, data),))


@cache
def _written_messages() -> dict[str, Any]:
    return module(written_out(compiled.sources(ROOT))["target.raft.messages"], "compiling_messages")
