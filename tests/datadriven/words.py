"""Messages and effects as a transcript has them: ``5/2`` is the entry at index 5 of term 2."""

from __future__ import annotations

import json

from target.events import (
    Acknowledged,
    Answer,
    Applied,
    Committed,
    Configured,
    Effect,
    Forward,
    Forwarded,
    PeerMessage,
    Reply,
    RoleChanged,
    Send,
)
from target.node import Node
from target.raft.duties import Save
from target.raft.membership import Member, decoded
from target.raft.messages import (
    Append,
    AppendReply,
    Entry,
    InstallSnapshot,
    ReadAsk,
    ReadReply,
    RequestVote,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
    runs,
)
from target.requests import decode


def command_words(data: bytes) -> str:
    op, key, argument, session, seq = json.loads(data)
    words = f"{op} {key} {json.dumps(argument)}"
    return words if session is None else f"{words} ({session} {seq})"


def entry_words(entry: Entry) -> str:
    match entry.kind:
        case 0:
            what = "noop"
        case 2:
            what = "members " + " ".join(map(member_words, decoded(entry.data).members))
        case _:
            what = command_words(entry.data)
    return f"{entry.index}/{entry.term} {what}"


def member_words(member: Member) -> str:
    identity = f"#{member.identity}" if member.identity else ""
    return f"{member.name}{identity}{'' if member.voter else ' (learner)'}"


def entries_words(entries: tuple[Entry, ...]) -> str:
    return "[" + "; ".join(entry_words(entry) for entry in entries) + "]"


def message_words(message: PeerMessage) -> str:
    match message:
        case RequestVote(term, index, last_term, pre, transfer):
            kind = "pre-vote" if pre else "vote"
            why = ", the leader wants it" if transfer else ""
            return f"{kind} for term {term}? my log ends at {index}/{last_term}{why}"
        case VoteReply(term, granted, pre):
            answer = "yes" if granted else "no"
            return f"{'pre-vote' if pre else 'vote'} in term {term}: {answer}"
        case Append(term, prev, prev_term, commit, _, entries):
            what = f"append {entries_words(entries)}" if entries else "heartbeat"
            return f"{what} after {prev}/{prev_term}, term {term}, commit {commit}"
        case AppendReply(term, ok, prev, match, hint, _):
            if ok:
                return f"same up to {match}, term {term}"
            return f"nothing like that at {prev}, at most up to {match}/{hint}, term {term}"
        case InstallSnapshot(term, index, its, offset, done, _, data):
            end = ", done" if done else ""
            return f"snapshot {index}/{its}, {len(data)} bytes at {offset}{end}, term {term}"
        case SnapshotReply(term, index, offset, _):
            return f"snapshot {index}: {offset} bytes are here, term {term}"
        case TimeoutNow(term):
            return f"stand for election now, term {term}"
        case ReadAsk():
            return "up to where must I be to serve a read?"
        case ReadReply(_, index):
            return f"serve your read at {index}"
        case Forward(_, command):
            return f"forward {command_words(command)}"
        case Forwarded(_, answer):
            return f"forwarded: {answer_words(decode(answer))}"


def answer_words(answer: Answer) -> str:
    where = f" at {answer.index}" if answer.index is not None else ""
    if answer.error is None:
        return f"{json.dumps(answer.value)}{where}"
    return f"{answer.error}, {'definite' if answer.definite else 'unknown'}{where}"


def save_words(save: Save) -> str:
    parts = []
    if save.snapshot is not None:
        parts.append(f"snapshot {save.snapshot.index}/{save.snapshot.term}")
    if save.reset:
        parts.append("an empty log")
    if save.hard is not None:
        parts.append(f"term {save.hard.term}, vote {save.hard.vote}")
    if save.entries:
        parts.append(entries_words(save.entries))
    return "; ".join(parts) or "nothing"


def effect_words(effect: Effect) -> str:
    match effect:
        case Send(to, message):
            return f"-> {' '.join(to)}: {message_words(message)}"
        case Save():
            return f"saves {save_words(effect)}"
        case RoleChanged(role, term):
            return f"is {role} in term {term}"
        case Configured(index, voters):
            return f"has the members of {index}, voters {' '.join(voters)}"
        case Committed(index, term):
            return f"commits up to {index}/{term}"
        case Applied(index, term):
            return f"applied up to {index}/{term}"
        case Acknowledged(index, term):
            return f"acknowledges {index}/{term}"
        case Reply(ref, answer):
            return f"answers request {ref}: {answer_words(answer)}"


def node_words(node: Node) -> str:
    raft = node.raft
    entries = raft.log.slice(raft.log.base + 1, raft.log.last)
    log = " ".join(
        f"{first}/{term}" if first == last else f"{first}-{last}/{term}"
        for first, last, term in runs(entries)
    )
    base = f"({raft.log.base}/{raft.log.base_term}) " if raft.log.base else ""
    return (
        f"{raft.role.value} in term {raft.term}, follows {raft.leader}, "
        f"log {base}{log or 'empty'}, commit {raft.commit}, applied {node.applied}"
    )
