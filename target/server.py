"""The process around a node: ``python3 -m target.server --node n1 --home DIR --peers n1=…,n2=…``.

One thread. Whatever arrives in one turn of the event loop is handled as one batch: its writes
become one message to each follower and one sync of the disk. The sync is done in place, between
sending the entries and reading the answers: a thread for it cost a tenth more processor time a
write and made nothing faster (measured with benchmarks/target/write_throughput.py).
"""

from __future__ import annotations

import asyncio
import gc
import random
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial

from target import VERSION
from target.bugs import BUGS
from target.clock import Clock
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
from target.files import Directory, InUse
from target.http import (
    CompactRequest,
    Connection,
    MembersRequest,
    ReadRequest,
    Request,
    StatusRequest,
    TransferRequest,
    WriteRequest,
)
from target.node import Node, NodeConfig
from target.options import OptionError, Options, parse
from target.peers import Incoming, Link
from target.raft.duties import Save
from target.storage import Storage, StorageError
from target.trace import Trace
from target.wire import frame

TICK_MS = 20
"""The longest sleep: the clock may be steered to run faster meanwhile."""

STATUS = {
    "mismatch": 409,
    "wrong_type": 409,
    "superseded": 409,
    "busy": 409,
    "behind": 409,
    "changed_since": 409,
    "member_exists": 409,
    "no_member": 409,
    "last_voter": 409,
    "bad_argument": 400,
    "unknown_operation": 400,
    "not_leader": 503,
    "no_leader": 503,
    "leader_changed": 503,
    "timeout": 504,
}
"""HTTP's word for each error of an answer."""

USAGE, DAMAGED, FAILED = 2, 3, 4
"""Exit codes: the command line; the data directory; the disk or an address, while running."""


def log(text: str) -> None:
    """One line, with the host's time of day."""
    now = time.time()
    stamp = time.strftime("%H:%M:%S", time.gmtime(now))
    sys.stdout.write(f"{stamp}.{int(now * 1000) % 1000:03d} {text}\n")
    sys.stdout.flush()


class Server:
    """A running node."""

    def __init__(self, options: Options) -> None:
        """Reads the disk.

        Raises:
            StorageError, InUse: the data directory cannot be used.
        """
        self.options = options
        bugs = options.raft.bugs
        self.bugs = [bug.name for bug in BUGS if bug.name in bugs]
        options.home.mkdir(parents=True, exist_ok=True)
        fresh = secrets.randbits(62) + 2
        self.storage = Storage(Directory(options.home / "data"), bugs=bugs, fresh=fresh)
        self.trace = Trace(options.home / "trace.jsonl", options.node)
        self.clock = Clock(options.home / "clock.json")
        boot = self.storage.boot
        last = boot.entries[-1].index if boot.entries else boot.snapshot.index
        low, high = options.raft.election_ms
        patience = f"{low} ms" if low == high else f"{low}-{high} ms"
        log(
            f"{options.node} {VERSION}: term {boot.hard.term}, vote {boot.hard.vote}, log up to "
            f"{last}, snapshot {boot.snapshot.index}, election time-out {patience}"
        )
        if self.storage.repaired:
            log(f"cut {self.storage.repaired} bytes of a torn tail off the log")
        for name in self.bugs:
            log(f"BUG {name} is on")
        config = NodeConfig(
            options.raft,
            incarnation=time.time_ns(),
            hold_ms=max(600, 2 * options.raft.election_ms[1]),
            snapshot_entries=options.snapshot_entries,
        )
        # The log's end makes it another stream after a restart: else a cluster that was killed as
        # a whole would always elect the same leader again.
        seed = f"{options.seed}/{options.node}/{last}" if options.seed is not None else None
        self.node = Node(config, boot, random.Random(seed), self.clock.monotonic_ms())
        members = self.node.raft.members.current
        self.trace.boot(boot, self.node.machine.fingerprint, self.bugs, members)
        self.links = {
            name: Link(options.node, name, address, self._on_link)
            for name, address in options.peers.items()
            if name != options.node
        }
        self._incoming: dict[str, Incoming | None] = dict.fromkeys(self.links)
        self._inbox: list[Event] = []
        self._waiting: dict[int, Connection] = {}
        self._refs = 0
        self._scheduled = False
        self._commit = 0
        self._leader: str | None = None
        self._complaint: str | None = None
        self._stopped: asyncio.Future[None] | None = None

    # -- life -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT.

        Raises:
            OSError: an address cannot be had, or the disk failed.
        """
        loop = asyncio.get_running_loop()
        stopped = self._stopped = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, None)
        _, peer_port = self.options.peers[self.options.node]
        bind, client_port = self.options.bind, self.options.client_port
        incoming = partial(Incoming, self.options.node, self._incoming, self._deliver, log)
        peers = await loop.create_server(incoming, bind, peer_port)
        clients = await loop.create_server(partial(Connection, self), bind, client_port)
        log(f"peers at {bind}:{peer_port}, clients at {bind}:{client_port}")
        tasks = [loop.create_task(link.run()) for link in self.links.values()]
        # What is here now stays: the collector need not look at it again, and later garbage is
        # rarely circular. A full collection of a long log would be a pause like a slow disk's.
        gc.freeze()
        gc.set_threshold(50_000, 50, 50)
        try:
            self._turn()
            await stopped
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            peers.close()
            clients.close()
            self.storage.close()
            self.trace.close()
        log("stopped")

    def _stop(self, error: BaseException | None) -> None:
        assert self._stopped is not None
        if not self._stopped.done():
            if error is None:
                self._stopped.set_result(None)
            else:
                self._stopped.set_exception(error)

    def _turn(self) -> None:
        """The timer: time goes on for the node, whether anything happens or not."""
        assert self._stopped is not None
        if self._stopped.done():
            return
        now = self.clock.monotonic_ms()
        if now >= self.node.due_ms or self.node.busy:
            self._handle()
        if self.clock.complaint != self._complaint:
            self._complaint = self.clock.complaint
            log(f"clock file: {self._complaint or 'fine again'}")
        wait = min(TICK_MS, max(1, self.node.due_ms - self.clock.monotonic_ms()))
        asyncio.get_running_loop().call_later(wait / 1000, self._turn)

    # -- what arrives ---------------------------------------------------------------------------

    def _put(self, event: Event) -> None:
        """Handled with all else that arrives in this turn of the loop."""
        self._inbox.append(event)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._handle)

    def _deliver(self, sender: str, message: PeerMessage) -> None:
        self._put(Received(sender, message))

    def _on_link(self, peer: str, connected: bool) -> None:
        log(f"{'connected to' if connected else 'lost the connection to'} {peer}")
        if not connected:
            self._put(Unreachable(peer))

    def request(self, connection: Connection, request: Request) -> None:
        """A client's request."""
        if isinstance(request, StatusRequest):
            connection.answer(200, self.status())
            return
        self._refs += 1
        self._waiting[self._refs] = connection
        match request:
            case WriteRequest(command):
                self._put(Write(self._refs, command))
            case ReadRequest(key):
                self._put(Read(self._refs, key))
            case TransferRequest(to):
                self._put(Transfer(self._refs, to))
            case MembersRequest(action, node, identity, after):
                self._put(Change(self._refs, action, node, identity, after))
            case CompactRequest():
                self._put(Compact(self._refs))

    def status(self) -> dict[str, object]:
        """What ``GET /v1/status`` answers."""
        raft = self.node.raft
        return {
            "node": self.options.node,
            "role": raft.role.public,
            "term": raft.term,
            "leader": raft.leader,
            "identity": self.storage.boot.identity,
            "members": raft.members.told,
            "settled": raft.members.settled,
            "config": raft.members.index,
            "last": raft.log.last,
            "commit": raft.commit,
            "applied": self.node.applied,
            "snapshot": raft.snapshot.index,
            "wall_ns": self.clock.wall_ns(),
            "monotonic_ns": self.clock.monotonic_ns(),
            "peers": [name for name, link in self.links.items() if link.connected],
            "syncs": self.storage.syncs,
            "version": VERSION,
            "bugs": self.bugs,
        }

    # -- what follows ---------------------------------------------------------------------------

    def _handle(self) -> None:
        self._scheduled = False
        assert self._stopped is not None
        if self._stopped.done():
            # What the disk refused is missing there: nothing may be written behind it, and nothing
            # that was to come after it said. The loop may well turn once more before all ends.
            return
        events, self._inbox = self._inbox, []
        try:
            effects = self.node.handle(self.clock.monotonic_ms(), events)
            while saves := self._carry_out(effects):
                self._save(saves)
                persisted = (Persisted(saves[-1].seq),)
                effects = self.node.handle(self.clock.monotonic_ms(), persisted)
        except BaseException as error:
            # A disk that refused, or an assertion that failed: nobody knows what holds now. The
            # next start reads what is on the disk.
            self._stop(error)

    def _carry_out(self, effects: list[Effect]) -> list[Save]:
        """Everything but the saves, which come back."""
        saves: list[Save] = []
        trace = self.trace
        for effect in effects:
            match effect:
                case Send(to, message):
                    self._send(to, message)
                case Reply(ref, answer):
                    self._answer(self._waiting.pop(ref), answer)
                case Acknowledged(index, term, session, seq):
                    trace.ack(index, term, session, seq)
                case Save():
                    saves.append(effect)
                case Configured(index, voters):
                    trace.config(index, voters)
                case Committed(index, term):
                    trace.commit(index, term)
                case Applied(index, term, states):
                    trace.apply(index, term, states)
                case RoleChanged(role, term):
                    trace.role(role, term)
                    log(f"{role} in term {term}")
        for link in self.links.values():
            link.flush()
        leader = self.node.raft.leader
        if leader != self._leader:
            self._leader = leader
            if leader is not None and leader != self.options.node:
                log(f"{leader} leads in term {self.node.raft.term}")
        return saves

    def _send(self, to: tuple[str, ...], message: PeerMessage) -> None:
        links = [link for name in to if (link := self.links[name]).connected]
        if links:
            framed = frame(message)
            for link in links:
                link.put(framed)

    def _save(self, saves: list[Save]) -> None:
        self.storage.save(saves)
        for save in saves:
            if save.snapshot is not None:
                self.trace.snapshot(save.snapshot.index, save.snapshot.term)
                if save.reset:
                    self.trace.replaced(save.snapshot.index)
            if save.hard is not None:
                self.trace.vote(save.hard.term, save.hard.vote)
            if save.entries:
                self.trace.durable(save.entries)

    def _answer(self, connection: Connection, answer: Answer) -> None:
        place = {"node": self.options.node, "index": answer.index, "term": answer.term}
        if answer.error is None:
            connection.answer(200, {"value": answer.value, **place})
        else:
            data = {"error": answer.error, "definite": answer.definite, **place}
            connection.answer(STATUS[answer.error], data)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    if not __debug__:
        sys.stderr.write("assertions guard the reference cluster: run it without -O\n")
        return USAGE
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
    except OptionError as error:
        sys.stderr.write(f"target.server: {error}\n")
        return USAGE
    try:
        asyncio.run(Server(options).run())
    except (StorageError, InUse) as error:
        log(f"cannot start: {error}")
        return DAMAGED
    except OSError as error:
        log(f"gives up: {error}")
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
