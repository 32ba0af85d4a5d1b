"""Registers, with compare-and-set, each of whose values is written once.

Gibbons & Korach, "Testing shared memories" (1997), section 4, with chains of compare-and-set added.

A *cluster* is the write of a value and its reads; in a legal order it stands together. A successful
compare-and-set from a to b puts the cluster of b directly behind that of a: what cannot be parted
is a *block*, and its inner order is forced, but for reads of one value. Between blocks only real
time is left. With f the first return within a block and s the last call, A must precede B just if
f(A) < s(B). The blocks have an order unless that relation has a cycle, and then two of them are in
one already: of a cycle's blocks take A, whose f is the least; every s in the cycle is greater than
some f of it, so greater than f(A), and A precedes all of them, its own predecessor too.

If f < s (a *forward* zone), something returned within the block before something else was called:
its value is there from f to s. Two forward zones must not overlap, and none may hold a backward
zone as a whole; two backward zones never exclude each other.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter

from harness.check.models import Kind
from harness.check.monitors.intervals import NEVER, Decide, Intervals
from harness.check.problem import Problem

_SEES, _BLIND, _MOVES = int(Kind.SEES), int(Kind.BLIND), int(Kind.MOVES)


@dataclass(slots=True)
class _Block:
    """Operations that stand together, in order; ``first`` return and ``last`` call of them."""

    first: float
    last: int = -1
    order: list[int] = field(default_factory=list)


def register(problem: Problem) -> Decide | None:
    """Decides by zones; None if a value is written twice, or something else than reads, writes and
    compare-and-set is there."""
    classes, kinds, to = problem.classes, problem.kinds, problem.to
    if not set(kinds) <= {_SEES, _BLIND, _MOVES}:
        return None
    if any(kind == _MOVES and problem.at[cls] == to[cls] for cls, kind in enumerate(kinds)):
        return None
    writers: dict[int, int] = {}
    for operation, cls in enumerate(classes):
        after = to[cls]
        if kinds[cls] == _SEES or after == problem.mute:
            continue  # nobody sees what is mute, so how often it is written does not matter
        if after in writers or after == problem.initial:
            return None
        writers[after] = operation
    return _Zones(problem, writers).decide


class _Zones:
    def __init__(self, problem: Problem, writers: dict[int, int]) -> None:
        self.problem = problem
        self.writers = writers
        self.intervals = Intervals(problem)

    def decide(self, last: int) -> list[int] | None:
        """See :data:`Decide`."""
        problem, calls = self.problem, self.intervals.calls
        ends = self.intervals.ends(last)
        readers: dict[int, list[int]] = {}
        there: list[int] = []
        for operation in self.intervals.by_call:
            if ends[operation] == NEVER:
                continue  # nobody needs its being read; its being written, see below
            cls = problem.classes[operation]
            if problem.kinds[cls] == _SEES:
                readers.setdefault(problem.at[cls], []).append(operation)
            else:
                there.append(operation)
        if not self._add_needed(there, readers, last, ends):
            return None
        onward: dict[int, int] = {}
        for operation in there:
            cls = problem.classes[operation]
            if problem.kinds[cls] == _MOVES:
                onward[problem.at[cls]] = operation
        blocks = []
        for root in (None, *there):
            if root is None or problem.kinds[problem.classes[root]] == _BLIND:
                block = self._block(root, readers, onward, ends)
                if not self.intervals.keeps_time(block.order, ends):
                    return None
                if block.order:
                    blocks.append(block)
        order = _arranged(blocks)
        if order is None or len(order) < len(there) + sum(map(len, readers.values())):
            return None  # compare-and-set that replace the same value, or follow each other round
        assert all(calls[operation] < last for operation in order)
        return order

    def _add_needed(
        self, there: list[int], readers: dict[int, list[int]], last: int, ends: list[float]
    ) -> bool:
        """Adds those without a return whose value somebody saw; False if nobody can have written
        a value that was seen.

        The others are left out: nobody sees what they write, so an order with them is one without.
        """
        problem = self.problem
        classes, kinds, at = problem.classes, problem.kinds, problem.at
        moved = (at[classes[it]] for it in there if kinds[classes[it]] == _MOVES)
        needed = list(dict.fromkeys((*readers, *moved)))
        met = set(needed)
        for state in needed:
            if state == problem.initial:
                continue
            writer = self.writers.get(state)
            if writer is None or self.intervals.calls[writer] >= last:
                return False
            if ends[writer] == NEVER:
                there.append(writer)
                cls = classes[writer]
                if kinds[cls] == _MOVES and at[cls] not in met:
                    met.add(at[cls])
                    needed.append(at[cls])
        return True

    def _block(
        self,
        root: int | None,
        readers: dict[int, list[int]],
        onward: dict[int, int],
        ends: list[float],
    ) -> _Block:
        """A write (None: what was there from the start) and all that must follow it at once."""
        problem, calls = self.problem, self.intervals.calls
        block = _Block(first=NEVER)
        state, writer = problem.initial, root
        if root is None:
            block.first = -1
        while True:
            if writer is not None:
                block.order.append(writer)
                state = problem.to[problem.classes[writer]]
            if writer is not None and state == problem.mute:
                break
            block.order += readers.get(state, ())
            writer = onward.get(state)
            if writer is None:
                break
        for operation in block.order:
            block.first = min(block.first, ends[operation])
            block.last = max(block.last, calls[operation])
        return block


def _arranged(blocks: list[_Block]) -> list[int] | None:
    """The blocks one after the other as real time asks; None if it asks for two orders.

    Each stands where its zone begins. If A must precede B, so it does: f(A) < s(B), and A begins
    no later than f(A); B begins at s(B), or, if its zone is forward, at f(B), which is greater than
    where A begins, or B would hold A's zone or overlap with it.
    """
    forward = sorted((it for it in blocks if it.first < it.last), key=attrgetter("first"))
    for one, other in pairwise(forward):
        if other.first < one.last:
            return None
    firsts = [it.first for it in forward]
    for block in blocks:
        if block.first > block.last:
            before = bisect_left(firsts, block.last) - 1
            if before >= 0 and forward[before].last > block.first:
                return None
    ranked = sorted(blocks, key=lambda it: min(it.first, it.last))
    return [operation for block in ranked for operation in block.order]
