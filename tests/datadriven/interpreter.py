"""The commands of transcripts. Each prints what the nodes did because of it.

::

    nodes n1=100 n2=150-300 [bug=NAME] [heartbeat=MS] [snapshot=N] [trailing=N] [batch=N]
          [identities=yes]
    disk n1 term=3 vote=n2 log=1,1,3       what a node finds at its start (before ``start``)
    start                                  all nodes
    advance MS                             time passes at once, for all
    settle                                 disks sync and messages arrive until nothing is left
    run MS                                 both, in steps of 5 ms; prints roles and answers only
    deliver A B [COUNT]                    the oldest messages from A to B arrive
    lose A B                               messages on their way from A to B are lost
    double A B                             the oldest arrives, and a copy of it is held back
    late                                   what was held back arrives
    sync A
    write A OP KEY VALUE [SESSION SEQ]     a client's request at A
    read A KEY
    transfer A B                           A is asked to hand over to B
    learner A B; promote A B; remove A B   A is asked to change the members
    snapshot A                             A is asked to compact its log
    crash A; restart A
    wipe A                                 A ends, and its disk is lost
    cut A B | C; heal
    status                                 a line a node
    wires                                  what is on its way
"""

from __future__ import annotations

import json
from dataclasses import replace

from target.events import Reply, RoleChanged
from target.machine import command
from target.raft.duties import Config
from target.raft.messages import COMMAND, Entry, HardState
from tests.datadriven.words import effect_words, message_words, node_words
from tests.datadriven.world import Breach, Disk, Envelope, World

_OPTIONS = ("bug", "snapshot", "heartbeat", "trailing", "batch", "identities")


class Interpreter:
    """Runs one script. :meth:`run` returns what a command printed."""

    def __init__(self) -> None:
        self._timeouts: dict[str, tuple[int, int]] = {}
        self._options: dict[str, str] = {}
        self._disks: dict[str, Disk] = {}
        self._world: World | None = None
        self._shown = 0
        self._late: list[Envelope] = []

    @property
    def world(self) -> World:
        assert self._world is not None, "start comes first"
        return self._world

    def run(self, line: str) -> str:
        """One command's output, without a final newline."""
        try:
            said = self._carry_out(line.split())
        except Breach as breach:
            said = f"BREACH {breach}"
        lines = self._news(briefly=line.startswith("run "))
        if said:
            lines.append(said)
        return "\n".join(lines)

    def _carry_out(self, words: list[str]) -> str | None:
        """What a command has to say beside what the nodes did."""
        match words:
            case ["nodes", *nodes]:
                self._nodes(nodes)
            case ["disk", name, *contents]:
                self._disk(name, contents)
            case ["start"]:
                self._start()
            case ["advance", ms]:
                self.world.advance(int(ms))
            case ["run", ms]:
                self.world.run(int(ms))
            case ["settle"]:
                self.world.settle()
            case ["deliver", sender, receiver, *count]:
                return self._deliver(sender, receiver, int(count[0]) if count else 1)
            case ["lose", sender, receiver]:
                return self._lose(sender, receiver)
            case ["double", sender, receiver]:
                self._late.append(self.world.wires[self._oldest(sender, receiver)])
                return self._deliver(sender, receiver, 1)
            case ["late"]:
                self.world.wires = self._late + self.world.wires
                late, self._late = self._late, []
                return "arrived: " + "; ".join(
                    message_words(self.world.deliver().message) for _ in late
                )
            case ["sync", name]:
                self.world.sync(name)
            case ["write", name, op, key, value]:
                return f"request {self.world.write(name, command(op, key, json.loads(value)))}"
            case ["write", name, op, key, value, session, seq]:
                data = command(op, key, json.loads(value), session, int(seq))
                return f"request {self.world.write(name, data)}"
            case ["read", name, key]:
                return f"request {self.world.read(name, key)}"
            case ["transfer", name, to]:
                return f"request {self.world.transfer(name, to)}"
            case ["learner" | "promote" | "remove" as action, name, node]:
                return f"request {self.world.change(name, action, node)}"
            case ["snapshot", name]:
                return f"request {self.world.take_snapshot(name)}"
            case ["wipe", name]:
                self.world.lose_disk(name)
            case ["crash", name]:
                self.world.crash(name)
            case ["restart", name]:
                self.world.restart(name)
            case ["cut", *sides]:
                self.world.cut([side.split() for side in " ".join(sides).split("|")])
            case ["heal"]:
                self.world.heal()
            case ["status"]:
                return self._status()
            case ["wires"]:
                return self._wires()
            case _:
                raise ValueError(f"no command: {' '.join(words)}")
        return None

    def _news(self, *, briefly: bool) -> list[str]:
        if self._world is None:
            return []
        events = self._world.events[self._shown :]
        self._shown = len(self._world.events)
        return [
            f"{node} {effect_words(effect)}"
            for node, effect in events
            if not briefly or isinstance(effect, RoleChanged | Reply)
        ]

    # -- set-up ---------------------------------------------------------------------------------

    def _nodes(self, words: list[str]) -> None:
        for word in words:
            name, _, value = word.partition("=")
            low, _, high = value.partition("-")
            if name in _OPTIONS:
                self._options[name] = value
            else:
                self._timeouts[name] = (int(low), int(high or low))

    def _disk(self, name: str, words: list[str]) -> None:
        given = dict(word.split("=") for word in words)
        terms = [int(term) for term in given.get("log", "").split(",") if term]
        entries = [
            Entry(index, term, COMMAND, command("write", "x", f"{index}/{term}"))
            for index, term in enumerate(terms, 1)
        ]
        hard = HardState(int(given.get("term", terms[-1] if terms else 0)), given.get("vote"))
        self._disks[name] = Disk(hard=hard, entries=entries)

    def _start(self) -> None:
        self._world = World(
            self._timeouts,
            bugs=[self._options["bug"]] if "bug" in self._options else [],
            snapshot_entries=int(self._options.get("snapshot", 1_000_000)),
            raft=self._config,
            disks=self._disks,
            identified="identities" in self._options,
        )

    def _config(self, config: Config) -> Config:
        return replace(
            config,
            heartbeat_ms=int(self._options.get("heartbeat", config.heartbeat_ms)),
            trailing=int(self._options.get("trailing", config.trailing)),
            batch_entries=int(self._options.get("batch", config.batch_entries)),
        )

    # -- what happens ---------------------------------------------------------------------------

    def _oldest(self, sender: str, receiver: str) -> int:
        return next(
            place
            for place, it in enumerate(self.world.wires)
            if (it.sender, it.receiver) == (sender, receiver)
        )

    def _deliver(self, sender: str, receiver: str, count: int) -> str:
        delivered = [
            message_words(self.world.deliver(self._oldest(sender, receiver)).message)
            for _ in range(count)
        ]
        return "arrived: " + "; ".join(delivered)

    def _lose(self, sender: str, receiver: str) -> str:
        wires = self.world.wires
        lost = [it for it in wires if (it.sender, it.receiver) == (sender, receiver)]
        self.world.wires = [it for it in wires if it not in lost]
        return "\n".join(f"lost: {message_words(it.message)}" for it in lost)

    # -- looks ----------------------------------------------------------------------------------

    def _status(self) -> str:
        return "\n".join(
            f"{name} {node_words(self.world.nodes[name])}"
            if name in self.world.nodes
            else f"{name} is down"
            for name in self._timeouts
        )

    def _wires(self) -> str:
        return "\n".join(
            f"{it.sender} -> {it.receiver}: {message_words(it.message)}" for it in self.world.wires
        )
