"""Values that operations carry: JSON, but hashable.

A checker interns states and arguments in tables, so a value must be hashable; a history is
stored as JSON, so it must survive a round trip. Lists therefore live as tuples inside the
program and as arrays on disk. Objects (JSON maps) are tuples of (key, value) pairs sorted by
key, wrapped in :class:`Record` so that they come back as objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | tuple[Value, ...] | Record | None"


@dataclass(frozen=True, slots=True)
class Record:
    """A JSON object as a hashable value: its items sorted by key."""

    items: tuple[tuple[str, Value], ...]

    def get(self, key: str) -> Value:
        """The value under ``key``, or None."""
        return dict(self.items).get(key)


def freeze(data: object) -> Value:
    """JSON data (lists, dicts, scalars) as a hashable :data:`Value`.

    Raises:
        TypeError: the data holds something that JSON has no word for.
    """
    match data:
        case None | bool() | int() | float() | str():
            return data
        case list() | tuple():
            return tuple(freeze(item) for item in data)
        case Record():
            return data
        case dict():
            return Record(tuple(sorted((str(key), freeze(item)) for key, item in data.items())))
        case _:
            raise TypeError(f"no JSON value: {data!r}")


def thaw(value: Value) -> object:
    """The inverse of :func:`freeze`: lists and dicts, ready for a JSON encoder."""
    match value:
        case tuple():
            return [thaw(item) for item in value]
        case Record(items):
            return {key: thaw(item) for key, item in items}
        case _:
            return value


def show(value: Value) -> str:
    """The value as people read it in a sentence: ``nil``, ``3``, ``"a b"``, ``[1 2]``."""
    match value:
        case None:
            return "nil"
        case bool():
            return "true" if value else "false"
        case str():
            plain = value and all(letter.isalnum() or letter in "_-.:/" for letter in value)
            return value if plain else repr(value)
        case tuple():
            return "[" + " ".join(show(item) for item in value) + "]"
        case Record(items):
            return "{" + ", ".join(f"{key} {show(item)}" for key, item in items) + "}"
        case _:
            return str(value)
