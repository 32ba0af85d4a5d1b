"""A whole cluster in memory: pure nodes, a network that is a list, disks that forget.

A disk forgets what was not synced. Nothing happens by itself: whoever holds the world delivers
messages, syncs disks, lets time go on, crashes and restarts nodes. What a node says of itself is
checked against the invariants of the dissertation's figure 3.2 at every step, and a breach raises
:class:`Breach`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from target.events import (
    Answer,
    Change,
    Compact,
    Effect,
    Event,
    PeerMessage,
    Persisted,
    Read,
    Received,
    Reply,
    Send,
    Transfer,
    Unreachable,
    Write,
)
from target.node import Boot, Node, NodeConfig
from target.raft.duties import Config, Role, Save
from target.raft.messages import Entry, HardState, Snapshot
from target.wire import Hello, Unframer, frame, parse


class Breach(AssertionError):
    """An invariant does not hold. The message begins with its name."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message under way."""

    sender: str
    receiver: str
    message: PeerMessage


@dataclass(slots=True)
class Disk:
    """What survives a crash, and the saves that would not. As :class:`Storage`, without bytes."""

    hard: HardState = field(default_factory=HardState)
    snapshot: Snapshot = field(default_factory=Snapshot)
    entries: list[Entry] = field(default_factory=list)
    pending: list[Save] = field(default_factory=list)
    identity: int = 0

    def sync(self, count: int) -> int:
        """Makes the first pending saves durable; the last one's number, 0 if there are none."""
        seq = 0
        for save in self.pending[:count]:
            if save.snapshot is not None:
                self.snapshot = save.snapshot
            if save.reset:
                self.entries.clear()
            if save.hard is not None:
                self.hard = save.hard
            for entry in save.entries:
                self.entries = [it for it in self.entries if it.index < entry.index] + [entry]
            seq = save.seq
        del self.pending[:count]
        return seq

    def boot(self) -> Boot:
        """What a restarted node finds."""
        after = [entry for entry in self.entries if entry.index > self.snapshot.index]
        return Boot(self.hard, self.snapshot, after, self.identity)


class Invariants:
    """What must hold over all nodes and all times."""

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}
        self.placed: dict[tuple[int, int], tuple[bytes, int | None]] = {}
        self.committed: dict[int, tuple[int, bytes]] = {}
        self.settled: dict[int, int] = {}
        """By index: a term in which the entry was known to be committed."""
        self.states: dict[int, str] = {}
        self.seen: dict[str, tuple[int, int]] = {}

    def look(self, name: str, node: Node) -> None:
        """After every event of a node."""
        raft = node.raft
        term, commit = self.seen.get(name, (0, 0))
        if raft.term < term or raft.commit < commit:
            raise Breach(f"I5 {name} went back to term {raft.term}, commit {raft.commit}")
        self.seen[name] = raft.term, raft.commit
        self._look_at_log(name, node, commit)
        if raft.role is Role.LEADER:
            if self.leaders.setdefault(raft.term, name) != name:
                raise Breach(f"I1 {name} and {self.leaders[raft.term]} lead term {raft.term}")
            for index, (own, _) in self.committed.items():
                later = raft.term > self.settled[index] and index > raft.log.base
                if later and raft.log.term(index) != own:
                    raise Breach(f"I3 {name} leads term {raft.term} without committed {index}")
        digest = node.machine.digest()
        if self.states.setdefault(node.applied, digest) != digest:
            raise Breach(f"I4 {name} has another state at {node.applied}")

    def _look_at_log(self, name: str, node: Node, commit: int) -> None:
        log = node.raft.log
        for index in range(max(log.base, commit) + 1, log.last + 1):
            entry, before = log.entry(index), log.term(index - 1)
            placed = self.placed.setdefault((index, entry.term), (entry.data, before))
            if placed != (entry.data, before):
                raise Breach(f"I2 {name} has another entry at {index} in term {entry.term}")
            if index <= node.raft.commit:
                self.settled.setdefault(index, node.raft.term)
                there = self.committed.setdefault(index, (entry.term, entry.data))
                if there != (entry.term, entry.data):
                    raise Breach(f"I3 {name} commits another entry at {index}")


class World:
    """See the module's text. Times in milliseconds. ``raft`` adapts every node's Config."""

    def __init__(
        self,
        timeouts: dict[str, tuple[int, int]],
        *,
        bugs: Iterable[str] = (),
        seed: int = 0,
        snapshot_entries: int = 1_000_000,
        raft: Callable[[Config], Config] | None = None,
        disks: dict[str, Disk] | None = None,
        identified: bool = False,
    ) -> None:
        """With ``identified`` disks can be lost."""
        self.now_ms = 0
        self.wires: list[Envelope] = []
        self.blocked: set[tuple[str, str]] = set()
        self.nodes: dict[str, Node] = {}
        self.disks = {name: (disks or {}).get(name, Disk()) for name in timeouts}
        self.replies: dict[int, Answer] = {}
        self.events: list[tuple[str, Effect]] = []
        self.invariants = Invariants()
        self._refs = 0
        self._lives = 0
        self._seed = seed
        self._identified = identified
        self._same = "old-identity" in bugs
        lease = min(low for low, _ in timeouts.values())
        shared = Config("", tuple(timeouts), (0, 0), lease, bugs=frozenset(bugs))
        if raft is not None:
            shared = raft(shared)
        self._configs = {
            name: NodeConfig(
                replace(shared, name=name, election_ms=range_),
                hold_ms=400,
                forward_ms=800,
                write_ms=2_000,
                snapshot_entries=snapshot_entries,
            )
            for name, range_ in timeouts.items()
        }
        for name in timeouts:
            self.restart(name)

    # -- lives ----------------------------------------------------------------------------------

    def restart(self, name: str) -> None:
        """Starts a node from its disk."""
        self._lives += 1
        config = replace(self._configs[name], incarnation=self._lives << 32)
        rng = random.Random(f"{self._seed}/{name}/{self._lives}")
        self.invariants.seen.pop(name, None)
        if self._identified and not self.disks[name].identity:
            self.disks[name].identity = 1 if self._same else 1 + self._lives
        self.nodes[name] = Node(config, self.disks[name].boot(), rng, self.now_ms)
        self.act(name)

    def crash(self, name: str, keep: int = 0) -> None:
        """Ends a node; of its unsynced saves the first ``keep`` had reached the disk."""
        del self.nodes[name]
        self.disks[name].sync(keep)
        self.disks[name].pending.clear()

    def lose_disk(self, name: str) -> None:
        """Ends a node if it lives, and all that it had goes."""
        self.nodes.pop(name, None)
        self.disks[name] = Disk()

    # -- what happens ---------------------------------------------------------------------------

    def act(self, name: str, *events: Event) -> None:
        """Lets a node handle events, and takes its effects."""
        node = self.nodes[name]
        for effect in node.handle(self.now_ms, events):
            match effect:
                case Save():
                    self.disks[name].pending.append(effect)
                case Send(to, message):
                    for receiver in to:
                        self.send(name, receiver, message)
                case Reply(ref, answer):
                    if ref in self.replies:
                        raise Breach(f"{name} answered request {ref} twice")
                    self.replies[ref] = answer
                case _:
                    pass
            self.events.append((name, effect))
        self.invariants.look(name, node)

    def send(self, sender: str, receiver: str, message: PeerMessage) -> None:
        """Onto the wire, through the codec that real nodes use."""
        if (sender, receiver) in self.blocked:
            return
        (payload,) = Unframer().feed(frame(message))
        arrived = parse(payload)
        assert arrived == message
        assert not isinstance(arrived, Hello)
        self.wires.append(Envelope(sender, receiver, arrived))

    def sync(self, name: str, count: int | None = None) -> None:
        """The disk is done with the first ``count`` saves, or all."""
        disk = self.disks[name]
        seq = disk.sync(len(disk.pending) if count is None else count)
        if seq:
            self.act(name, Persisted(seq))

    def deliver(self, place: int = 0, *, keep: bool = False) -> Envelope:
        """A message arrives, at a node that lives; with ``keep`` it will arrive again."""
        envelope = self.wires[place] if keep else self.wires.pop(place)
        cut = (envelope.sender, envelope.receiver) in self.blocked
        if envelope.receiver in self.nodes and not cut:
            self.act(envelope.receiver, Received(envelope.sender, envelope.message))
        return envelope

    def advance(self, ms: int) -> None:
        """Time goes on by so much for all nodes at once."""
        self.now_ms += ms
        for name in list(self.nodes):
            self.act(name)

    def settle(self, limit: int = 10_000) -> None:
        """Syncs and delivers, in order, until nothing is left to do at this time."""
        for _ in range(limit):
            busy = [name for name in self.nodes if self.disks[name].pending]
            for name in busy:
                self.sync(name)
            if self.wires:
                self.deliver()
            elif not busy:
                return
        raise Breach(f"LV does not settle in {limit} steps")

    def run(self, ms: int, step: int = 5) -> None:
        """Lets a healthy world go on for a while."""
        until = self.now_ms + ms
        self.settle()
        while self.now_ms < until:
            self.advance(min(step, until - self.now_ms))
            self.settle()

    # -- clients --------------------------------------------------------------------------------

    def write(self, name: str, command: bytes) -> int:
        """A client's write at a node; the number under which its answer will be."""
        self._refs += 1
        self.act(name, Write(self._refs, command))
        return self._refs

    def read(self, name: str, key: str) -> int:
        """A client's read."""
        self._refs += 1
        self.act(name, Read(self._refs, key))
        return self._refs

    def transfer(self, name: str, to: str) -> int:
        """Somebody asks a node to hand over."""
        self._refs += 1
        self.act(name, Transfer(self._refs, to))
        return self._refs

    def change(self, name: str, action: str, node: str) -> int:
        """Somebody asks a node for other members."""
        self._refs += 1
        identity = self.disks[node].identity if node in self.disks else 0
        self.act(name, Change(self._refs, action, node, identity))
        return self._refs

    def take_snapshot(self, name: str) -> int:
        """Somebody asks a node to compact its log."""
        self._refs += 1
        self.act(name, Compact(self._refs))
        return self._refs

    def cut(self, sides: Sequence[Sequence[str]]) -> None:
        """Nothing passes between sides any more, what is on its way included."""
        self.blocked = {
            (one, other)
            for side in sides
            for one in side
            for against in sides
            if against is not side
            for other in against
        }
        self.wires = [it for it in self.wires if (it.sender, it.receiver) not in self.blocked]
        for one, other in sorted(self.blocked):
            if one in self.nodes:
                self.act(one, Unreachable(other))

    def heal(self) -> None:
        """Everything passes again."""
        self.blocked = set()

    def leader(self) -> str | None:
        """Who leads the highest term."""
        leading = [
            (node.raft.term, name)
            for name, node in self.nodes.items()
            if node.raft.role is Role.LEADER
        ]
        return max(leading)[1] if leading else None
