"""The server of a node in a simulated world: what :mod:`target.server` is on a real machine.

Node, storage, trace and codec are the very same; the world brings time, network and disk. As the
real server does, it handles what arrived in one turn as one batch and does nothing else while the
disk syncs.
"""

from __future__ import annotations

import json
import random
import traceback
from collections.abc import Callable, Mapping

from harness.core.simulation import Host
from target import VERSION
from target.bugs import BUGS
from target.events import (
    Acknowledged,
    Answer,
    Applied,
    Change,
    Committed,
    Compact,
    Configured,
    Effect,
    Event,
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
from target.http import (
    CompactRequest,
    MembersRequest,
    ReadRequest,
    RequestError,
    StatusRequest,
    TransferRequest,
    WriteRequest,
    route,
)
from target.node import Node, NodeConfig
from target.options import Options
from target.raft.duties import Role, Save
from target.server import STATUS, TICK_MS
from target.storage import Storage, StorageError
from target.trace import Trace
from target.wire import Hello, Unframer, WireError, frame, parse

CODEC_EVERY = 16
"""One message in so many goes through the wire codec even where nobody damages it. All of them
would be a third of a run's time; a codec that changes any kind of message shows within a second
of virtual time at this rate, and its own tests try every kind."""
HELD = 1 << 16
"""Characters of the trace that wait before they are written. Nothing is lost: a process that is
killed here is told."""

Reception = Callable[[int, Mapping[str, object]], None]


class SimulatedNode:
    """Implements :class:`harness.core.simulation.SimulatedServer`."""

    def __init__(self, host: Host, options: Options, rng: random.Random) -> None:
        self._host = host
        self._options = options
        self._rng = rng
        self._bugs = [bug.name for bug in BUGS if bug.name in options.raft.bugs]
        self._events: list[Event] = []
        self._waiting: dict[int, Reception] = {}
        self._refs = 0
        self._sent = 0
        self._saves: list[Save] = []
        self._identity = 0
        self._leader: str | None = None
        self._storage: Storage | None = None
        self._trace: Trace | None = None

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """See the protocol."""
        host, options = self._host, self._options
        try:
            # Never used before: the world's time goes on.
            fresh = host.true_ns() + 2
            storage = Storage(host.files, bugs=options.raft.bugs, fresh=fresh)
        except StorageError as error:
            raise ValueError(str(error)) from None
        self._storage = storage
        boot = storage.boot
        self._identity = boot.identity
        last = boot.entries[-1].index if boot.entries else boot.snapshot.index
        host.log(
            f"{options.node} {VERSION}: term {boot.hard.term}, vote {boot.hard.vote}, log up to "
            f"{last}, snapshot {boot.snapshot.index}"
        )
        if storage.repaired:
            host.log(f"cut {storage.repaired} bytes of a torn tail off the log")
        for name in self._bugs:
            host.log(f"BUG {name} is on")
        config = NodeConfig(
            options.raft,
            incarnation=host.true_ns(),
            hold_ms=max(600, 2 * options.raft.election_ms[1]),
            snapshot_entries=options.snapshot_entries,
        )
        self._node = Node(config, boot, self._rng, host.monotonic_ms())
        self._trace = Trace(host.home / "trace.jsonl", options.node, host.true_ns, HELD)
        members = self._node.raft.members.current
        self._trace.boot(boot, self._node.machine.fingerprint, self._bugs, members)

    def stop(self) -> None:
        """See the protocol."""
        self._host.log("stopped")
        self.abandon()

    def abandon(self) -> None:
        """See the protocol."""
        trace, self._trace = self._trace, None
        if trace is not None:
            trace.close()

    # -- what arrives ---------------------------------------------------------------------------

    def receive(self, peer: str, message: object) -> None:
        """See the protocol."""
        assert not isinstance(message, Hello)
        self._events.append(Received(peer, message))  # type: ignore[arg-type]

    def decode(self, data: bytes) -> object:
        """See the protocol."""
        payloads = Unframer().feed(data)
        if len(payloads) != 1:
            raise WireError("a frame that does not end where it should")
        message = parse(payloads[0])
        if isinstance(message, Hello):
            raise WireError("a second greeting")
        return message

    def lost(self, peer: str) -> None:
        """See the protocol."""
        self._host.log(f"lost the connection to {peer}")
        self._events.append(Unreachable(peer))

    def leads(self) -> bool:
        """See the protocol."""
        return self._node.raft.role is Role.LEADER

    def request(self, method: str, path: str, body: bytes, answer: Reception) -> None:
        """See the protocol."""
        try:
            request = route(method, path, body)
        except RequestError as error:
            words = {"error": "bad_request", "definite": True, "message": str(error)}
            answer(error.status, words)
            return
        if isinstance(request, StatusRequest):
            answer(200, self._status())
            return
        self._refs += 1
        self._waiting[self._refs] = answer
        match request:
            case WriteRequest(command):
                self._events.append(Write(self._refs, command))
            case ReadRequest(key):
                self._events.append(Read(self._refs, key))
            case TransferRequest(to):
                self._events.append(Transfer(self._refs, to))
            case MembersRequest(action, node, identity, after):
                self._events.append(Change(self._refs, action, node, identity, after))
            case CompactRequest():
                self._events.append(Compact(self._refs))

    def _status(self) -> dict[str, object]:
        raft = self._node.raft
        return {
            "node": self._options.node,
            "role": raft.role.public,
            "term": raft.term,
            "leader": raft.leader,
            "identity": self._identity,
            "members": raft.members.told,
            "settled": raft.members.settled,
            "config": raft.members.index,
            "commit": raft.commit,
            "wall_ns": self._host.wall_ns(),
            "monotonic_ns": self._host.monotonic_ms() * 1_000_000,
        }

    def wake(self) -> None:
        """See the protocol."""
        if self._saves:
            return
        node = self._node
        now = self._host.monotonic_ms()
        if self._events or now >= node.due_ms or node.busy:
            events, self._events = self._events, []
            self._handle(now, events)
        if not self._saves:
            due = node.due_ms
            self._host.wake_at(max(now + 1, min(due, now + TICK_MS) if node.busy else due))

    # -- what follows ---------------------------------------------------------------------------

    def _handle(self, now: int, events: list[Event]) -> None:
        try:
            self._saves = self._carry_out(self._node.handle(now, events))
            if self._saves:
                assert self._storage is not None
                self._storage.save(self._saves)
                self._host.sync_then(self._synced)
        except OSError as error:
            self._host.fail(str(error))
        except Exception as error:
            # An assertion that failed ends a process; the next start reads what is on the disk.
            self._host.log(traceback.format_exc())
            self._host.fail(f"{type(error).__name__}: {error}")

    def _synced(self) -> None:
        saves, self._saves = self._saves, []
        trace = self._trace
        assert trace is not None
        for save in saves:
            if save.snapshot is not None:
                trace.snapshot(save.snapshot.index, save.snapshot.term)
                if save.reset:
                    trace.replaced(save.snapshot.index)
            if save.hard is not None:
                trace.vote(save.hard.term, save.hard.vote)
            if save.entries:
                trace.durable(save.entries)
        # Before what came meanwhile, and in one batch with it.
        self._events.insert(0, Persisted(saves[-1].seq))

    def _carry_out(self, effects: list[Effect]) -> list[Save]:
        """Everything but the saves, which come back."""
        saves: list[Save] = []
        trace = self._trace
        assert trace is not None
        for effect in effects:
            match effect:
                case Send():
                    self._send(effect.to, effect.message)
                case Reply():
                    self._answer(self._waiting.pop(effect.ref), effect.answer)
                case Acknowledged():
                    trace.ack(effect.index, effect.term, effect.session, effect.seq)
                case Save():
                    saves.append(effect)
                case Configured(index, voters):
                    trace.config(index, voters)
                case Committed():
                    trace.commit(effect.index, effect.term)
                case Applied():
                    trace.apply(effect.index, effect.term, effect.states)
                case RoleChanged(role, term):
                    trace.role(role, term)
                    self._host.log(f"{role} in term {term}")
        leader = self._node.raft.leader
        if leader != self._leader:
            self._leader = leader
            if leader is not None and leader != self._options.node:
                self._host.log(f"{leader} leads in term {self._node.raft.term}")
        return saves

    def _send(self, to: tuple[str, ...], message: PeerMessage) -> None:
        self._sent += 1
        sent: object = message
        if self._sent % CODEC_EVERY == 0:
            sent = self.decode(frame(message))
        for peer in to:
            self._host.send(peer, sent, _bytes)

    def _answer(self, reception: Reception, answer: Answer) -> None:
        place = {"node": self._options.node, "index": answer.index, "term": answer.term}
        if answer.error is None:
            value = answer.value
            if isinstance(value, list | dict):  # a state that goes on changing
                value = json.loads(json.dumps(value))
            reception(200, {"value": value, **place})
        else:
            data = {"error": answer.error, "definite": answer.definite, **place}
            reception(STATUS[answer.error], data)


def _bytes(message: object) -> bytes:
    return frame(message)  # type: ignore[arg-type]  # what was sent, and nothing else
