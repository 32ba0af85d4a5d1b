"""What is open at one moment of a search, and the steps that it allows.

Operations that have been called and will return have a *slot*, a bit in the masks of a
configuration; they are filed by what they can do, so that a search asks only for what can matter
in the state at hand. Operations that never return have no slot: they are counted by class.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import TypeAlias

from harness.check.models import Kind
from harness.check.problem import Problem

Trail: TypeAlias = "tuple[Trail, int, int, int] | None"
"""A step and those before it: (earlier, position of the event, operation or ~class, state after).

A class, complemented, stands for some unanswered operation of that class. Observers and absorbed
operations are not on the trail; the witness puts them where they fit.
"""

Config: TypeAlias = tuple[int, int, int, Trail]
"""(used, free, spent, trail); see the search."""

Step: TypeAlias = tuple[int, int, int, int, int, bool]
"""(state after, used, free, spent, what, forced); about forced steps rule 5 says nothing."""

# Plain ints: an attribute of an enumeration costs more than the comparison.
SEES, SEES_OTHER, LOOKS = int(Kind.SEES), int(Kind.SEES_OTHER), int(Kind.LOOKS)
BLIND, TOTAL, MOVES = int(Kind.BLIND), int(Kind.TOTAL), int(Kind.MOVES)

_FIELD = 24
"""Bits for one class' count in ``spent``; the highest is a guard that no count reaches."""
_COUNT = (1 << (_FIELD - 1)) - 1


class Openings:
    """The open operations, and what they allow."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.free_slots: list[int] = []
        self.slots = 0
        self.bits: dict[int, int] = {}
        # Masks of slots: observers, and operations that are allowed in every state.
        self.observers = 0
        self.total = 0
        # Observers by the state they see; those that see every other state; those to be asked.
        self.sees: dict[int, int] = {}
        self.sees_other: dict[int, int] = {}
        self.any_other = 0
        self.lookers: list[tuple[int, int]] = []
        # (slot, state after, operation); moves by the state they leave; (slot, class, operation).
        # Each list is in order of return (rule 10).
        self.blind: list[tuple[int, int, int]] = []
        self.moves: dict[int, list[tuple[int, int, int]]] = {}
        self.asking: list[tuple[int, int, int]] = []
        # Unanswered operations, by class: how many were called, and where their count is.
        self.called: dict[int, int] = {}
        self.shift: dict[int, int] = {}
        self.guards = 0
        self.lost_blind: list[tuple[int, int]] = []
        self.lost_moves: dict[int, list[tuple[int, int]]] = {}
        self.lost_asking: list[int] = []
        self.ends: list[int] = []
        self.unknown = 0
        self.look_ahead(problem)

    def look_ahead(self, problem: Problem) -> None:
        """Finds when operations return; ``unknown`` is when others do."""
        self.unknown = len(problem.events)
        self.ends = [self.unknown] * len(problem.classes)
        for position, event in enumerate(problem.events):
            if event & 1:
                self.ends[event >> 1] = position
        for entries in (self.blind, self.asking, *self.moves.values()):
            entries.sort(key=self._end)

    def _end(self, entry: tuple[int, int, int]) -> int:
        return self.ends[entry[2]]

    def open(self, operation: int, cls: int) -> None:
        """Gives an operation that will return a slot, and files it under what it can do."""
        problem = self.problem
        if self.free_slots:
            bit = 1 << self.free_slots.pop()
        else:
            bit = 1 << self.slots
            self.slots += 1
        self.bits[operation] = bit
        kind = problem.kinds[cls]
        if kind == SEES:
            self.observers |= bit
            at = problem.at[cls]
            self.sees[at] = self.sees.get(at, 0) | bit
        elif kind == BLIND:
            self.total |= bit
            insort(self.blind, (bit, problem.to[cls], operation), key=self._end)
        elif kind == MOVES:
            entry = (bit, problem.to[cls], operation)
            insort(self.moves.setdefault(problem.at[cls], []), entry, key=self._end)
        elif kind == SEES_OTHER:
            self.observers |= bit
            self.any_other |= bit
            at = problem.at[cls]
            self.sees_other[at] = self.sees_other.get(at, 0) | bit
        elif kind == LOOKS:
            self.observers |= bit
            self.lookers.append((bit, cls))
        else:
            if kind == TOTAL:
                self.total |= bit
            insort(self.asking, (bit, cls, operation), key=self._end)

    def close(self, operation: int, cls: int, bit: int) -> None:
        """The inverse of ``open``."""
        problem = self.problem
        self.free_slots.append(bit.bit_length() - 1)
        kind = problem.kinds[cls]
        if kind == SEES:
            self.observers ^= bit
            at = problem.at[cls]
            self.sees[at] ^= bit
            if not self.sees[at]:
                del self.sees[at]
        elif kind == BLIND:
            self.total ^= bit
            self.blind.remove((bit, problem.to[cls], operation))
        elif kind == MOVES:
            at = problem.at[cls]
            self.moves[at].remove((bit, problem.to[cls], operation))
            if not self.moves[at]:
                del self.moves[at]
        elif kind == SEES_OTHER:
            self.observers ^= bit
            self.any_other ^= bit
            at = problem.at[cls]
            self.sees_other[at] ^= bit
            if not self.sees_other[at]:
                del self.sees_other[at]
        elif kind == LOOKS:
            self.observers ^= bit
            self.lookers.remove((bit, cls))
        else:
            if kind == TOTAL:
                self.total ^= bit
            self.asking.remove((bit, cls, operation))

    def lose(self, cls: int) -> None:
        """Counts an operation that nobody saw the end of (rule 3)."""
        if cls in self.called:
            self.called[cls] += 1
            return
        problem = self.problem
        self.called[cls] = 1
        shift = self.shift[cls] = _FIELD * len(self.shift)
        self.guards |= 1 << (shift + _FIELD - 1)
        kind = problem.kinds[cls]
        if kind == BLIND:
            if problem.to[cls] != problem.mute:
                self.lost_blind.append((cls, problem.to[cls]))
        elif kind == MOVES:
            if problem.to[cls] != problem.mute:
                entry = (cls, problem.to[cls])
                self.lost_moves.setdefault(problem.at[cls], []).append(entry)
        else:
            self.lost_asking.append(cls)

    def granted(self, state: int) -> int:
        """The open observers that a state allows."""
        granted = self.sees.get(state, 0)
        if self.any_other:
            granted |= self.any_other & ~self.sees_other.get(state, 0)
        for bit, cls in self.lookers:
            if self.problem.table.next(state, cls):
                granted |= bit
        return granted

    def worthwhile(self, bit: int) -> tuple[list[tuple[int, int, int]], list[tuple[int, int]]]:
        """The blind steps that rule 5 does not rule out for all configurations at once."""
        if self.any_other or self.lookers or self.asking or self.lost_asking:
            return self.blind, self.lost_blind
        wanted = self.sees.keys() | self.moves.keys() | self.lost_moves.keys()
        return (
            [entry for entry in self.blind if entry[1] in wanted or entry[0] == bit],
            [entry for entry in self.lost_blind if entry[1] in wanted],
        )

    def enables(self, state: int, used: int) -> bool:
        """Whether a step other than a blind one leads on from a state (True when in doubt)."""
        if state == self.problem.mute:
            return False
        if state in self.lost_moves:
            return True
        if any(not used & bit for bit, _, _ in self.moves.get(state, ())):
            return True
        if self.problem.commutes:
            return self._others_than_total(used)
        following, mute = self.problem.table.next, (self.problem.mute,)
        for bit, cls, _ in self.asking:
            if not used & bit and following(state, cls) not in ((), mute):
                return True
        return any(following(state, cls) not in ((), mute) for cls in self.lost_asking)

    def _others_than_total(self, used: int) -> bool:
        """Whether anything is open, or lost, that is no total operation (rule 8)."""
        kinds = self.problem.kinds
        return bool(
            self.observers & ~used
            or self.moves
            or self.lost_moves
            or any(kinds[cls] != TOTAL and not used & bit for bit, cls, _ in self.asking)
            or any(kinds[cls] != TOTAL for cls in self.lost_asking)
        )

    def steps(
        self,
        state: int,
        config: Config,
        blind: Sequence[tuple[int, int, int]],
        lost_blind: Sequence[tuple[int, int]],
    ) -> list[Step]:
        """The steps from a configuration, with these of the blind ones."""
        used, free, spent, _ = config
        used |= self.granted(state)
        total = self.total & ~used
        steps: list[Step] = []
        sooner: set[int] = set()
        for bit, after, operation in blind:
            if not used & bit and after not in sooner:
                steps.append((after, used | bit, total & ~bit, spent, operation, False))
                if self.ends[operation] < self.unknown:
                    sooner.add(after)  # rule 10
        sooner = set()
        for bit, after, operation in self.moves.get(state, ()):
            if not used & bit and after not in sooner:
                steps.append((after, used | bit, free, spent, operation, True))
                if self.ends[operation] < self.unknown:
                    sooner.add(after)
        # Here it counts, too, whether the one that returns sooner may have been absorbed already.
        asked: dict[int, int] = {}
        for bit, cls, operation in self.asking:
            if not used & bit and (cls not in asked or (asked[cls] & free and not bit & free)):
                for after in self.problem.table.next(state, cls):
                    forced = not bit & total
                    steps.append((after, used | bit, free & ~bit, spent, operation, forced))
                if self.ends[operation] < self.unknown:
                    asked[cls] = bit
        if self.called:
            self._lost_steps(state, (used, free, spent, None), lost_blind, steps)
        return steps

    def _lost_steps(
        self,
        state: int,
        config: Config,
        lost_blind: Sequence[tuple[int, int]],
        steps: list[Step],
    ) -> None:
        """The steps of unanswered operations (rule 3).

        One that would change nothing, or lead into the mute state, is as good as one that never
        took effect.
        """
        used, free, spent, _ = config
        returns = {after for bit, after, _ in self.blind if not used & bit}
        for cls, after in lost_blind:
            shift = self.shift[cls]
            if after not in returns and (spent >> shift) & _COUNT < self.called[cls]:
                absorbed = self.total & ~used
                steps.append((after, used, absorbed, spent + (1 << shift), ~cls, False))
        returns = {after for bit, after, _ in self.moves.get(state, ()) if not used & bit}
        for cls, after in self.lost_moves.get(state, ()):
            shift = self.shift[cls]
            if after not in returns and (spent >> shift) & _COUNT < self.called[cls]:
                steps.append((after, used, free, spent + (1 << shift), ~cls, True))
        returns = {cls for bit, cls, _ in self.asking if not used & bit}
        for cls in self.lost_asking:
            shift = self.shift[cls]
            if cls not in returns and (spent >> shift) & _COUNT < self.called[cls]:
                for after in self.problem.table.next(state, cls):
                    if after not in (state, self.problem.mute):
                        steps.append((after, used, free, spent + (1 << shift), ~cls, True))
