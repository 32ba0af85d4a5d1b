"""What the faults of one run keep in force, so that none heals what another still wants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Holds(Generic[T]):
    """Links cut, servers down or stopped, clocks skewed: by the id of the fault that wants it."""

    by_fault: dict[str, frozenset[T]] = field(default_factory=dict)

    def take(self, fault: str, things: Iterable[T]) -> None:
        """``fault`` wants these, beside what it already wanted."""
        self.by_fault[fault] = self.by_fault.get(fault, frozenset()) | frozenset(things)

    def release(self, fault: str, things: Iterable[T] | None = None) -> None:
        """``fault`` lets go of these; of everything when none are named. Idempotent."""
        left = self.by_fault.pop(fault, frozenset()) - frozenset(things or ())
        if left and things is not None:
            self.by_fault[fault] = left

    def of_others(self, fault: str) -> frozenset[T]:
        """What any other fault wants."""
        others = (things for name, things in self.by_fault.items() if name != fault)
        return frozenset().union(*others)


@dataclass(slots=True)
class Claims:
    """All holds of one run, by what is held: faults of several families may want the same."""

    _holds: dict[str, Holds[Any]] = field(default_factory=dict)

    def of(self, what: str) -> Holds[Any]:
        """The holds on one kind of thing: ``down`` (servers that are not to run), ``links``, …"""
        return self._holds.setdefault(what, Holds())
