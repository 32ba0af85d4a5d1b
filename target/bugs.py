"""The defects that a node can be started with, to prove that the harness finds them.

Each changes the fewest lines at the very place where the real bug was: search the sources for a
bug's name, quoted, to see how. All are off unless named with ``--bug``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """One defect. ``number`` is its place in the zoo, ``seen`` where it was met in the wild."""

    number: int
    name: str
    sentence: str
    seen: str


BUGS = (
    Bug(
        1,
        "early-ack",
        "The leader acknowledges a write when it is on its own disk, before a quorum has it.",
        "nacos#2833, RedisRaft#14",
    ),
    Bug(
        2,
        "quorum-off-by-one",
        "One node less than a majority counts as a quorum.",
        "classic; 5 nodes: the leader and one more",
    ),
    Bug(
        3,
        "commit-earlier-term",
        "An entry of an earlier term is committed by counting replicas (Raft paper, figure 8).",
        "logcabin#44, PySyncObj#169",
    ),
    Bug(
        4,
        "vote-not-persisted",
        "Term and vote are never written to disk: a node that restarts can vote twice in a term.",
        "PySyncObj#84, raft-java#57",
    ),
    Bug(
        5,
        "log-not-fsynced",
        "What is written to the log is never synced: a power loss takes it, a plain kill does not.",
        "etcd#14370, PySyncObj#84",
    ),
    Bug(
        6,
        "local-read-leader",
        "The leader serves reads from its own state without asking whether it still leads.",
        "etcd 0.4.1, Consul's default, dqlite#258",
    ),
    Bug(
        7,
        "local-read-follower",
        "Followers serve reads from their own state without asking the leader.",
        "ZooKeeper's and Consul's stale reads",
    ),
    Bug(
        8,
        "read-before-own-term-commit",
        "A new leader serves reads before it has committed an entry of its own term.",
        "RedisRaft#18, RedisRaft#19, tikv#9208",
    ),
    Bug(
        9,
        "lease-too-long",
        "A quorum's word lets the leader serve reads alone for 2 s, longer than an election takes.",
        "tikv#964, sofa-jraft#26, etcd#6005",
    ),
    Bug(
        10,
        "read-before-applied",
        "A read is served when its index is known, before the state machine has reached it.",
        "etcd#20418",
    ),
    Bug(
        11,
        "retry-applied-twice",
        "A retried request is applied again.",
        "sofa-jraft#1053",
    ),
    Bug(
        12,
        "truncates-on-stale-append",
        "A follower cuts its log behind what an append repeats, even if the append is old.",
        "nebula#2483, openraft#511",
    ),
    Bug(
        13,
        "conflict-kept",
        "A follower keeps its own entries where the leader has others, and says that it agrees.",
        "copycat#265, scylla#9965",
    ),
    Bug(
        14,
        "no-step-down",
        "A leader takes over the terms that it hears of, and goes on leading, answered or not.",
        "canonical/raft#386",
    ),
    Bug(
        15,
        "vote-behind-log",
        "Votes are given to candidates whose log lacks entries.",
        "jgroups-raft#258",
    ),
    Bug(
        16,
        "vote-forgotten",
        "A node that steps down within a term forgets whom it has voted for.",
        "redpanda#19, CCF#8094",
    ),
    Bug(
        17,
        "two-changes-at-once",
        "A leader takes another change of membership before the last one is committed.",
        "RedisRaft#17",
    ),
    Bug(
        18,
        "old-identity",
        "A node that lost its disk returns as the member that it was, and votes and counts as one.",
        "rethinkdb#5289, canonical/raft#250",
    ),
    Bug(
        19,
        "stale-snapshot",
        "An old InstallSnapshot turns the state machine back.",
        "openraft#531, NuRaft#407",
    ),
    Bug(
        20,
        "snapshot-drops-sessions",
        "Snapshots lack the clients' sessions: retries after one are applied again.",
        "jgroups-raft#301, openraft#1808",
    ),
    Bug(
        21,
        "snapshot-off-by-one",
        "A snapshot's index is one too low: after a restart an entry is applied again.",
        "PySyncObj#166",
    ),
    Bug(
        22,
        "damage-accepted",
        "Records of the log with a wrong checksum are taken as they are.",
        "etcd#14098, dqlite#190",
    ),
    Bug(
        23,
        "dirty-read",
        "Reads see entries of the log that are not committed.",
        "the classic dirty read",
    ),
    Bug(
        24,
        "fails-then-commits",
        "Writes under way when a leader steps down are answered as failed, and may commit later.",
        "jepsen#596's pattern",
    ),
    Bug(
        25,
        "no-prevote",
        "Candidates stand without asking first: a node that was cut off unseats the leader.",
        "openraft#2078",
    ),
)


class UnknownBug(ValueError):
    """A name or number that no defect has; the message lists those there are."""


def resolve(names: Iterable[str]) -> frozenset[str]:
    """Names of the defects given by name or number.

    Raises:
        UnknownBug: there is no such defect.
    """
    known = {bug.name: bug.name for bug in BUGS} | {str(bug.number): bug.name for bug in BUGS}
    chosen = []
    for name in names:
        if name not in known:
            there = ", ".join(f"{bug.number} {bug.name}" for bug in BUGS)
            raise UnknownBug(f"no bug {name!r}; there are: {there}")
        chosen.append(known[name])
    return frozenset(chosen)
