"""Who stands for election asks first whether it would win."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.check.invariants.node import NodeView
from harness.check.invariants.promise import Promise, listed

ALONE = 5
"""So many terms in a row. One may be unheard of for good reasons: whoever was asked first was
reachable then, and cut off a moment later. The next would take the word of a majority again; but
where messages are corrupted, that may come and what follows it may not, three times in a row in one
run of some thousands."""


@dataclass(slots=True)
class PreVote(Promise):
    """No node goes from term to term by itself (PreVote; Ongaro 2014, section 9.6).

    A node that is cut off and counts its term up unseats the leader when it is back, and the others
    lose time for nothing. With PreVote a new term begins with the consent of a majority, so that
    several in a row that nobody else ever showed any sign of are a breach.
    """

    nodes: Mapping[str, NodeView] = field(default_factory=dict)
    candidacies: int = 0
    _alone: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    """(term, when) of each node's latest candidacies that nobody else has heard of."""

    def entered(self, t: int, node: NodeView, term: int, role: object) -> None:
        """A role in a term begins."""
        self.looked_at += 1
        self.heard(node.name, term)
        own = self._alone[node.name]
        if role == "leader":
            own.clear()
        voters = node.configs[-1][1] if node.configs else tuple(self.nodes)
        if role != "candidate" or len(voters) == 1:
            return
        self.candidacies += 1
        own.append((term, t))
        if len(own) == ALONE:
            terms = listed([str(number) for number, _ in own])
            sentence = (
                f"{node.name} stood for election in terms {terms}, which no other node had heard "
                "of by then: it did not ask first."
            )
            steps = tuple((at, f"{node.name} became candidate of term {at_}") for at_, at in own)
            self.broken("terms that nobody consented to", sentence, t, node.name, steps=steps)

    def heard(self, name: str, term: int) -> None:
        """A node shows that it knows of a term."""
        for other, own in self._alone.items():
            if other != name and own and term >= own[0][0]:
                own[:] = [one for one in own if one[0] > term]

    def booted(self, node: NodeView, term: int) -> None:
        """A server starts."""
        self._alone[node.name].clear()
        self.heard(node.name, term)

    def words(self) -> str:
        """As in the verdict's reason."""
        return "1 candidacy" if self.candidacies == 1 else f"{self.candidacies:,} candidacies"
