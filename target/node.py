"""A node without its world: Raft, the state machine and the clients' requests; still pure.

:meth:`Node.handle` takes the time and a batch of events, and returns effects in the order in which
they are to be carried out. A driver makes every :class:`Save` durable, in order, and says so with
:class:`Persisted`; everything else it does at once. The rules of :mod:`target.raft.core` about what
may be sent when are kept in here: what has to wait for the disk is not returned before.

Requests that find no leader are held for a while, then refused for sure. Requests that may be in
somebody's log and whose fate this node cannot learn are answered as unknown (not definite).
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from target.events import (
    SHOWN_EVERY,
    Acknowledged,
    Answer,
    Applied,
    Change,
    Committed,
    Compact,
    Configured,
    Effect,
    Event,
    Forward,
    Forwarded,
    PeerMessage,
    Persisted,
    Read,
    Received,
    Reply,
    RoleChanged,
    Send,
    Transfer,
    Unreachable,
    Write,
)
from target.machine import BLIND, Machine, Result
from target.raft.core import Raft
from target.raft.duties import Config, Duties, Role
from target.raft.messages import COMMAND, CONFIG, Entry, HardState, Snapshot
from target.requests import (
    NO_LEADER,
    NOT_LEADER,
    SEEN,
    TIMEOUT,
    UNKNOWN,
    Asked,
    Pending,
    decode,
    encode,
)


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Times in milliseconds. ``incarnation`` must grow with every start of the same node: names of
    requests begin there, so that an answer to an earlier life is never taken for one to this."""

    raft: Config
    incarnation: int = 0
    hold_ms: int = 600
    """How long a request waits for a leader, and a read for its answer."""
    forward_ms: int = 2_000
    """How long a forwarded write waits for word from the leader."""
    write_ms: int = 10_000
    """How long a write waits for its quorum."""
    reask_ms: int = 100
    """After so long without an answer a read index is asked for again."""
    again_ms: int = 20
    """How long a refused forward rests before it is tried again."""
    snapshot_entries: int = 10_000
    """So many applied entries after a snapshot another is taken."""


@dataclass(frozen=True, slots=True)
class Boot:
    """What the disk had. ``identity`` is the node's, drawn when the disk was empty."""

    hard: HardState = field(default_factory=HardState)
    snapshot: Snapshot = field(default_factory=Snapshot)
    entries: Sequence[Entry] = ()
    identity: int = 0


class Node:
    """One node. See the module's text."""

    def __init__(self, config: NodeConfig, boot: Boot, rng: random.Random, now_ms: int) -> None:
        self.config = config
        self.bugs = config.raft.bugs
        self.raft = Raft(
            config.raft, boot.hard, boot.snapshot, boot.entries, rng, now_ms, boot.identity
        )
        self.machine = Machine.load(boot.snapshot.data, self.bugs)
        self.applied = boot.snapshot.index
        self._now_ms = now_ms
        self._names = config.incarnation
        self._out: list[Effect] = []
        self._held: deque[Pending] = deque()
        self._writes: dict[int, Pending] = {}
        self._forwards: dict[int, Pending] = {}
        self._reads: list[tuple[int, Read]] = []
        self._asked: dict[int, Asked] = {}
        self._ready: list[tuple[int, list[tuple[int, Read]]]] = []
        self._seen: dict[tuple[str, int], None] = {}
        self._behind_disk: deque[tuple[int, Send]] = deque()
        self._saving = 0
        self._saved = 0
        self._role = ("", -1)
        self._commit = boot.snapshot.index

    @property
    def due_ms(self) -> int:
        """When :meth:`handle` should be called even if nothing happens (for Raft's sake alone:
        clients' time-outs are looked at whenever it is called)."""
        return self.raft.due_ms

    @property
    def busy(self) -> bool:
        """Does somebody wait for an answer? Then :meth:`handle` should be called now and then."""
        writes = self._held or self._writes or self._forwards
        return bool(writes or self._reads or self._asked or self._ready)

    def handle(self, now_ms: int, events: Iterable[Event] = ()) -> list[Effect]:
        """What follows from a batch of events, and from the time."""
        self._now_ms = self.raft.now_ms = max(self._now_ms, now_ms)
        for event in events:
            self._take(event)
        # After the messages: a node that was stopped for a while must not stand for election
        # while the word of its leader lies unread.
        self.raft.tick(self._now_ms)
        self._place_writes()
        self._ask_reads()
        self._carry_out(self.raft.duties())
        if self.applied - self.raft.snapshot.index >= self.config.snapshot_entries:
            self._compact()
            self._carry_out(self.raft.duties())
        self._give_up()
        effects, self._out = self._out, []
        return effects

    # -- events ---------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        match event:
            case Received():
                self._receive(event.sender, event.message)
            case Write():
                due = self._now_ms + self.config.hold_ms
                self._held.append(Pending(event.ref, None, event.command, due))
            case Read():
                self._reads.append((self._now_ms + self.config.hold_ms, event))
            case Persisted():
                self._on_persisted(event.seq)
            case Unreachable(peer):
                self._lose(
                    [name for name, pending in self._forwards.items() if pending.leader == peer]
                )
            case Transfer(ref, to):
                begun = self.raft.transfer(to)
                self._out.append(Reply(ref, Answer(value=to) if begun else NOT_LEADER))
            case Change():
                self._change(event)
            case Compact(ref):
                self._compact()
                self._out.append(Reply(ref, Answer(value=self.raft.snapshot.index)))

    def _receive(self, sender: str, message: PeerMessage) -> None:
        match message:
            case Forward(ref, command):
                if (sender, ref) in self._seen:
                    return  # doubled on its way
                self._seen[sender, ref] = None
                if len(self._seen) > SEEN:
                    del self._seen[next(iter(self._seen))]
                if self.raft.role is Role.LEADER and self.raft.transferee is None:
                    due = self._now_ms + self.config.hold_ms
                    self._held.append(Pending(ref, sender, command, due))
                else:
                    self._out.append(Send((sender,), Forwarded(ref, encode(NOT_LEADER))))
            case Forwarded(ref, answer):
                self._on_forwarded(ref, decode(answer))
            case _:
                self.raft.step(sender, message)

    def _compact(self) -> None:
        """The log up to what was applied becomes a snapshot."""
        index = self.applied - ("snapshot-off-by-one" in self.bugs)
        if index > self.raft.snapshot.index:
            self.raft.compact(index, self.machine.dump())

    def _change(self, event: Change) -> None:
        """Other members: answered, as a write is, when the new configuration is committed."""
        raft = self.raft
        index = raft.change(event.action, event.node, event.identity, event.after)
        match index:
            case str(word):
                self._out.append(Reply(event.ref, Answer(error=word, definite=True)))
            case 0:
                self._out.append(Reply(event.ref, Answer(value=dict(raft.members.told))))
            case int():
                due = self._now_ms + self.config.write_ms
                self._writes[index] = Pending(event.ref, None, b"", due, term=raft.term)

    def _on_persisted(self, seq: int) -> None:
        self._saved = max(self._saved, seq)
        self.raft.saved(seq)
        while self._behind_disk and self._behind_disk[0][0] <= seq:
            self._out.append(self._behind_disk.popleft()[1])
        if "early-ack" in self.bugs:
            self._acknowledge_early()

    def _on_forwarded(self, ref: int, answer: Answer) -> None:
        pending = self._forwards.pop(ref, None)
        if pending is None:
            return
        if answer == NOT_LEADER:
            # For sure in nobody's log: another leader may have it.
            pending.rests_until_ms = self._now_ms + self.config.again_ms
            pending.due_ms = min(pending.due_ms, self._now_ms + self.config.hold_ms)
            self._held.append(pending)
        else:
            self._out.append(Reply(pending.ref, answer))

    def _name(self) -> int:
        self._names += 1
        return self._names

    # -- writes ---------------------------------------------------------------------------------

    def _place_writes(self) -> None:
        """Held writes go into the log here, or to the leader, if there is one."""
        raft = self.raft
        if not self._held:
            return
        if raft.role is Role.LEADER:
            first = raft.propose(COMMAND, [pending.command for pending in self._held])
            if first is not None:
                due = self._now_ms + self.config.write_ms
                for index, pending in enumerate(self._held, first):
                    pending.due_ms = due
                    pending.term = raft.term
                    self._writes[index] = pending
                self._held.clear()
        elif raft.leader is not None:
            resting: deque[Pending] = deque()
            for pending in self._held:
                if pending.rests_until_ms > self._now_ms:
                    resting.append(pending)
                elif pending.peer is None:
                    self._forward(pending, raft.leader)
                else:
                    self._end(pending, NOT_LEADER)
            self._held = resting

    def _forward(self, pending: Pending, leader: str) -> None:
        pending.leader = leader
        pending.due_ms = self._now_ms + self.config.forward_ms
        name = self._name()
        self._forwards[name] = pending
        self._out.append(Send((leader,), Forward(name, pending.command)))

    def _end(self, pending: Pending, answer: Answer) -> None:
        if pending.peer is None:
            self._out.append(Reply(pending.ref, answer))
        else:
            self._out.append(Send((pending.peer,), Forwarded(pending.ref, encode(answer))))

    def _acknowledge(self, pending: Pending, result: Result) -> None:
        if result.error is None:
            self._out.append(Acknowledged(result.index, result.term, result.session, result.seq))
        definite = result.error != "superseded"
        answer = Answer(result.value, result.error, definite, result.index, result.term)
        self._end(pending, answer)

    def _acknowledge_early(self) -> None:
        """The early-ack bug: the own disk is taken for the quorum's."""
        if self.raft.role is not Role.LEADER:
            return
        for index in [index for index in self._writes if index <= self.raft.log.durable]:
            command = self._writes[index].command
            if not command:
                continue
            op, _, _, session, seq = json.loads(command)
            if op in BLIND:  # the answer of any other is known only when it is applied
                pending = self._writes.pop(index)
                self._acknowledge(pending, Result(index, self.raft.term, session, seq))

    def _lose_writes(self) -> None:
        """No longer the leader: what is in the log may be committed by another, or not."""
        writes, self._writes = self._writes, {}
        fate = Answer(error=UNKNOWN.error, definite="fails-then-commits" in self.bugs)
        for pending in writes.values():
            self._end(pending, fate)

    def _lose(self, forwards: Iterable[int]) -> None:
        """Whoever they were sent to may have them or not, and cannot tell any more."""
        for name in forwards:
            self._end(self._forwards.pop(name), UNKNOWN)

    # -- reads ----------------------------------------------------------------------------------

    def _ask_reads(self) -> None:
        """All reads that came in one batch share one read index."""
        if "local-read-follower" in self.bugs and self.raft.role is not Role.LEADER:
            self._serve(self._reads)
            self._reads = []
        if self._reads and self.raft.leader is not None:
            context = self._name()
            self._asked[context] = Asked(self._reads, self._now_ms)
            self._reads = []
            self.raft.read_index(context)

    def _serve(self, reads: list[tuple[int, Read]]) -> None:
        term = self.raft.log.term(self.applied)
        machine = self._as_if_committed() if "dirty-read" in self.bugs else self.machine
        for _, read in reads:
            value = machine.read(read.key)
            if isinstance(value, list):
                value = tuple(value)  # as of now: the machine goes on
            self._out.append(Reply(read.ref, Answer(value, index=self.applied, term=term)))

    def _as_if_committed(self) -> Machine:
        """The dirty-read bug: the state with all that is in this node's log."""
        machine = Machine.load(self.machine.dump(), self.bugs)
        log = self.raft.log
        for entry in log.slice(self.applied + 1, log.last):
            if entry.kind == COMMAND:
                machine.apply(entry.index, entry.term, entry.data)
        return machine

    # -- duties ---------------------------------------------------------------------------------

    def _carry_out(self, duties: Duties) -> None:
        for role, term in duties.roles:
            if self._role != (role.public, term):
                self._role = (role.public, term)
                self._out.append(RoleChanged(role.public, term))
        if duties.config is not None:
            self._out.append(Configured(duties.config.index, duties.config.voters))
        for to, message in duties.now:
            self._out.append(Send(to, message))
        if duties.save is not None:
            self._saving = duties.save.seq
            self._out.append(duties.save)
        for to, message in duties.after:
            if self._saved >= self._saving:
                self._out.append(Send(to, message))
            else:
                self._behind_disk.append((self._saving, Send(to, message)))
        if duties.restore is not None:
            self.machine = Machine.load(duties.restore.data, self.bugs)
            index = self.applied = max(self.applied, duties.restore.index)
            states = ((index, self.machine.fingerprint),)
            self._out.append(Applied(index, duties.restore.term, states))
        self._apply()
        for answer in duties.reads:
            asked = self._asked.pop(answer.context, None)
            if asked is not None and answer.index is None:
                self._reads.extend(asked.reads)
            elif asked is not None and answer.index is not None:
                index = 0 if "read-before-applied" in self.bugs else answer.index
                self._ready.append((index, asked.reads))
        if self._ready:
            waiting = []
            for index, reads in self._ready:
                if index <= self.applied:
                    self._serve(reads)
                else:
                    waiting.append((index, reads))
            self._ready = waiting
        if self._writes and self.raft.role is not Role.LEADER:
            self._lose_writes()
        if self._forwards and self.raft.leader is not None:
            leader = self.raft.leader
            self._lose(
                [name for name, pending in self._forwards.items() if pending.leader != leader]
            )

    def _apply(self) -> None:
        commit, log = self.raft.commit, self.raft.log
        if commit > self._commit:
            self._commit = commit
            self._out.append(Committed(commit, log.term(commit) or 0))
        if commit <= self.applied:
            return
        done: list[tuple[Pending, Result]] = []
        states: list[tuple[int, int]] = []
        for entry in log.slice(self.applied + 1, commit):
            if entry.kind == COMMAND:
                result = self.machine.apply(entry.index, entry.term, entry.data)
                # Another leader's entry may have taken the place of the one waited for.
                pending = self._writes.get(entry.index)
                if pending is not None and pending.term == entry.term:
                    done.append((self._writes.pop(entry.index), result))
                elif self._writes and result.session is not None:
                    done += [(again, result) for again in self._asked_again(entry.data)]
            elif entry.kind == CONFIG and entry.index in self._writes:
                self._changed(entry)
            if entry.index % SHOWN_EVERY == 0 or entry.index == commit:
                states.append((entry.index, self.machine.fingerprint))
        self.applied = commit
        self._out.append(Applied(commit, log.term(commit) or 0, tuple(states)))
        for pending, result in done:
            self._acknowledge(pending, result)

    def _asked_again(self, command: bytes) -> list[Pending]:
        """Writes that are ``command`` once more, under its number in its session: its answer is
        theirs, and their own entries will change nothing (section 6.3). There are some when a
        leader of earlier left an entry whose client has asked this one since."""
        again = [index for index, write in self._writes.items() if write.command == command]
        return [self._writes.pop(index) for index in again]

    def _changed(self, entry: Entry) -> None:
        pending = self._writes[entry.index]
        if pending.term == entry.term:
            del self._writes[entry.index]
            told = dict(self.raft.members.told)
            self._out.append(Reply(pending.ref, Answer(told, None, True, entry.index, entry.term)))

    # -- patience -------------------------------------------------------------------------------

    def _give_up(self) -> None:
        """Ends requests that waited too long. All of a kind wait equally long, so the first in a
        line is the first to be given up."""
        now = self._now_ms
        while self._held and self._held[0].due_ms <= now:
            self._end(self._held.popleft(), NO_LEADER)
        while self._writes and next(iter(self._writes.values())).due_ms <= now:
            self._end(self._writes.pop(next(iter(self._writes))), TIMEOUT)
        while self._forwards and next(iter(self._forwards.values())).due_ms <= now:
            self._end(self._forwards.pop(next(iter(self._forwards))), TIMEOUT)
        if self._asked:
            for context in [
                context
                for context, asked in self._asked.items()
                if now - asked.asked_ms >= self.config.reask_ms
            ]:
                self._reads.extend(self._asked.pop(context).reads)
        if self._reads:
            self._reads = self._patient(self._reads)
        if self._ready:
            patient = [(index, self._patient(reads)) for index, reads in self._ready]
            self._ready = [(index, reads) for index, reads in patient if reads]

    def _patient(self, reads: list[tuple[int, Read]]) -> list[tuple[int, Read]]:
        """Those that can wait longer; the others are refused."""
        now = self._now_ms
        self._out += [Reply(read.ref, NO_LEADER) for due_ms, read in reads if due_ms <= now]
        return [(due_ms, read) for due_ms, read in reads if due_ms > now]
