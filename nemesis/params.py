"""Parameters of a planned fault, read back from plain JSON data."""

from __future__ import annotations

from harness.core.errors import UsageError
from harness.core.faults import FaultSpec
from harness.core.values import Value


def _wrong(spec: FaultSpec, name: str, expected: str) -> UsageError:
    found = spec.params.get(name)
    return UsageError(f"fault {spec.kind}: {name} should be {expected}, but is {found!r}")


def text(spec: FaultSpec, name: str) -> str:
    """A text.

    Raises:
        UsageError: missing, or something else.
    """
    value = spec.params.get(name)
    if not isinstance(value, str):
        raise _wrong(spec, name, "a text")
    return value


def whole(spec: FaultSpec, name: str) -> int:
    """A whole number.

    Raises:
        UsageError: missing, or something else.
    """
    value = spec.params.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(spec, name, "a whole number")
    return value


def wholes(spec: FaultSpec, name: str) -> tuple[int, ...]:
    """A list of whole numbers, none below zero.

    Raises:
        UsageError: missing, or something else.
    """
    found = integers(spec, name)
    if min(found, default=0) < 0:
        raise _wrong(spec, name, "a list of whole numbers, none below zero")
    return found


def integers(spec: FaultSpec, name: str) -> tuple[int, ...]:
    """A list of whole numbers, of either sign.

    Raises:
        UsageError: missing, or something else.
    """
    value = spec.params.get(name)
    if not isinstance(value, tuple):
        raise _wrong(spec, name, "a list of whole numbers")
    found = [item for item in value if type(item) is int]
    if len(found) < len(value):
        raise _wrong(spec, name, "a list of whole numbers")
    return tuple(found)


def number(spec: FaultSpec, name: str) -> float:
    """A number.

    Raises:
        UsageError: missing, or something else.
    """
    value = spec.params.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(spec, name, "a number")
    return float(value)


def names(spec: FaultSpec, name: str) -> tuple[str, ...]:
    """A list of names.

    Raises:
        UsageError: missing, or something else.
    """
    value = spec.params.get(name)
    if not isinstance(value, tuple):
        raise _wrong(spec, name, "a list of names")
    return tuple(_name(spec, name, item) for item in value)


def links(spec: FaultSpec, name: str) -> tuple[tuple[str, str], ...]:
    """A list of directed links.

    Raises:
        UsageError: missing, or something else.
    """
    value = spec.params.get(name)
    if not isinstance(value, tuple):
        raise _wrong(spec, name, "a list of links")
    found = []
    for item in value:
        match item:
            case (str() as start, str() as end):
                found.append((start, end))
            case _:
                raise _wrong(spec, name, "a list of links")
    return tuple(found)


def _name(spec: FaultSpec, name: str, item: Value) -> str:
    if not isinstance(item, str):
        raise _wrong(spec, name, "a list of names")
    return item
