"""Answers requests, one JSON object a line; when nobody can ask any more, undoes everything."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any, TypeAlias

from harness.agent import (
    PROTOCOL,
    abilities,
    disks,
    firewall,
    limits,
    machines,
    processes,
    rejects,
    shaping,
)
from harness.agent.journal import Journal, say
from harness.agent.machines import CLIENTS, Behaviour, Link, Machine
from harness.agent.probes import Probes
from harness.agent.tools import ToolFailed
from harness.agent.wiring import HUB_ADDRESS, MOST_NODES, Hub, address

Request: TypeAlias = dict[str, Any]
Answer: TypeAlias = "dict[str, Any]"
Handler: TypeAlias = Callable[[Request], "Answer | Awaitable[Answer]"]

CLOCK = "clock.json"


class Refused(Exception):
    """The request makes no sense now; the message is one line."""


class Agent:
    """One cluster's hands.

    ``hub`` is set where the network is our own (netns): then nodes are built here, and sockets
    made here are passed over ``channel``. Otherwise machines are containers that others made.
    """

    def __init__(self, hub: Hub | None = None, channel: socket.socket | None = None) -> None:
        self._hub = hub
        self._channel = channel
        self._machines: dict[str, Machine] = {}
        self._probes = Probes()
        self._firewall: firewall.Firewall | None = None
        self._rejecter: rejects.Rejecter | None = None
        self._shaper: shaping.Shaper | None = None
        self._disks: disks.Disks | None = None
        self._limits: limits.Limits | None = None
        self._journal = Journal()
        self._handlers: dict[str, Handler] = {
            "hello": self._hello,
            "build": self._build,
            "register": self._register,
            "firewall": self._make_firewall,
            "cut": self._cut,
            "dropped": self._dropped,
            "shaper": self._make_shaper,
            "shape": self._shape,
            "shaped": self._shaped,
            "probe": self._probe,
            "round_trip": self._round_trip,
            "spawn": self._spawn,
            "kill": self._kill,
            "stop": self._stop,
            "pause": self._pause,
            "resume": self._resume,
            "state": self._state,
            "clock": self._clock,
            "wipe": self._wipe,
            "socket": self._socket,
            "disks": self._make_disks,
            "trouble": self._trouble,
            "disk_counts": self._disk_counts,
            "damage": self._damage,
            "repair": self._repair,
            "power_off": self._power_off,
            "listing": self._listing,
            "limit": self._limit,
            "hits": self._hits,
        }

    async def serve(self) -> None:
        """Until standard input ends or SIGTERM comes; then kills the servers, undoes the rest."""
        loop = asyncio.get_running_loop()
        serving = asyncio.create_task(self._requests())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, serving.cancel)
        loop.add_signal_handler(signal.SIGCHLD, processes.reap)
        try:
            await serving
        except asyncio.CancelledError:
            say("asked to end")
        finally:
            self._leave()

    async def _requests(self) -> None:
        reader = asyncio.StreamReader(limit=1 << 24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        running: set[asyncio.Task[None]] = set()
        while line := await reader.readline():
            task = asyncio.create_task(self._handle(line))
            running.add(task)
            task.add_done_callback(running.discard)

    async def _handle(self, line: bytes) -> None:
        number: object = None
        try:
            request: Request = json.loads(line)
            number = request["id"]
            handler = self._handlers.get(str(request.get("op")))
            if handler is None:
                raise Refused(f"unknown request {request.get('op')!r}")
            answer = handler(request)
            reply = {"id": number, "ok": answer if isinstance(answer, dict) else await answer}
        except (Refused, ToolFailed, processes.Stubborn, shaping.ShaperFailed) as error:
            reply = {"id": number, "error": str(error)}
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            reply = {"id": number, "error": f"{error.strerror or error}{where}"}
        except (ValueError, KeyError, TypeError) as error:
            reply = {"id": number, "error": f"not a request: {type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()

    def _leave(self) -> None:
        if self._hub is not None and self._disks is None and self._limits is None:
            # The kernel does it all when we, the init of the namespaces, end: now, not after
            # tidying up an interpreter.
            os._exit(0)
        for machine in self._machines.values():
            processes.send(machines.server(machine), signal.SIGKILL)
        self._journal.undo()
        for machine in self._machines.values():
            # The container ends with it, whoever may be left to remove it.
            processes.end(machine.init)
        if self._hub is not None:
            os._exit(0)

    def _machine(self, request: Request) -> Machine:
        return self._named(request["node"])

    def _named(self, node: str) -> Machine:
        try:
            return self._machines[node]
        except KeyError:
            raise Refused(f"no such node: {node!r}") from None

    def _link(self, pair: list[str]) -> Link:
        source, to = pair
        if source == CLIENTS:
            return source, self._named(to).node
        return self._named(source).node, self._named(to).node

    # -- the cluster -----------------------------------------------------------------------------

    def _hello(self, request: Request) -> Answer:
        answer: Answer = {
            "protocol": PROTOCOL,
            "python": platform.python_version(),
            "network": "own" if self._hub is not None else "host",
        }
        return answer | {"lacks": abilities.lacks()} if request.get("probe") else answer

    def _build(self, request: Request) -> Answer:
        if self._hub is None:
            raise Refused("there is no network of our own to build nodes in")
        nodes = request["nodes"]
        if self._machines or len(nodes) > MOST_NODES:
            raise Refused(f"nodes are built once, and no more than {MOST_NODES}")
        for number, (node, home) in enumerate(nodes, start=1):
            netns = self._hub.add_node(number)
            self._take(Machine(node, address(number), netns, Path(home)))
        addresses = {node: machine.address for node, machine in self._machines.items()}
        return {"addresses": addresses, "hub": HUB_ADDRESS}

    def _register(self, request: Request) -> Answer:
        machine = machines.of_container(
            request["node"],
            request["init"],
            request["address"],
            Path(request["home"]),
            request.get("device", "eth0"),
        )
        if machine.node in self._machines:
            os.close(machine.netns)
            raise Refused(f"{machine.node} is registered already")
        self._take(machine)
        return {}

    def _take(self, machine: Machine) -> None:
        self._machines[machine.node] = machine
        self._probes.open(machine)

    # -- links -----------------------------------------------------------------------------------

    def _make_firewall(self, request: Request) -> Answer:
        if self._firewall is not None:
            raise Refused("there is a firewall already")
        table, known = request["table"], list(self._machines.values())
        clients = request.get("clients", "")
        made, why = firewall.build(request["how"], table, known, clients)
        self._firewall = made
        self._journal.add(f"firewall rules named {table} or {firewall.CHAIN}", made.remove)
        self._rejecter = rejects.Rejecter(known, clients)
        self._journal.add(f"firewall rules named {rejects.CHAIN}", self._rejecter.remove)
        return {"how": made.how, "why": why}

    def _wall(self) -> tuple[firewall.Firewall, rejects.Rejecter]:
        if self._firewall is None or self._rejecter is None:
            raise Refused("no firewall was made yet")
        return self._firewall, self._rejecter

    def _cut(self, request: Request) -> Answer:
        wall, rejecter = self._wall()
        silent = {self._link(pair) for pair in request["links"]}
        told = {self._link(pair) for pair in request.get("rejected", ())}
        rejecter.cut(told)
        wall.cut(silent)
        return {}

    def _dropped(self, _: Request) -> Answer:
        wall, rejecter = self._wall()
        counts = Counter(wall.dropped())
        counts.update(rejecter.dropped())
        return {"links": [[*link, count] for link, count in sorted(counts.items())]}

    def _make_shaper(self, request: Request) -> Answer:
        if self._shaper is not None:
            raise Refused("there is a shaper already")
        made, why = shaping.build(request["how"], list(self._machines.values()))
        self._shaper = made
        self._journal.add("shaping in the nodes' networks", made.remove)
        return {"how": made.how, "why": why}

    def _hands(self) -> shaping.Shaper:
        if self._shaper is None:
            raise Refused("no shaper was made yet")
        return self._shaper

    def _shape(self, request: Request) -> Answer:
        self._hands().shape(
            {
                self._link([source, to]): Behaviour(**behaviour)
                for source, to, behaviour in request["links"]
            }
        )
        return {}

    def _shaped(self, _: Request) -> Answer:
        counts = self._hands().shaped()
        return {"links": [[*link, *astuple(count)] for link, count in sorted(counts.items())]}

    async def _probe(self, request: Request) -> Answer:
        links = [self._link(pair) for pair in request["links"]]
        return {"links": await self._probes.one_way(links, float(request["timeout_s"]))}

    async def _round_trip(self, request: Request) -> Answer:
        link = self._link(request["link"])
        return {"ns": await self._probes.round_trip(link, float(request["timeout_s"]))}

    def _socket(self, request: Request) -> Answer:
        if self._channel is None:
            raise Refused("there is no channel to pass sockets over")
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
            socket.send_fds(self._channel, [b"%d" % request["id"]], [made.fileno()])
        return {}

    # -- servers ---------------------------------------------------------------------------------

    def _spawn(self, request: Request) -> Answer:
        machine = self._machine(request)
        return {"pid": processes.spawn(machine, request["argv"], request.get("env", {}))}

    async def _kill(self, request: Request) -> Answer:
        await processes.kill(self._machine(request))
        return {}

    async def _stop(self, request: Request) -> Answer:
        return {"ended": await processes.stop(self._machine(request), float(request["timeout_s"]))}

    async def _pause(self, request: Request) -> Answer:
        await processes.pause(self._machine(request))
        return {}

    async def _resume(self, request: Request) -> Answer:
        await processes.resume(self._machine(request))
        return {}

    def _state(self, request: Request) -> Answer:
        state, pid = processes.state(self._machine(request))
        return {"state": state, "pid": pid}

    def _wipe(self, request: Request) -> Answer:
        machine = self._machine(request)
        if machines.server(machine):
            raise Refused(f"{machine.node} runs: what it stores stays")
        keep, removed = {processes.LOG, *request["keep"]}, 0
        if self._disks is not None:
            # The mount stays, and so does the folder that it is on: it may be another namespace's.
            name, removed = self._disks.wipe(machine.node)
            keep.add(name)
        return {"bytes": removed + machines.emptied(machine.home, keep)}

    def _clock(self, request: Request) -> Answer:
        skew = {
            "offset_ns": int(request["offset_ns"]),
            "rate": float(request["rate"]),
            "strobe_ns": int(request["strobe_ns"]),
            "strobe_period_ns": int(request["strobe_period_ns"]),
            "monotonic_rate": float(request["monotonic_rate"]),
        }
        path = self._machine(request).home / CLOCK
        # A reader sees the old file or the new one, never a part.
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(skew) + "\n")
        fresh.replace(path)
        return {}

    # -- disks -----------------------------------------------------------------------------------

    def _make_disks(self, request: Request) -> Answer:
        if self._disks is not None:
            raise Refused("there are disks already")
        made = self._disks = disks.Disks()
        self._journal.add("mounts of the nodes' disks", made.remove)
        made.mount(list(self._machines.values()), Path(request["image"]), request["inside"])
        return {}

    def _disk(self, request: Request) -> tuple[disks.Disks, Machine]:
        if self._disks is None:
            raise Refused("no disks were made")
        return self._disks, self._machine(request)

    async def _trouble(self, request: Request) -> Answer:
        made, machine = self._disk(request)
        trouble = disks.Trouble(
            int(request["slow_ns"]),
            request["full"],
            request["read_only"],
            request["broken"],
            int(request["bytes_per_s"]),
        )
        if made.trouble(machine.node, trouble):
            # Nobody can go on with a file system that was given up: its disk is exchanged.
            await processes.kill(machine)
            made.renew(machine.node)
        return {}

    def _disk_counts(self, request: Request) -> Answer:
        made, machine = self._disk(request)
        refused, slowed, limited = made.counts(machine.node)
        return {"refused": refused, "slowed": slowed, "limited": limited}

    def _damage(self, request: Request) -> Answer:
        made, machine = self._disk(request)
        return {"where": made.damage(machine.node, request["how"])}

    def _repair(self, request: Request) -> Answer:
        made, machine = self._disk(request)
        made.repair(machine.node)
        return {}

    async def _power_off(self, request: Request) -> Answer:
        made, machine = self._disk(request)
        await processes.kill(machine)
        return {"lost": made.power_off(machine.node)}

    def _listing(self, _: Request) -> Answer:
        return {"nodes": {} if self._disks is None else self._disks.listing()}

    # -- limits ----------------------------------------------------------------------------------

    def _limit(self, request: Request) -> Answer:
        machine = self._machine(request)
        if self._limits is None:
            name = request["name"]
            self._limits = limits.Limits(name)
            self._journal.add(f"cgroups named {limits.PREFIX}{name}", self._limits.remove)
        wanted = limits.Limit(request["cpu"], request["memory"], bool(request["files"]))
        if wanted == limits.Limit():
            self._limits.lift(machine.node)
        else:
            self._limits.limit(machine, wanted)
        return {}

    def _hits(self, request: Request) -> Answer:
        node = self._machine(request).node
        return asdict(limits.Hits() if self._limits is None else self._limits.hits(node))
