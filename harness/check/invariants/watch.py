"""All promises at once, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.check.invariants.elections import PreVote
from harness.check.invariants.logs import LeaderCompleteness, LogMatching
from harness.check.invariants.majority import MajorityCommit
from harness.check.invariants.node import NodeView, Run
from harness.check.invariants.promise import Breach, Promise
from harness.check.invariants.states import StateMachineSafety
from harness.check.invariants.terms import MonotonicState, OneLeader
from harness.core.traces import TraceDamage, TraceLine

VERSIONS = (1, 2)
"""Of the trace that are known here. Version 1 has neither checksums nor states."""


class Watch:
    """Looks at a run from inside, while it goes on or after it.

    Lines are fed in order of time, an ``ack`` before others of its nanosecond, those of a node in
    the order in which it wrote them. After any line :attr:`first` may be asked.
    """

    def __init__(self, nodes: Iterable[str], unseen: Iterable[str] = ()) -> None:
        """``unseen`` are those of the nodes that have no trace: nobody is accused for want of
        theirs."""
        self.nodes = {name: NodeView(name) for name in nodes}
        self.lines = 0
        self._leader = OneLeader()
        self._matching = LogMatching()
        self._completeness = LeaderCompleteness(matching=self._matching)
        self._states = StateMachineSafety()
        self._monotonic = MonotonicState()
        self._elections = PreVote(nodes=self.nodes)
        self._majority = MajorityCommit(nodes=self.nodes, unseen=frozenset(unseen))
        self.promises: Mapping[str, Promise] = {
            "majority-commit": self._majority,
            "one-leader": self._leader,
            "log-matching": self._matching,
            "leader-completeness": self._completeness,
            "state-machine-safety": self._states,
            "monotonic-state": self._monotonic,
            "pre-vote": self._elections,
        }
        """By the name of the check that tells of it."""

    @property
    def first(self) -> tuple[str, Breach] | None:
        """The first violating event, with the promise that it breaks; None as long as all hold."""
        firsts = [(name, it.found[0]) for name, it in self.promises.items() if it.found]
        return min(firsts, key=lambda found: found[1].t, default=None)

    def silent(self) -> list[str]:
        """The nodes of which nothing was seen."""
        return [name for name, node in self.nodes.items() if not node.booted]

    def lacks(self, name: str) -> str | None:
        """Why the traces cannot prove a promise, however well it looks; None when they can."""
        if name == "log-matching" and self._matching.without_sums:
            return "a trace of version 1 does not say what entries carry"
        return None

    def finish(self) -> None:
        """No more lines come."""
        self._states.finish()

    def line(self, line: TraceLine) -> None:
        """One event. Unknown kinds are passed over.

        Raises:
            TraceDamage: it cannot be, whatever the node did; nothing after it proves anything.
            KeyError, TypeError, ValueError: its fields have another shape.
        """
        self.lines += 1
        t, fields = line.t, line.fields
        node = self.nodes.get(line.node)
        if node is None or not (node.booted or line.e == "boot"):
            raise TraceDamage(f"the trace of {line.node} does not begin with a boot")
        match line.e:
            case "commit":
                self._commits(t, node, _number(fields["index"]), _number(fields["term"]))
            case "apply":
                self._applies(t, node, _number(fields["index"]), fields.get("states", ()))
            case "durable":
                runs, sums = _runs(fields["log"]), _text(fields.get("sums"))
                self._wrote(t, node, _number(fields["from"]), runs, sums)
            case "ack":
                index, term = _number(fields["index"]), _number(fields["term"])
                self._majority.acknowledged(t, node, index, term)
            case "role":
                self._entered(t, node, _number(fields["term"]), fields["role"])
            case "vote":
                self._voted(t, node, _number(fields["term"]), _text(fields["vote"]))
            case "snapshot":
                index, term = _number(fields["index"]), _number(fields["term"])
                node.log.compact(index, term)
                self._completeness.committed(t, node, index, term)
            case "config":
                node.use(_number(fields["index"]), _names(fields["voters"]))
            case "boot":
                self._boots(t, node, fields)

    def _boots(self, t: int, node: NodeView, fields: Mapping[str, Any]) -> None:
        version = fields.get("version")
        if version not in VERSIONS:
            raise TraceDamage(f"{node.name}: trace version {version!r} is not known here")
        index, snapshot_term = (_number(number) for number in fields["snapshot"])
        runs, sums = _runs(fields["log"]), _text(fields.get("sums"))
        term, vote = _number(fields["term"]), _text(fields["vote"])
        node.born(_number(fields.get("identity", 0)))
        self._monotonic.booted(t, node, term, vote, runs)
        self._elections.booted(node, term)
        node.booted = True
        node.log.start(index, snapshot_term, runs, sums)
        node.term = node.kept_term = term
        node.kept_vote = vote
        node.commit = node.applied = index
        node.configs.clear()
        if "config" in fields:
            at, voters = fields["config"]
            node.use(_number(at), _names(voters))
        self._matching.wrote(t, node, node.log.base + 1)
        self._completeness.committed(t, node, index, snapshot_term)
        if index and "state" in fields:
            self._states.shown(t, node, index, str(fields["state"]))

    def _wrote(self, t: int, node: NodeView, start: int, runs: list[Run], sums: str | None) -> None:
        self._completeness.replaces(t, node, start, runs)
        node.log.replace_from(start, runs, sums)
        self._matching.wrote(t, node, start)

    def _entered(self, t: int, node: NodeView, term: int, role: object) -> None:
        self._monotonic.entered(t, node, term)
        self._elections.entered(t, node, term, role)
        node.term = term
        if role == "leader":
            self._leader.elected(t, node, term)
            self._completeness.elected(t, node, term)
            if term > node.kept_term:
                # It counted its own vote, which must be durable, whether it said so or not.
                node.kept_term, node.kept_vote = term, None

    def _voted(self, t: int, node: NodeView, term: int, vote: str | None) -> None:
        self._monotonic.voted(t, node, term, vote)
        self._elections.heard(node.name, term)
        node.kept_term, node.kept_vote = term, vote

    def _commits(self, t: int, node: NodeView, index: int, term: int) -> None:
        self._monotonic.committed(t, node, index, term)
        node.commit = index
        self._completeness.committed(t, node, index, term)

    def _applies(self, t: int, node: NodeView, index: int, states: Iterable[Sequence[Any]]) -> None:
        self._monotonic.applied(t, node, index)
        node.applied = index
        for at, state in states:
            self._states.shown(t, node, _number(at), str(state))


def _runs(data: Any) -> list[Run]:
    return [(_number(first), _number(last), _number(term)) for first, last, term in data]


def _number(data: Any) -> int:
    if type(data) is not int:
        raise TypeError(f"{data!r} is no whole number")
    return data


def _text(data: Any) -> str | None:
    if data is not None and type(data) is not str:
        raise TypeError(f"{data!r} is no text")
    return data


def _names(data: Any) -> tuple[str, ...]:
    if type(data) is not list or not all(type(name) is str for name in data):
        raise TypeError(f"{data!r} are no names")
    return tuple(data)
