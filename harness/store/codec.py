"""The shared dataclasses as JSON and back, strictly: nothing unknown, nothing missing, no guess.

Driven by the dataclasses themselves, so that a field added to one is stored without a word here.
Operation values go through :func:`~harness.core.values.thaw` and ``freeze``; enums are stored by
value; a folder's path is not stored at all.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.core.errors import FormatError
from harness.core.values import Record, Value, freeze, thaw

T = TypeVar("T")


class _AnyValue:
    """Stands for the recursive :data:`Value` alias, which no type hint can spell out."""


def encode(thing: object) -> object:
    """Dataclasses, enums, mappings, tuples and values as plain JSON data."""
    match thing:
        case None | bool() | int() | float() | str():
            return thing.value if isinstance(thing, Enum) else thing
        case Enum():
            return thing.value
        case Record():
            return thaw(thing)
        case Path():
            return str(thing)
        case Mapping():
            return {str(key): encode(item) for key, item in thing.items()}
        case tuple() | list():
            return [encode(item) for item in thing]
        case _ if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
            return {
                field.name: encode(getattr(thing, field.name))
                for field in dataclasses.fields(thing)
            }
        case _:
            raise TypeError(f"no codec for {type(thing).__name__}")


def decode(kind: type[T], data: object, where: str) -> T:
    """``data`` as a ``kind`` (a dataclass). ``where`` begins every complaint: a path.

    Raises:
        FormatError: a field too many, one missing, or one of another type.
    """
    made: T = _dataclass(kind, data, where)
    return made


def to_json(thing: object, *, indent: bool = False) -> bytes:
    """One line of JSON with its newline, or indented for people."""
    raw = msgspec.json.encode(encode(thing))
    return (msgspec.json.format(raw, indent=2) if indent else raw) + b"\n"


def parse(raw: bytes, where: str) -> object:
    """JSON data.

    Raises:
        FormatError: not JSON.
    """
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{where}: expected JSON: {error}") from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, localns={"Value": _AnyValue})


@cache
def _as_they_are(kind: type) -> dict[str, frozenset[type]]:
    """By field: the types of data that are a value of it without being looked at further."""

    def plain(hint: Any) -> frozenset[type]:
        union = typing.get_origin(hint) in (types.UnionType, typing.Union)
        parts = typing.get_args(hint) if union else (hint,)
        scalars = all(part in (int, str, bool, float, types.NoneType) for part in parts)
        return frozenset(parts) if scalars else frozenset()

    return {name: plain(hint) for name, hint in _hints(kind).items()}


def _dataclass(kind: Any, data: object, where: str) -> Any:
    if not isinstance(data, dict):
        raise FormatError(f"{where}: expected an object, found {_name(data)}")
    hints = _hints(kind)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise FormatError(f"{where}: unknown field {unknown[0]!r} (known: {', '.join(hints)})")
    values = {}
    quick = _as_they_are(kind)
    for field in dataclasses.fields(kind):
        if type(data.get(field.name)) in quick[field.name] and field.name in data:
            values[field.name] = data[field.name]
        elif field.name in data:
            spot = f"{where}: {field.name}" if ": " not in where else f"{where}.{field.name}"
            values[field.name] = _as(hints[field.name], data[field.name], spot)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise FormatError(f"{where}: field {field.name!r} is missing")
    return kind(**values)


def _as(kind: Any, data: object, where: str) -> Any:
    if kind is _AnyValue:
        return _value(data, where)
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _optional(kind, data, where)
    if origin is tuple:
        return _tuple(typing.get_args(kind), data, where)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, dict):
            raise FormatError(f"{where}: expected an object, found {_name(data)}")
        item_kind = typing.get_args(kind)[1]
        return {key: _as(item_kind, item, f"{where}.{key}") for key, item in data.items()}
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, data, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError:
            known = ", ".join(str(item.value) for item in kind)
            raise FormatError(f"{where}: expected one of {known}, found {data!r}") from None
    return _scalar(kind, data, where)


def _scalar(kind: Any, data: object, where: str) -> Any:
    if kind is float and type(data) is int:
        return float(data)
    if kind is Path and isinstance(data, str):
        return Path(data)
    # type() and not isinstance: True is no number here.
    if type(data) is not kind:
        raise FormatError(f"{where}: expected {_KINDS[kind]}, found {_name(data)}")
    return data


def _optional(kind: Any, data: object, where: str) -> Any:
    options = typing.get_args(kind)
    if data is None and type(None) in options:
        return None
    (wanted,) = (option for option in options if option is not type(None))
    return _as(wanted, data, where)


def _tuple(arguments: tuple[Any, ...], data: object, where: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise FormatError(f"{where}: expected a list, found {_name(data)}")
    if arguments[-1] is Ellipsis:
        kinds = [arguments[0]] * len(data)
    else:
        kinds = list(arguments)
        if len(data) != len(kinds):
            raise FormatError(f"{where}: expected {len(kinds)} items, found {len(data)}")
    return tuple(
        _as(kind, item, f"{where}[{number}]")
        for number, (kind, item) in enumerate(zip(kinds, data, strict=True))
    )


def _value(data: object, where: str) -> Value:
    try:
        return freeze(data)
    except (TypeError, RecursionError) as error:
        raise FormatError(f"{where}: {error}") from error


_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    Path: "a path",
}


def _name(data: object) -> str:
    match data:
        case None:
            return "null"
        case bool():
            return "true" if data else "false"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return f"the string {data[:40]!r}"
        case _:
            return f"the number {data}"
