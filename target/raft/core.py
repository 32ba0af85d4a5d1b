"""One node's Raft: events in, duties out.

Sources: D. Ongaro, *Consensus: Bridging Theory and Practice* (2014): elections and replication
section 3, leadership transfer 3.10, membership 4, compaction 5, reads 6.4, PreVote 9.6.

What whoever drives it has to keep to is in :mod:`target.raft.duties`.
"""

from __future__ import annotations

from collections.abc import Sequence

from target.raft import quorum
from target.raft.duties import Duties, ReadIndex, Role, Save
from target.raft.messages import (
    CONFIG,
    NOOP,
    Append,
    AppendReply,
    Entry,
    HardState,
    InstallSnapshot,
    Message,
    ReadAsk,
    ReadReply,
    RequestVote,
    Snapshot,
    SnapshotReply,
    Termed,
    TimeoutNow,
    VoteReply,
)
from target.raft.progress import Mode, Progress
from target.raft.reads import WaitingRead
from target.raft.state import State

BATCH_BYTES = 1 << 20
WINDOW = 64
"""Messages of entries under way to one follower."""
PIECE_BYTES = 512 << 10
"""Of a snapshot, in one message."""
LONG_LEASE_MS = 2_000
"""Of the lease-too-long bug: longer than others need to elect another leader."""


class Raft(State):
    """The rules that change the state of figure 3.1."""

    # -- what the driver calls ------------------------------------------------------------------

    @property
    def due_ms(self) -> int:
        """When :meth:`tick` will have something to do."""
        if self.role is not Role.LEADER:
            return self._election_due_ms
        return min(self._heartbeat_due_ms, self._quorum_due_ms)

    def tick(self, now_ms: int) -> None:
        """Time went on."""
        self.now_ms = max(self.now_ms, now_ms)
        if self.role is not Role.LEADER:
            if self.now_ms >= self._election_due_ms:
                self._campaign(transfer=False)
            return
        if self.now_ms >= self._quorum_due_ms:
            self._check_quorum()
        if self.role is Role.LEADER and self.now_ms >= self._heartbeat_due_ms:
            if self.transferee is not None and self.now_ms >= self._transfer_due_ms:
                self.transferee = None
            self._broadcast()

    def propose(self, kind: int, commands: Sequence[bytes]) -> int | None:
        """Appends commands; the index of the first, or None when this node cannot take them now.

        None is definite: nothing was appended anywhere.
        """
        if self.role is not Role.LEADER or self.transferee is not None:
            return None
        first = self.log.last + 1
        for place, data in enumerate(commands):
            self.log.append(Entry(first + place, self.term, kind, data))
        return first

    def read_index(self, context: int) -> None:
        """Asks for the index at which reads of ``context`` are linearizable (section 6.4).

        The answer comes with the duties, at once or later, or never when a message got lost.
        """
        if self.role is Role.LEADER:
            self._read(context, None)
        elif self.leader is not None:
            self._duties.now.append(((self.leader,), ReadAsk(context)))
        else:
            self._duties.reads.append(ReadIndex(context, None))

    def transfer(self, to: str) -> bool:
        """Hands leadership over (section 3.10); False when this node cannot."""
        if self.role is not Role.LEADER or to not in self.members.others:
            return False
        self.transferee = to
        self._transfer_due_ms = self.now_ms + self.config.election_ms[1]
        self._hand_over(to)
        return True

    def compact(self, index: int, data: bytes) -> None:
        """The state after ``index`` (applied) is ``data``; the log before it can go."""
        term = self.log.term(index)
        assert term is not None and self.snapshot.index < index <= self.commit
        config = self.members.compact(index)
        self.snapshot = self._snapshot_unsaved = Snapshot(index, term, data, config)
        self.log.compact(max(self.log.base, index - self.config.trailing))

    def saved(self, seq: int) -> None:
        """The save ``seq``, and all before it, are durable."""
        self.log.saved(seq)
        if self._vote_seq is not None and seq >= self._vote_seq:
            self._vote_seq = None
            self._count(self.name, granted=True)
        if self.role is Role.LEADER:
            self._advance_commit()

    def step(self, sender: str, message: Message) -> None:
        """A message arrived."""
        match message:
            case ReadAsk(context):
                if self.role is Role.LEADER:
                    self._read(context, sender)
            case ReadReply(context, index):
                self._duties.reads.append(ReadIndex(context, index))
            case _:
                if self._in_term(sender, message):
                    self._step(sender, message)

    def duties(self) -> Duties:
        """All there is to do since the last call."""
        if self.role is Role.LEADER:
            if self._reads.unasked:
                self._broadcast()
            elif self._stirred or self.log.last != self._sent:
                self._replicate()
        duties, self._duties = self._duties, Duties()
        hard = HardState(self.term, self.vote)
        fresh = hard != self._hard_saved
        if fresh or self._snapshot_unsaved or self.log.unsaved <= self.log.last:
            self._seq += 1
            entries = self.log.saving(self._seq)
            kept = fresh and "vote-not-persisted" not in self._bugs
            duties.save = Save(
                self._seq, hard if kept else None, entries, self._snapshot_unsaved, self._reset
            )
            self._hard_saved = hard
            self._snapshot_unsaved = None
            self._reset = False
        if self._vote_seq == 0:
            self._vote_seq = self._seq
        return duties

    # -- terms ----------------------------------------------------------------------------------

    def _in_term(self, sender: str, message: Termed) -> bool:
        """Is the message of this term, perhaps after following it into a later one? (3.3)"""
        if message.term > self.term:
            if self.role is Role.LEADER and "no-step-down" in self._bugs:
                self.term, self.vote = message.term, None
                return True
            match message:
                case RequestVote(transfer=False) if self._shields_leader():
                    return False
                case RequestVote(pre=True) | VoteReply(pre=True, granted=True):
                    return True
                case Append() | InstallSnapshot():
                    self._follow(message.term, sender)
                case _:
                    self._follow(message.term, None)
        elif message.term < self.term:
            # The sender lives in the past; tell it, or it may never hear of this term.
            match message:
                case Append() | InstallSnapshot():
                    self._disagree(sender, 0, 0, 0, message.round)
                case RequestVote():
                    self._answer_vote(sender, self.term, granted=False, pre=message.pre)
                case _:
                    pass
            return False
        return True

    def _shields_leader(self) -> bool:
        """A leader was heard of within the shortest time-out: nobody can need another (4.2.3)."""
        if self.role is Role.LEADER:
            return True
        return self.leader is not None and self.now_ms - self._heard_ms < self.config.lease_ms

    def _follow(self, term: int, leader: str | None) -> None:
        """Into ``term`` as a follower. Within a term the vote is kept: it was given."""
        if term > self.term:
            self.term = term
            self.vote = None
        if self.role is Role.LEADER:
            # All others go on waiting as they did: a candidate that cannot win must not keep
            # one that can from its turn.
            self._wait_for_election()
        self._become(Role.FOLLOWER)
        self.leader = leader

    def _become(self, role: Role) -> None:
        if role is Role.FOLLOWER and "vote-forgotten" in self._bugs:
            self.vote = None
        self.role = role
        self.transferee = None
        self._votes = {}
        self._vote_seq = None
        self.peers = {}
        self._voters = ()
        self._duties.reads += [ReadIndex(context, None) for context in self._reads.leave()]
        self._duties.roles.append((role, self.term))

    def _after(self, to: str, message: Message) -> None:
        self._duties.after.append(((to,), message))

    def _step(self, sender: str, message: Termed) -> None:
        match message:
            case RequestVote():
                self._on_request_vote(sender, message)
            case VoteReply():
                self._on_vote_reply(sender, message)
            case Append():
                self._hear(sender)
                self._on_append(sender, message)
            case InstallSnapshot():
                self._hear(sender)
                self._on_install_snapshot(sender, message)
            case AppendReply() if (peer := self._peer(sender, message.identity)) is not None:
                self._on_append_reply(peer, message)
                if sender == self.transferee:
                    self._hand_over(sender)
            case SnapshotReply() if (peer := self._peer(sender, message.identity)) is not None:
                self._on_snapshot_reply(peer, message)
            case TimeoutNow() if self.role is not Role.LEADER:
                self._campaign(transfer=True)
            case _:
                pass  # an answer to a question of an earlier life, or to one of another's

    # -- elections ------------------------------------------------------------------------------

    def _campaign(self, *, transfer: bool) -> None:
        """Asks whether it would win, or for votes at once when the leader asked for that."""
        self.leader = None
        self._wait_for_election()
        if not self.members.may_stand(self.commit):
            return
        if transfer or "no-prevote" in self._bugs:
            self._stand(transfer=transfer)
            return
        self._become(Role.PRE_CANDIDATE)
        self._ask_votes(self.term + 1, pre=True, transfer=False)
        if self.voting:
            self._count(self.name, granted=True)

    def _stand(self, *, transfer: bool) -> None:
        """A candidate of a new term (section 3.4). Its own vote counts once it is durable."""
        self.term += 1
        self.vote = self.name
        self._become(Role.CANDIDATE)
        self._wait_for_election()
        if self.voting:
            self._vote_seq = 0
        self._ask_votes(self.term, pre=False, transfer=transfer)

    def _ask_votes(self, term: int, *, pre: bool, transfer: bool) -> None:
        if self.others:
            question = RequestVote(term, self.log.last, self.log.last_term, pre, transfer)
            self._duties.after.append((self.others, question))

    def _on_request_vote(self, sender: str, message: RequestVote) -> None:
        current = (message.last_term, message.last_index) >= (self.log.last_term, self.log.last)
        if "vote-behind-log" in self._bugs:
            current = True
        if message.pre:
            granted = current and message.term > self.term and not self._shields_leader()
            term = message.term if granted else self.term
            self._answer_vote(sender, term, granted=granted, pre=True)
            return
        if granted := current and self.vote in (None, sender):
            self.vote = sender
            self._wait_for_election()
        self._answer_vote(sender, self.term, granted=granted, pre=False)

    def _answer_vote(self, sender: str, term: int, *, granted: bool, pre: bool) -> None:
        self._after(sender, VoteReply(term, granted, pre, self._identity))

    def _on_vote_reply(self, sender: str, message: VoteReply) -> None:
        if not self.members.counts(sender, message.identity):
            return
        asked = self.term + 1 if message.pre and message.granted else self.term
        role = Role.PRE_CANDIDATE if message.pre else Role.CANDIDATE
        if self.role is role and message.term == asked:
            self._count(sender, message.granted)

    def _count(self, voter: str, granted: bool) -> None:
        self._votes[voter] = granted
        match quorum.tally(self._votes, len(self.members.voters), self.quorum), self.role:
            case True, Role.PRE_CANDIDATE:
                self._stand(transfer=False)
            case True, Role.CANDIDATE:
                self._lead()
            case False, _:
                self._follow(self.term, None)
            case _:
                pass

    def _lead(self) -> None:
        """Leader of the term. Its first entry is empty: only entries of the own term are
        committed by counting, and all before them with them (section 3.6.2)."""
        self._become(Role.LEADER)
        self.leader = self.name
        self._lead_members()
        self._quorum_due_ms = self.now_ms + self.config.election_ms[1]
        self.propose(NOOP, [b""])
        self._broadcast()

    def _check_quorum(self) -> None:
        """A leader that no quorum answers steps down, so that its clients look elsewhere (6.2)."""
        active = self.voting + sum(peer.active for peer in self._voters)
        for peer in self.peers.values():
            peer.active = False
        self._quorum_due_ms = self.now_ms + self.config.election_ms[1]
        if active < self.quorum and "no-step-down" not in self._bugs:
            self._follow(self.term, None)

    def _hand_over(self, to: str) -> None:
        if self.peers[to].match == self.log.last:
            self._duties.now.append(((to,), TimeoutNow(self.term)))

    # -- the leader's side of the log -----------------------------------------------------------

    def _broadcast(self) -> None:
        """To everybody, entries or not: the heartbeat, and the question behind a read index."""
        self.round += 1
        self._reads.unasked = False
        self._heartbeat_due_ms = self.now_ms + self.config.heartbeat_ms
        for peer in self.peers.values():
            peer.waiting = False
        if not self.members.settled:
            self._settle()
        self._replicate(heartbeat=True)
        self._confirm_reads()

    def _replicate(self, *, heartbeat: bool = False) -> None:
        """Sends what each follower lacks. A commit alone waits for the next heartbeat. What goes to
        all is as good as one: the next is due an interval later."""
        self._stirred, self._sent = False, self.log.last
        made: dict[tuple[int, int], Append] = {}
        to: dict[tuple[int, int], list[str]] = {}
        for name, peer in self.peers.items():
            if self.log.term(peer.next - 1) is None:
                self._send_snapshot(name, peer, heartbeat=heartbeat)
                continue
            must = heartbeat
            while (message := self._message_for(peer, made, must=must)) is not None:
                to.setdefault((message.prev_index, len(message.entries)), []).append(name)
                must = False
        if len({name for names in to.values() for name in names}) == len(self.peers):
            self._heartbeat_due_ms = self.now_ms + self.config.heartbeat_ms
        for key in sorted(made):  # by index, so that each follower gets them in order
            self._duties.now.append((tuple(to[key]), made[key]))

    def _message_for(
        self, peer: Progress, made: dict[tuple[int, int], Append], *, must: bool
    ) -> Append | None:
        """The next message for a follower, shared with the others that need the same."""
        prev = peer.next - 1
        free = len(peer.inflight) < WINDOW if peer.mode is Mode.REPLICATE else not peer.waiting
        entries: tuple[Entry, ...] = ()
        if free and peer.next <= self.log.last:
            entries = self.log.window(peer.next, self.config.batch_entries, BATCH_BYTES)
        if not (entries or must):
            return None
        key = (prev, len(entries))
        if key not in made:
            prev_term = self.log.term(prev)
            assert prev_term is not None
            made[key] = Append(self.term, prev, prev_term, self.commit, self.round, entries)
        if peer.mode is Mode.PROBE:
            peer.waiting = True
        elif entries:
            peer.next += len(entries)
            peer.inflight.append(peer.next - 1)
        return made[key]

    def _send_snapshot(self, name: str, peer: Progress, *, heartbeat: bool) -> None:
        """The next piece to a follower whose entries were compacted; again when it got lost."""
        if heartbeat:  # says nothing of the log, and still: I lead
            self._duties.now.append(((name,), Append(self.term, 0, 0, 0, self.round, ())))
        if peer.mode is not Mode.SNAPSHOT or peer.snapshot_index != self.snapshot.index:
            peer.mode, peer.snapshot_index = Mode.SNAPSHOT, self.snapshot.index
            peer.offset = peer.resend_ms = 0
        if self.now_ms < peer.resend_ms:
            return
        peer.resend_ms = self.now_ms + 5 * self.config.heartbeat_ms
        piece = self.snapshot.piece(self.term, peer.offset, PIECE_BYTES, self.round)
        self._duties.now.append(((name,), piece))

    def _on_append_reply(self, peer: Progress, message: AppendReply) -> None:
        peer.active = True
        settled = message.ok and peer.mode is Mode.REPLICATE and peer.next > self.log.last
        self._stirred = self._stirred or not settled
        if message.ok:
            peer.matched(message.match)
            if peer.mode is not Mode.REPLICATE and self.log.term(peer.match) is not None:
                peer.replicate()
            if peer.match > self.commit:
                self._advance_commit()
                if self.role is not Role.LEADER:
                    return
        elif peer.mode is Mode.REPLICATE:
            if message.prev > peer.match:  # else it is older than what we know
                self._back_up(peer, message)
        elif peer.mode is Mode.PROBE and message.prev == peer.next - 1:
            self._back_up(peer, message)
        self._answered(peer, message.round)

    def _back_up(self, peer: Progress, message: AppendReply) -> None:
        """Skips all entries of terms that the follower cannot have (section 3.5, the hint)."""
        following = self.log.agreement(message.match, message.hint_term) + 1
        peer.probe(min(message.prev, following))

    def _on_snapshot_reply(self, peer: Progress, message: SnapshotReply) -> None:
        peer.active = self._stirred = True
        if peer.mode is Mode.SNAPSHOT and message.index == peer.snapshot_index:
            peer.offset, peer.resend_ms = message.offset, 0
        self._answered(peer, message.round)

    def _answered(self, peer: Progress, number: int) -> None:
        if number > peer.round:
            peer.round = number
            self._confirm_reads()

    def _advance_commit(self) -> None:
        """What a majority holds durably is committed, if it is of this term (section 3.6.2).

        An entry of an earlier term may be on a majority and still be overwritten (figure 3.7).
        """
        held = [peer.match for peer in self._voters]
        if self.voting:
            held.append(self.log.durable)
        index = quorum.reached(held, self.quorum)
        own = index > self.commit and self.log.term(index) == self.term
        if own or (index > self.commit and "commit-earlier-term" in self._bugs):
            self._commit_to(index)

    def _commit_to(self, index: int) -> None:
        if index > self.commit:
            assert index <= self.log.last, "committed beyond the log"
            self.commit = index
            for context, asker in self._reads.take_early():
                self._read(context, asker)
            if not self.voting and self.role is Role.LEADER and index >= self.members.index:
                self._follow(self.term, None)  # it has led its own removal (4.2.2)

    # -- reads ----------------------------------------------------------------------------------

    def _read(self, context: int, asker: str | None) -> None:
        """Notes the commit index, and asks a quorum whether this node still leads (section 6.4)."""
        if not self._bugs.isdisjoint(("local-read-leader", "dirty-read")) or (
            "lease-too-long" in self._bugs and self.now_ms < self._lease_until_ms
        ):
            self._answer_read(context, asker, self.commit)
        elif (
            self.log.term(self.commit) != self.term
            and "read-before-own-term-commit" not in self._bugs
        ):
            # Entries may be committed that this node does not know to be: its own first entry
            # being committed will tell.
            self._reads.early.append((context, asker))
        else:
            self._reads.wait(WaitingRead(context, asker, self.commit, self.round + 1))

    def _confirm_reads(self) -> None:
        rounds = [peer.round for peer in self._voters]
        if self.voting:
            rounds.append(self.round)
        confirmed = quorum.reached(rounds, self.quorum)
        if confirmed == self.round:
            self._lease_until_ms = self.now_ms + LONG_LEASE_MS
        for read in self._reads.confirmed(confirmed):
            self._answer_read(read.context, read.asker, read.index)

    def _answer_read(self, context: int, asker: str | None, index: int) -> None:
        if asker is None:
            self._duties.reads.append(ReadIndex(context, index))
        else:
            self._duties.now.append(((asker,), ReadReply(context, index)))

    # -- the follower's side of the log ---------------------------------------------------------

    def _hear(self, leader: str) -> None:
        """Word from the leader of this term: whoever else stood in it has lost."""
        # A node with a bug shows it to its clients and to the harness, not to itself.
        assert self._bugs or self.role is not Role.LEADER, "two leaders in one term"
        if self.role is not Role.FOLLOWER:
            self._become(Role.FOLLOWER)
        self.leader = leader
        self._heard_ms = self.now_ms
        self._wait_for_election()

    def _on_append(self, sender: str, message: Append) -> None:
        prev = message.prev_index
        if prev < self.commit:
            # Up to the commit index all logs agree, so nothing in here is news.
            self._accept(sender, self.commit, message)
            return
        if self.log.term(prev) != message.prev_term:
            hint = self.log.agreement(prev, message.prev_term)
            self._disagree(sender, prev, hint, self.log.term(hint) or 0, message.round)
            return
        if "truncates-on-stale-append" in self._bugs and prev < self.log.last:
            self._truncate(prev + 1)
        for entry in message.entries:
            have = self.log.term(entry.index)
            if have == entry.term or (have is not None and "conflict-kept" in self._bugs):
                continue  # this message, or a longer one, was here before: keep what follows
            if have is not None:
                assert entry.index > self.commit, "a committed entry would be replaced"
                self._truncate(entry.index)
            self.log.append(entry)
            if entry.kind == CONFIG:
                self._use(entry)
        matched = prev + len(message.entries)
        self._commit_to(min(message.commit, matched))
        self._accept(sender, matched, message)

    def _accept(self, sender: str, match: int, message: Append | InstallSnapshot) -> None:
        reply = AppendReply(self.term, True, 0, match, 0, message.round, self._identity)
        self._after(sender, reply)

    def _disagree(self, sender: str, prev: int, hint: int, hint_term: int, round_: int) -> None:
        reply = AppendReply(self.term, False, prev, hint, hint_term, round_, self._identity)
        self._after(sender, reply)

    def _on_install_snapshot(self, sender: str, message: InstallSnapshot) -> None:
        if message.index <= self.commit:
            if "stale-snapshot" in self._bugs and message.offset == 0 and message.done:
                stale = Snapshot(message.index, message.snapshot_term, message.data)
                self._duties.restore = stale
            self._accept(sender, self.commit, message)  # stale: it would turn time back
            return
        if self.log.term(message.index) == message.snapshot_term:
            self._commit_to(message.index)  # all of it is here already
            self._accept(sender, message.index, message)
            return
        this = (message.index, message.snapshot_term)
        if message.offset == 0 or this != self._pieces_of:
            self._pieces, self._pieces_of = bytearray(), this
        if message.offset == len(self._pieces):
            self._pieces += message.data
            if message.done:
                self._restore(Snapshot(*this, bytes(self._pieces), message.config))
                self._pieces = bytearray()
                self._accept(sender, message.index, message)
                return
        here = len(self._pieces)
        reply = SnapshotReply(self.term, message.index, here, message.round, self._identity)
        self._after(sender, reply)

    def _restore(self, snapshot: Snapshot) -> None:
        """The snapshot replaces state and log, whole: what was beyond conflicts or is unknown."""
        self.snapshot = self._snapshot_unsaved = self._duties.restore = snapshot
        self._reset = True
        self.log.reset(snapshot.index, snapshot.term)
        self.members.reset(snapshot)
        self._adopt()
        self.commit = snapshot.index
