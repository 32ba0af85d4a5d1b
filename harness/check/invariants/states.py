"""The same entries lead to the same state."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.check.invariants.node import NodeView
from harness.check.invariants.promise import Promise, listed
from harness.check.telling import counted


@dataclass(slots=True)
class StateMachineSafety(Promise):
    """All nodes that applied the same index have the same state (Ongaro 2014, figure 3.2), after a
    restart and from a snapshot too: an entry that is applied twice shows here. At the end the
    states of nodes that got equally far are compared once more, by name.
    """

    states: dict[int, tuple[str, str, int]] = field(default_factory=dict)
    finals: dict[str, tuple[int, str, int]] = field(default_factory=dict)

    def shown(self, t: int, node: NodeView, index: int, state: str) -> None:
        """The node's state after ``index`` has this fingerprint."""
        self.looked_at += 1
        self.finals[node.name] = index, state, t
        known, first, since = self.states.setdefault(index, (state, node.name, t))
        if known == state:
            return
        if first == node.name:
            sentence = f"{first} has another state after entry {index} than it had before."
        else:
            sentence = f"{first} and {node.name} have different states after entry {index}."
        steps = (
            (since, f"{first} applied entry {index}: state {known}"),
            (t, f"{node.name} applied entry {index}: state {state}"),
        )
        kind = "different states at one index"
        self.broken(kind, sentence, t, node.name, steps=steps)

    def finish(self) -> None:
        """Nothing more comes: the last states of all nodes."""
        ends: dict[int, dict[str, str]] = {}
        for node, (index, state, _) in sorted(self.finals.items()):
            ends.setdefault(index, {})[node] = state
        for index, states in sorted(ends.items()):
            if len(set(states.values())) > 1:
                told = ", ".join(f"{state} on {node}" for node, state in states.items())
                last = max(states, key=lambda node: self.finals[node][2])
                self.broken(
                    "final states differ",
                    f"{listed(list(states))} ended at entry {index} with different states: {told}.",
                    self.finals[last][2],
                    last,
                )

    def words(self) -> str:
        """As in the verdict's reason."""
        return f"{counted(self.looked_at, 'state')} at {len(self.states):,} indices"
