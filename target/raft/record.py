"""Values that come and go by the thousand: made fast, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """A frozen dataclass with slots, as far as the type checker goes, which runs with every test.

    At run time nobody stands guard: making a truly frozen one takes three times as long, and half
    of what a simulated node does is to make these.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
