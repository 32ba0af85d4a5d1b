"""A world driven by numbers: each decides what happens next.

Clients append, read and retry meanwhile, and somebody changes the members and replaces lost disks,
with the care that an operator has to take: while one disk is lost, nobody else goes. Numbers rather
than a random generator, so that Hypothesis can shrink what it finds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from target.events import Answer
from target.machine import command
from target.raft.duties import Role
from target.raft.membership import Membership
from tests.datadriven.world import Breach, World

KEY = "list"
NOTHING = Answer(error="no answer at all")
NAMES = ("n1", "n2", "n3", "n4", "n5")


@dataclass(slots=True)
class Session:
    """A client: one append at a time, sent again in its session while its fate is unknown."""

    name: str
    seq: int = 0
    ref: int | None = None
    element: str = ""
    doubt: bool = False

    @property
    def free(self) -> bool:
        return not self.element


@dataclass(slots=True)
class Ledger:
    """What clients were told."""

    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    longest: tuple[str, ...] = ()


class Chaos:
    """See the module's text. Raises :class:`Breach` for every promise that is not kept."""

    def __init__(
        self, nodes: int, bugs: Sequence[str] = (), seed: int = 0, *, members: bool = False
    ) -> None:
        """With ``members`` nodes leave, come back, and lose their disks."""
        self.world = World(
            dict.fromkeys(NAMES[:nodes], (100, 300)),
            bugs=bugs,
            seed=seed,
            snapshot_entries=12,
            raft=lambda config: replace(config, trailing=4, batch_entries=2),
            identified=members,
        )
        self.lost: str | None = None
        self.lost_disks = 0
        self.names = NAMES[:nodes]
        self.sessions = [Session(f"s{number}") for number in range(3)]
        self.ledger = Ledger()
        self.reads: dict[int, tuple[set[str], tuple[str, ...]]] = {}
        self._actions: list[tuple[int, Callable[[int], None]]] = [
            (30, self._deliver_any),
            (30, self._deliver_next),
            (4, self._drop),
            (4, self._double),
            (20, self._sync),
            (14, self._advance),
            (16, self._append),
            (8, self._read),
            (3, self._crash),
            (5, self._restart),
            (2, self._cut),
            (2, self._heal),
            (1, self._transfer),
            (8, self._calm),
        ]
        if members:
            self._actions += [(3, self._change), (1, self._lose_disk), (3, self._repair)]
        self._total = sum(weight for weight, _ in self._actions)

    def play(self, decisions: Sequence[int]) -> None:
        """One action for each number."""
        for decision in decisions:
            rest, choice = divmod(decision, self._total)
            for weight, action in self._actions:
                if choice < weight:
                    action(rest)
                    break
                choice -= weight
            self._collect()

    # -- actions --------------------------------------------------------------------------------

    def _alive(self, number: int) -> str | None:
        alive = [name for name in self.names if name in self.world.nodes]
        return alive[number % len(alive)] if alive else None

    def _deliver_any(self, number: int) -> None:
        if self.world.wires:
            self.world.deliver(number % len(self.world.wires))

    def _deliver_next(self, number: int) -> None:
        for _ in range(1 + number % 4):
            if self.world.wires:
                self.world.deliver()

    def _drop(self, number: int) -> None:
        if self.world.wires:
            self.world.wires.pop(number % len(self.world.wires))

    def _double(self, number: int) -> None:
        if self.world.wires:
            self.world.deliver(number % len(self.world.wires), keep=True)

    def _sync(self, number: int) -> None:
        waiting = [name for name in self.names if self.world.disks[name].pending]
        waiting = [name for name in waiting if name in self.world.nodes]
        if waiting:
            self.world.sync(waiting[number % len(waiting)], 1 + number % 3)

    def _advance(self, number: int) -> None:
        self.world.advance(number % 60)

    def _calm(self, number: int) -> None:
        """For a moment all goes well, so that the cluster gets somewhere."""
        for _ in range(number % 40):
            for name in list(self.world.nodes):
                self.world.sync(name)
            if self.world.wires:
                self.world.deliver()

    def _append(self, number: int) -> None:
        session = self.sessions[number % len(self.sessions)]
        name = self._alive(number // 3)
        if name is None or session.ref is not None:
            return
        if session.free:
            session.seq += 1
            session.element = f"{session.name}.{session.seq}"
            session.doubt = False
        data = command("append", KEY, session.element, session.name, session.seq)
        session.ref = self.world.write(name, data)

    def _read(self, number: int) -> None:
        name = self._alive(number)
        if name is not None:
            before = set(self.ledger.acknowledged), self.ledger.longest
            self.reads[self.world.read(name, KEY)] = before

    def _crash(self, number: int) -> None:
        name = self._alive(number)
        if name is not None:
            pending = len(self.world.disks[name].pending)
            self.world.crash(name, keep=(number // 8) % (pending + 1))
            for session in self.sessions:
                session.doubt = session.doubt or not session.free
                session.ref = None  # clients of a dead node know nothing; of others, they wait

    def _restart(self, number: int) -> None:
        down = [name for name in self.names if name not in self.world.nodes]
        if down:
            self.world.restart(down[number % len(down)])

    def _cut(self, number: int) -> None:
        order = random.Random(number).sample(self.names, len(self.names))
        size = 1 + number % max(1, len(order) // 2)
        self.world.cut((order[:size], order[size:]))

    def _heal(self, _: int) -> None:
        self.world.heal()

    def _transfer(self, number: int) -> None:
        name = self.world.leader()
        if name is not None:
            self.world.transfer(name, self.names[number % len(self.names)])

    # -- members --------------------------------------------------------------------------------

    def _change(self, number: int) -> None:
        """Whoever takes itself for the leader is asked, also one that leads no more."""
        leading = [
            name
            for name in self.names
            if name in self.world.nodes and self.world.nodes[name].raft.role is Role.LEADER
        ]
        if not leading or self.lost is not None:
            return
        name = leading[number % len(leading)]
        action = ("remove", "learner", "promote", "promote")[number // 3 % 4]
        # One that is out comes in first: few would be left otherwise.
        told = self.world.nodes[name].raft.members.told
        out = [node for node in self.names if node not in told]
        node = self.names[number // 12 % len(self.names)]
        if out and action == "learner":
            node = out[0]
        if action == "promote":
            node = next((it for it in told if told[it] == "learner"), node)
        self.world.change(name, action, node)

    def _lose_disk(self, number: int) -> None:
        """Where every configuration that anybody knows can do without it."""
        name = self.names[number % len(self.names)]
        memberships = [node.raft.members for node in self.world.nodes.values()]
        ready = len(memberships) == len(self.names) and all(
            it.settled and (len(it.voters) > 2 or name not in it.voters) for it in memberships
        )
        if self.lost is None and ready and all(self._is_whole(it) for it in memberships):
            self.lost = name
            self.lost_disks += 1
            self.world.lose_disk(name)
            for session in self.sessions:
                session.doubt = session.doubt or not session.free
                session.ref = None
            self.world.restart(name)

    def _is_whole(self, members: Membership) -> bool:
        """It has nobody who is not the one that it means."""
        disks = self.world.disks
        return all(it.identity == disks[it.name].identity for it in members.current.members)

    def _repair(self, _: int) -> None:
        """The next step to all being voters again."""
        leader = self.world.leader()
        if leader is None:
            return
        members = self.world.nodes[leader].raft.members
        for name in self.names:
            there = members.current.member(name)
            if there is not None and there.identity != self.world.disks[name].identity:
                self.world.change(leader, "remove", name)
                return
        for name in self.names:
            if members.told.get(name) != "voter":
                action = "promote" if name in members.told else "learner"
                self.world.change(leader, action, name)
                return
        if all(self._is_whole(it.raft.members) for it in self.world.nodes.values()):
            self.lost = None

    # -- what clients are told ------------------------------------------------------------------

    def _collect(self) -> None:
        for session in self.sessions:
            if session.ref is not None and session.ref in self.world.replies:
                self._ended(session, self.world.replies[session.ref])
        for ref in [ref for ref in self.reads if ref in self.world.replies]:
            self._seen(*self.reads.pop(ref), self.world.replies[ref])

    def _ended(self, session: Session, answer: Answer) -> None:
        session.ref = None
        if answer.error is None:
            self.ledger.acknowledged.append(session.element)
            session.element = ""
        elif not answer.definite:
            session.doubt = True
        elif not session.doubt:
            self.ledger.refused.append(session.element)
            session.element = ""

    def _seen(self, before: set[str], longest: tuple[str, ...], answer: Answer) -> None:
        if answer.error is not None:
            return
        value = answer.value
        assert isinstance(value, tuple | None)
        seen: tuple[str, ...] = value or ()
        if not before.issubset(seen):
            raise Breach(f"LIN a read lacks {sorted(before.difference(seen))}")
        if seen[: len(longest)] != longest:
            raise Breach("LIN a read went back behind an earlier one")
        if len(seen) > len(self.ledger.longest):
            self.ledger.longest = seen

    # -- the end --------------------------------------------------------------------------------

    def finish(self) -> None:
        """All is well again: the cluster must be live, agree, and have kept its promises."""
        self.world.heal()
        for name in self.names:
            if name not in self.world.nodes:
                self.world.restart(name)
        self.world.run(4_000, step=10)
        self._collect()
        if self.world.leader() is None:
            raise Breach("LV no leader 4 s after all was well again")
        self._all_members()
        finals = {}
        for name in self.names:
            self.reads[ref := self.world.read(name, KEY)] = (
                set(self.ledger.acknowledged),
                self.ledger.longest,
            )
            self.world.run(1_000, step=10)
            answer = self.world.replies.get(ref, NOTHING)
            if answer.error is not None:
                raise Breach(f"LV {name} does not serve a read: {answer.error}")
            finals[name] = answer.value
            self._collect()
        if len(set(finals.values())) != 1:
            raise Breach(f"DIV final reads differ: {finals}")
        final = finals[self.names[0]]
        assert isinstance(final, tuple | None)
        elements = list(final or ())
        if len(elements) != len(set(elements)):
            raise Breach(f"APP an element is there twice: {elements}")
        if came := set(self.ledger.refused) & set(elements):
            raise Breach(f"FAIL refused for sure, and there: {sorted(came)}")

    def _all_members(self) -> None:
        for _ in range(40):
            if all(
                len(node.raft.members.voters) == len(self.names)
                and self._is_whole(node.raft.members)
                for node in self.world.nodes.values()
            ):
                return
            self._repair(0)
            self.world.run(200, step=10)
        told = {name: node.raft.members.told for name, node in self.world.nodes.items()}
        raise Breach(f"LV not all are members again: {told}")
