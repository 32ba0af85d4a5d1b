"""What a search carries over a cut in the history, and the model as it may be used there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness.check.antichain import Antichain
from harness.check.limits import Budget
from harness.check.models import Action, Kind, Model, Shape, State, any_state
from harness.check.problem import Problem
from harness.core.operations import Operation, Outcome

_PINS = (Kind.SEES, Kind.MOVES)


class Declared:
    """A model as the search needs it: shapes are those declared, never guessed.

    Guessing means trying all states that *this* history can reach, and that is not known yet.
    """

    def __init__(self, model: Model) -> None:
        declared = model.shape

        def shape(action: Action) -> Shape:
            return declared(action) or Shape(Kind.OTHER)

        def asked(action: Action) -> Shape:
            known = shape(action)
            return Shape(Kind.LOOKS) if known.kind is Kind.SEES else known

        self.merges = model.project is not any_state
        self.model = replace(model, shape=shape)
        # A model that merges states may also write one state in two ways (a list as its elements
        # or as text), and then observers compare by ``step``, not by equality.
        self.apart = replace(model, shape=asked, project=any_state) if self.merges else self.model

    def pins(self, item: Operation) -> bool:
        """Whether an operation that returned is allowed in one state alone."""
        action = self.model.action(item)
        if item.outcome is Outcome.INFO or action is None:
            return False
        known = self.model.shape(action)
        return known is not None and known.kind in _PINS


@dataclass(frozen=True, slots=True)
class Carried:
    """All that a search has to know of what is before the cut.

    ``states`` are the configurations without their trails, ``open`` the operations that return
    after the cut with their slots, ``lost`` one unanswered operation of each class, in the order
    of their counts, with how many there are.
    """

    states: tuple[tuple[State, tuple[tuple[int, int, int], ...]], ...]
    open: tuple[tuple[Operation, int], ...] = ()
    lost: tuple[tuple[Operation, int], ...] = ()
    slots: int = 0
    free_slots: tuple[int, ...] = ()

    def resume(self, problem: Problem, budget: Budget, width: int | None = None) -> Antichain:
        """A search that stands at the cut, on a problem whose first calls are the carried ones."""
        search = Antichain(problem, budget, width)
        places = {item.index: place for place, item in enumerate(problem.operations)}
        for item, bit in self.open:
            place = places[item.index]
            search.free_slots = [bit.bit_length() - 1]
            search.open(place, problem.classes[place])
        search.slots, search.free_slots = self.slots, list(self.free_slots)
        for item, count in self.lost:
            cls = problem.classes[places[item.index]]
            search.lose(cls)
            search.called[cls] = count
        search.configs = {}
        for state, masks in self.states:
            configs = search.configs.setdefault(problem.table.intern(state), [])
            configs.extend((*mask, None) for mask in masks)
        # Every other event is after the cut.
        search.position = len(self.open) + len(self.lost)
        return search


def carry(search: Antichain) -> Carried:
    """What a search knows where it stands."""
    problem = search.problem
    first: dict[int, Operation] = {}
    for cls, item in zip(problem.classes, problem.operations, strict=True):
        first.setdefault(cls, item)
    return Carried(
        states=tuple(
            (problem.table.states[state], tuple(config[:3] for config in configs))
            for state, configs in search.configs.items()
        ),
        open=tuple((problem.operations[place], bit) for place, bit in search.bits.items()),
        lost=tuple((first[cls], search.called[cls]) for cls in search.shift),
        slots=search.slots,
        free_slots=tuple(search.free_slots),
    )
