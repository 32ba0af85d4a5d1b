"""One leader a term; and what never goes back."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.check.invariants.node import NodeView, Run
from harness.check.invariants.promise import Promise
from harness.check.telling import counted


@dataclass(slots=True)
class OneLeader(Promise):
    """At most one leader in a term (Ongaro 2014, figure 3.2, "Election Safety")."""

    leaders: dict[int, tuple[str, int]] = field(default_factory=dict)

    def elected(self, t: int, node: NodeView, term: int) -> None:
        """The node leads the term."""
        first, since = self.leaders.setdefault(term, (node.name, t))
        self.looked_at = len(self.leaders)
        if first != node.name:
            steps = tuple(
                (at, f"{name} became leader of term {term}")
                for name, at in ((first, since), (node.name, t))
            )
            sentence = f"{first} and {node.name} both led term {term}."
            self.broken("two leaders in one term", sentence, t, node.name, steps=steps)

    def words(self) -> str:
        """As in the verdict's reason."""
        return f"{counted(len(self.leaders), 'term')} with a leader"


@dataclass(slots=True)
class MonotonicState(Promise):
    """Term, vote, commit index and applied index never go back (Ongaro 2014, figure 3.1).

    *Across restarts* the term that was durable, and the vote given in it, must be there again; so
    must a term that the node has led (its own vote is durable first) and the term of any entry in
    its log. A term that was only heard of may be forgotten. *Within a life* commit and applied
    index never go back; after a restart both begin at the snapshot's and rise again, and that no
    result is applied to a state that has it already is for :class:`StateMachineSafety` to see.
    """

    def booted(self, t: int, node: NodeView, term: int, vote: str | None, runs: list[Run]) -> None:
        """A server read this from its disk."""
        self.looked_at += 1
        newest = max((term for _, _, term in runs), default=0)
        if term < node.kept_term:
            told = f"{node.name} started again in term {term}, after term {node.kept_term}."
            self.broken("the term went back", told, t, node.name)
        elif term < newest:
            told = f"{node.name} started in term {term} with entries of term {newest} in its log."
            self.broken("the term went back", told, t, node.name)
        else:
            self._same_vote(t, node, term, vote, "started again in")

    def voted(self, t: int, node: NodeView, term: int, vote: str | None) -> None:
        """Term and vote are durable."""
        self.looked_at += 1
        if term < node.kept_term:
            sentence = f"{node.name} saved term {term}, after term {node.kept_term}."
            self.broken("the term went back", sentence, t, node.name)
        else:
            self._same_vote(t, node, term, vote, "saved")

    def _same_vote(self, t: int, node: NodeView, term: int, vote: str | None, how: str) -> None:
        if term == node.kept_term and node.kept_vote not in (None, vote):
            now = "no vote" if vote is None else f"a vote for {vote}"
            sentence = (
                f"{node.name} {how} term {term} with {now}, after it had voted for "
                f"{node.kept_vote} in it."
            )
            self.broken("the vote changed", sentence, t, node.name)

    def entered(self, t: int, node: NodeView, term: int) -> None:
        """A role in a term begins."""
        self.looked_at += 1
        if term < node.term:
            sentence = f"{node.name} went from term {node.term} back to term {term}."
            self.broken("the term went back", sentence, t, node.name)

    def committed(self, t: int, node: NodeView, index: int, term: int) -> None:
        """The commit index is now this."""
        self.looked_at += 1
        if index < node.commit:
            sentence = f"The commit index of {node.name} went from {node.commit} back to {index}."
            self.broken("the commit index went back", sentence, t, node.name)
        elif index > 0 and term == 0:
            sentence = f"{node.name} commits entry {index}, which its log does not have."
            self.broken("a commit beyond the log", sentence, t, node.name)

    def applied(self, t: int, node: NodeView, index: int) -> None:
        """The state machine has applied all up to this."""
        self.looked_at += 1
        if index < node.applied:
            sentence = f"The state of {node.name} went from entry {node.applied} back to {index}."
            self.broken("the state went back", sentence, t, node.name)

    def words(self) -> str:
        """As in the verdict's reason."""
        return f"{self.looked_at:,} terms, votes and indices"
