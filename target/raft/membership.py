"""Who is a member: configurations in the log, in force from the moment they are in it.

Changes are made one server at a time (D. Ongaro, *Consensus: Bridging Theory and Practice*, 2014,
chapter 4): majorities of two configurations that follow each other then share a node. Learners
(4.2.1) get the log and serve reads, but are not asked and not counted.

A node that lost its disk must not count as the one that it was: it has forgotten its votes and the
entries that it vouched for. So a member is a name and an *identity*, a number that a node draws
when it finds its disk empty and keeps there. Replies carry it, and whoever counts replies counts
those of the identity that the configuration has. At the very first start nobody's identity is
known (0 in the configuration): the first leader writes down, in a configuration of its own, who
answered it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from target.raft.messages import CONFIG, Entry, Snapshot
from target.raft.record import record

CAUGHT_UP = 16
"""Entries that a learner may lack when it is promoted: what a follower lacks on a busy day."""


@record
class Member:
    """``identity`` 0: whoever has the name, as nothing else is known yet."""

    name: str
    identity: int = 0
    voter: bool = True


@record
class Configuration:
    """The members from the entry at ``index`` on; 0: since the beginning."""

    index: int
    members: tuple[Member, ...]

    @property
    def voters(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(member.name for member in self.members if member.voter)

    def member(self, name: str) -> Member | None:
        """Who has the name."""
        return next((member for member in self.members if member.name == name), None)


def encoded(config: Configuration) -> bytes:
    """A configuration as log entries and snapshots carry it: JSON."""
    members = [[one.name, one.identity, one.voter] for one in config.members]
    return json.dumps([config.index, members]).encode()


def decoded(data: bytes) -> Configuration:
    """The inverse of :func:`encoded`."""
    index, members = json.loads(data)
    return Configuration(index, tuple(Member(*fields) for fields in members))


class Membership:
    """The configurations that the log and the snapshot hold; the last one is in force.

    What follows from it is made once, when it changes: ``voters``, ``others`` (those but this
    node), ``peers`` (all members but this node), ``voting`` (this node is a voter), ``settled``
    (every member's identity is known).
    """

    def __init__(
        self,
        name: str,
        identity: int,
        founders: Sequence[str],
        snapshot: Snapshot,
        entries: Sequence[Entry],
    ) -> None:
        """``identity`` 0 is for worlds in which no disk is ever lost: nothing is written down."""
        self._name = name
        self._identity = identity
        self._held = [Configuration(0, tuple(Member(founder) for founder in founders))]
        if snapshot.config:
            self._held = [decoded(snapshot.config)]
        self._held += [decoded(it.data) for it in entries if it.kind == CONFIG]
        self._derive()

    @property
    def current(self) -> Configuration:
        """What is in force."""
        return self._held[-1]

    def _derive(self) -> None:
        members = self.current.members
        self.index = self.current.index
        self.voters = self.current.voters
        self.others = tuple(name for name in self.voters if name != self._name)
        self.peers = tuple(member for member in members if member.name != self._name)
        self.voting = self._votes_in(self.current)
        self.settled = self._identity == 0 or all(member.identity for member in members)
        self.told = {one.name: "voter" if one.voter else "learner" for one in members}
        self._counted = {one.name: one.identity for one in members if one.voter}

    def _votes_in(self, config: Configuration) -> bool:
        own = config.member(self._name)
        return own is not None and own.voter and own.identity in (0, self._identity)

    def may_stand(self, commit: int) -> bool:
        """May this node be a candidate? Also one that is no voter any more may have to lead until
        that is committed, as it may be the only one that has the entry (4.2.2)."""
        open_ = (config for config in self._held if config.index > commit)
        before = [config for config in self._held if config.index <= commit]
        return any(map(self._votes_in, (*before[-1:], *open_)))

    def counts(self, sender: str, identity: int) -> bool:
        """Is a reply with this identity a voter's?"""
        return self._counted.get(sender, -1) in (0, identity)

    # -- the log's side ---------------------------------------------------------------------------

    def use(self, entry: Entry) -> None:
        """A configuration was appended."""
        self._held.append(decoded(entry.data))
        self._derive()

    def truncate(self, first: int) -> bool:
        """The log lost ``first`` and all after it; was the configuration among that?"""
        if self.index < first:
            return False
        while self.current.index >= first:
            self._held.pop()
        self._derive()
        return True

    def reset(self, snapshot: Snapshot) -> None:
        """A snapshot replaced the log."""
        self._held = [decoded(snapshot.config)]
        self._derive()

    def compact(self, index: int) -> bytes:
        """Those that a snapshot up to ``index`` makes superfluous go; the one for the snapshot."""
        while len(self._held) > 1 and self._held[1].index <= index:
            del self._held[0]
        return encoded(self._held[0])

    # -- changes ----------------------------------------------------------------------------------

    def changed(self, action: str, name: str, identity: int) -> tuple[Member, ...] | str | None:
        """The members after a change, or the word for why there is no such change; None when there
        is nothing to change.

        ``learner`` adds one, or makes one of a voter; ``promote`` makes a learner a voter.
        """
        members = self.current.members
        there = self.current.member(name)
        match action:
            case "learner" if there is None:
                members = (*members, Member(name, identity, voter=False))
            case "learner" if there is not None and there.identity not in (0, identity):
                return "member_exists"  # the old one has to go first
            case "remove" if there is None:
                return None
            case "promote" if there is None:
                return "no_member"
            case "learner" | "remove" | "promote" if there is not None:
                voter = action == "promote"
                if there.voter == voter and action != "remove":
                    return None
                if not voter and self.voters == (name,):
                    return "last_voter"
                changed = () if action == "remove" else (Member(name, there.identity, voter),)
                place = members.index(there)
                members = members[:place] + changed + members[place + 1 :]
        return members

    def identified(
        self, members: Sequence[Member], answered: Mapping[str, int]
    ) -> tuple[Member, ...]:
        """The members with the identities of those who answered, where none was known."""
        known = {**answered, self._name: self._identity}
        return tuple(
            one if one.identity else Member(one.name, known.get(one.name, 0), one.voter)
            for one in members
        )
