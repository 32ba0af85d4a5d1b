"""Shapes of partitions: pure functions from an order of nodes to the packets that are dropped.

An order is a drawn permutation of all nodes; for a shape that wants the leader, the leader has
been put in front. A *front* is a set of directed links that are cut for one reason (one side cannot
send to the other): each front has to be seen to bite.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from harness.core.cluster import Link
from harness.core.errors import UsageError
from nemesis.roles import bracket, leader_words, majority, minority

ONE_WAY = "one-way-"


@dataclass(frozen=True, slots=True)
class Cut:
    """A shape laid on nodes.

    ``picture`` and ``detail`` are its words; ``groups`` are the sides where there are sides.
    """

    groups: tuple[tuple[str, ...], ...]
    fronts: tuple[frozenset[Link], ...]
    picture: str
    detail: str = ""

    @property
    def links(self) -> frozenset[Link]:
        """Every directed link that is cut."""
        return frozenset().union(*self.fronts)

    @property
    def drops(self) -> Mapping[str, frozenset[str]]:
        """Node → the nodes whose packets never reach it; only nodes that miss some."""
        receivers = sorted({receiver for _, receiver in self.links})
        return {
            node: frozenset(start for start, end in self.links if end == node) for node in receivers
        }

    def words(self, leader: str | None) -> str:
        """``n1 n2 | n3 n4 n5 (leader was n2)``."""
        return self.picture + bracket(self.detail, leader_words(leader))


def between(senders: Iterable[str], receivers: Iterable[str]) -> frozenset[Link]:
    """Every directed link from one side to the other."""
    heard_by = tuple(receivers)
    return frozenset((start, end) for start in senders for end in heard_by)


def sides(first: tuple[str, ...], second: tuple[str, ...], way: str, bridge: str = "") -> Cut:
    """Two sides that do not reach each other; a bridge, if named, belongs to neither.

    ``way``: ``both``, or of the first side ``out`` (it cannot send) or ``in`` (it cannot hear).
    """
    out, heard = between(first, second), between(second, first)
    named = " ".join(first)
    fronts, detail = {
        "both": ((out, heard), ""),
        "out": ((out,), f"one way: {named} cannot send"),
        "in": ((heard,), f"one way: {named} cannot hear"),
    }[way]
    spanned = f"{bridge} reaches both" if bridge else ""
    return Cut(
        groups=(first, second),
        fronts=fronts,
        picture=f"{named} | {' '.join(second)}",
        detail="; ".join(filter(None, [spanned, detail])),
    )


def _halves(order: tuple[str, ...], way: str) -> Cut:
    return sides(order[: len(order) // 2], order[len(order) // 2 :], way)


def _one(order: tuple[str, ...], way: str) -> Cut:
    return sides(order[:1], order[1:], way)


def _with_minority(order: tuple[str, ...], way: str) -> Cut:
    count = minority(len(order))
    return sides(order[:count], order[count:], way)


def _with_majority(order: tuple[str, ...], way: str) -> Cut:
    count = majority(len(order))
    return sides(order[:count], order[count:], way)


def _bridge(order: tuple[str, ...], way: str) -> Cut:
    """The leader, first in the order, is never the bridge: there the cut would touch nobody."""
    count = (len(order) - 1) // 2
    return sides(order[:count], order[count:-1], way, order[-1])


def _ring(order: tuple[str, ...], way: str) -> Cut:
    """Everybody is connected to a majority (with itself), and no two to the same one."""
    size = len(order)
    others = majority(size) - 1
    if way == "both":
        steps = set(range(1, (others + 1) // 2 + 1))
        if others % 2 and size % 2 == 0:
            # An even ring can have the odd neighbour opposite; an odd ring rounds up instead.
            steps = {*range(1, others // 2 + 1), size // 2}
        heard = steps | {size - step for step in steps}
        detail = f"ring: each reaches {len(heard)} others"
    else:
        heard = set(range(1, others + 1))
        detail = f"one-way ring: each hears the {others} before it"
    cut = frozenset(
        (order[(place - step) % size], order[place])
        for place in range(size)
        for step in range(1, size)
        if step not in heard
    )
    return Cut(groups=(order,), fronts=(cut,), picture=" ".join(order), detail=detail)


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape by name: its meaning, the least number of nodes that can have it, how it is laid.

    ``aim``: ``leader`` when it is meant for the leader; ``spare`` when the leader should come
    first in the order, but nothing is lost if nobody leads; ``any`` when all nodes are alike.
    """

    words: str
    least: int
    aim: str
    lay: Callable[[tuple[str, ...], str], Cut]


_TWO_WAY: dict[str, Shape] = {
    "halves": Shape("half of the nodes against the others", 2, "any", _halves),
    "one": Shape("one node against all others", 2, "any", _one),
    "leader": Shape("the leader against all others", 2, "leader", _one),
    "leader-minority": Shape(
        "a minority with the leader against the rest", 3, "leader", _with_minority
    ),
    "leader-majority": Shape(
        "a majority with the leader against the rest", 3, "leader", _with_majority
    ),
    "bridge": Shape(
        "two sides that only one node reaches, which is not the leader", 3, "spare", _bridge
    ),
    "majority-ring": Shape(
        "every node reaches a majority, no two of them the same", 4, "any", _ring
    ),
}

SHAPES: Mapping[str, Shape] = _TWO_WAY | {
    f"{ONE_WAY}{name}": Shape(
        f"{shape.words}, in one direction only",
        # In one direction a ring of three exists: each hears only the one before it.
        3 if shape.lay is _ring else shape.least,
        shape.aim,
        shape.lay,
    )
    for name, shape in _TWO_WAY.items()
}

RANDOM = "random"
RANDOM_WORDS = "directed links cut at random, at every node at least one"


def aim(shape: str) -> str:
    """What the shape is to the leader; see :class:`Shape`."""
    return "any" if shape == RANDOM else SHAPES[shape].aim


def check_nodes(shape: str, nodes: int) -> None:
    """Whether so many nodes can have the shape.

    Raises:
        UsageError: they cannot.
    """
    least = 2 if shape == RANDOM else SHAPES[shape].least
    if nodes < least:
        raise UsageError(f"partition:{shape} needs at least {least} nodes, not {nodes}")


def possible(nodes: int) -> tuple[str, ...]:
    """The shapes that so many nodes can have."""
    if nodes < 2:
        return ()
    return (*(name for name, shape in SHAPES.items() if nodes >= shape.least), RANDOM)


def random_links(rng: random.Random, nodes: tuple[str, ...]) -> tuple[Link, ...]:
    """Directed links to cut: some 40 %, and at every node at least one.

    A node without a cut link could be the leader, and then a partition would hurt nobody.
    """
    links = [(start, end) for start in nodes for end in nodes if start != end]
    chosen = {link for link in links if rng.random() < 0.4}
    for node in nodes:
        if not any(node in link for link in chosen):
            other = rng.choice([item for item in nodes if item != node])
            chosen.add(rng.choice([(node, other), (other, node)]))
    return tuple(sorted(chosen))


def random_cut(nodes: tuple[str, ...], links: tuple[Link, ...]) -> Cut:
    """Drawn links as a cut."""
    cut = frozenset(links)
    pairs = []
    for start, end in sorted(cut):
        if (end, start) not in cut:
            pairs.append(f"{start}→{end}")
        elif start < end:
            pairs.append(f"{start}↔{end}")
    every = len(nodes) * (len(nodes) - 1)
    shown = " ".join(pairs) if len(pairs) <= 6 else f"{len(cut)} of {every} links"
    return Cut(groups=(), fronts=(cut,), picture=shown, detail="cut at random")
