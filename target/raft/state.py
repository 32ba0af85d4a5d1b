"""One node's state, and who its fellow members are."""

from __future__ import annotations

import random
from collections.abc import Sequence

from target.raft import quorum
from target.raft.duties import Config, Duties, Role
from target.raft.log import Log
from target.raft.membership import CAUGHT_UP, Configuration, Member, Membership, encoded
from target.raft.messages import CONFIG, Entry, HardState, Snapshot
from target.raft.progress import Mode, Progress
from target.raft.reads import ReadQueue


class State:
    """The state of figure 3.1, and what membership makes of it."""

    def __init__(
        self,
        config: Config,
        hard: HardState,
        snapshot: Snapshot,
        entries: Sequence[Entry],
        rng: random.Random,
        now_ms: int,
        identity: int = 0,
    ) -> None:
        """``identity`` is what tells this node from an earlier one of the same name (see
        :mod:`target.raft.membership`)."""
        self.config = config
        self.name = config.name
        self._identity = identity
        self._bugs = config.bugs
        self.members = Membership(config.name, identity, config.founders, snapshot, entries)
        self.log = Log(snapshot.index, snapshot.term, entries)
        self.snapshot = snapshot
        self.commit = snapshot.index
        # A snapshot can reach the disk before the term in which it was installed; entries cannot.
        self.term = max(hard.term, snapshot.term)
        self.vote = hard.vote if hard.term == self.term else None
        self.role = Role.FOLLOWER
        self.leader: str | None = None
        self.transferee: str | None = None
        self.now_ms = now_ms
        self.peers: dict[str, Progress] = {}
        self._voters: tuple[Progress, ...] = ()
        self.round = 0
        self._rng = rng
        self._votes: dict[str, bool] = {}
        self._heard_ms = now_ms - config.lease_ms
        self._election_due_ms = 0
        self._heartbeat_due_ms = 0
        self._quorum_due_ms = 0
        self._transfer_due_ms = 0
        self._hard_saved = HardState(self.term, self.vote)
        self._seq = 0
        self._vote_seq: int | None = None
        self._snapshot_unsaved: Snapshot | None = None
        self._reset = False
        self._pieces = bytearray()
        self._pieces_of = (0, 0)
        self._reads = ReadQueue()
        self._lease_until_ms = now_ms
        self._stirred, self._sent = False, 0  # up to where entries were looked at for being sent
        self._duties = Duties(roles=[(self.role, self.term)])
        self._adopt()
        self._duties.config = None  # the driver knows what its disk had
        self._wait_for_election()

    def _wait_for_election(self) -> None:
        low, high = self.config.election_ms
        self._election_due_ms = self.now_ms + low + int(self._rng.random() * (high - low + 1))

    # -- members --------------------------------------------------------------------------------

    def change(self, action: str, name: str, identity: int = 0, after: int = -1) -> int | str:
        """Adds a learner, or promotes or removes a member (``learner``, ``promote``, ``remove``).

        The index of the new configuration, which is in force from now on and counts once it is
        committed; 0 when there is nothing to change; or the word for why not (definite).
        ``after``, if it is not negative, is the index of the configuration that is to be changed,
        and no other: a request that comes late does nothing.
        """
        if self.role is not Role.LEADER or self.transferee is not None:
            return "not_leader"
        if not self._may_change():
            return "busy"
        if after not in (-1, self.members.index):
            return "changed_since"
        changed = self.members.changed(action, name, identity)
        if not isinstance(changed, tuple):
            return changed or 0
        if action == "promote" and not self._caught_up(self.peers[name]):
            return "behind"  # it would be counted before it could vouch for anything (4.2.1)
        return self._configure(changed)

    def _caught_up(self, peer: Progress) -> bool:
        lacks = self.log.last - peer.match
        return peer.mode is Mode.REPLICATE and lacks <= CAUGHT_UP

    def _may_change(self) -> bool:
        """One change at a time, and the first one not before an entry of the term is committed: an
        unfinished one of an earlier leader may otherwise have another majority than this one's
        (section 4.1, as corrected by Ongaro in 2015)."""
        return self.log.term(self.commit) == self.term and (
            self.members.index <= self.commit or "two-changes-at-once" in self._bugs
        )

    def _configure(self, members: Sequence[Member]) -> int:
        index = self.log.last + 1
        answered = {name: peer.identity for name, peer in self.peers.items()}
        config = Configuration(index, self.members.identified(members, answered))
        entry = Entry(index, self.term, CONFIG, encoded(config))
        self.log.append(entry)
        self._use(entry)
        return index

    def _use(self, entry: Entry) -> None:
        """A configuration was appended."""
        self.members.use(entry)
        self._adopt()

    def _truncate(self, first: int) -> None:
        self.log.truncate(first)
        if self.members.truncate(first):
            self._adopt()

    def _adopt(self) -> None:
        """Another configuration is in force: what was made of the one before is made anew."""
        members = self.members
        self.voting, self.others = members.voting, members.others
        off = len(members.voters) > 1 and "quorum-off-by-one" in self._bugs
        self.quorum = quorum.majority(len(members.voters)) - off
        self._duties.config = members.current
        if self.role is Role.LEADER:
            self._lead_members()

    def _lead_members(self) -> None:
        """A leader sends to all members, and counts those that vote."""
        self.peers = {
            member.name: self.peers.get(member.name)
            or Progress(next=self.log.last + 1, identity=member.identity)
            for member in self.members.peers
        }
        self._voters = tuple(self.peers[name] for name in self.others)

    def _peer(self, sender: str, identity: int) -> Progress | None:
        """The member that answers; None when it is none, or not who it was."""
        peer = self.peers.get(sender)
        if peer is not None and peer.identity != identity:
            if peer.identity:
                return None
            peer.identity = identity
        return peer

    def _settle(self) -> None:
        """Writes down who the founders are, as soon as all of them have answered."""
        if self._may_change() and all(peer.identity for peer in self.peers.values()):
            self._configure(self.members.current.members)
