"""The replicated state machine: typed values by key, and sessions that make retries harmless.

Deterministic: the same entries in the same order give the same state and the same answers on
every node. A command is a JSON array ``[op, key, argument, session, seq]``:

=========== ======================= ==================================
op          argument                answers
=========== ======================= ==================================
write       the new value           null
cas         [expected, new]         null, or the error ``mismatch``
append      the element             null
add         the element of a set    null
increment   the delta               the new count
=========== ======================= ==================================

The first use of a key fixes its type (register, list, set, counter). Reading a key that nobody
used gives null. A session makes one request at a time, numbered upwards: a request with the
number of the last one is that one again, and gets its answer again (dissertation, section 6.3).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

SESSIONS = 20_000
"""Kept; the ones that were silent longest go first. A retry later than that many other new
sessions could be applied twice."""

TYPES = {
    "write": "register",
    "cas": "register",
    "append": "list",
    "add": "set",
    "increment": "counter",
}
"""Which operation belongs to which type of key."""

_EMPTY: Mapping[str, object] = {"register": None, "list": (), "set": (), "counter": 0}

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def command(
    op: str, key: str, argument: object, session: str | None = None, seq: int | None = None
) -> bytes:
    """A command as log entries carry it."""
    return _encode([op, key, argument, session, seq]).encode()


@dataclass(frozen=True, slots=True)
class Result:
    """What a command answered, and where: ``index`` and ``term`` are those of the entry that took
    effect, which for a retry is the first one. With an error nothing was done, except that
    ``superseded`` is said of an old request whose answer is not known any more."""

    index: int
    term: int
    session: str | None
    seq: int | None
    value: object = None
    error: str | None = None


class Machine:
    """All keys and all sessions."""

    def __init__(self, bugs: frozenset[str] = frozenset()) -> None:
        self._bugs = bugs
        self._types: dict[str, str] = {}
        self._values: dict[str, object] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._sessions: dict[str, Result] = {}

    def apply(self, index: int, term: int, data: bytes) -> Result:
        """Carries out a committed command."""
        op, key, argument, session, seq = json.loads(data)
        if session is not None and "retry-applied-twice" not in self._bugs:
            last = self._sessions.get(session)
            if last is not None and last.seq is not None:
                if seq == last.seq:
                    return last
                if seq < last.seq:
                    return Result(index, term, session, seq, error="superseded")
        value, error = self._change(op, key, argument)
        result = Result(index, term, session, seq, value, error)
        if session is not None:
            self._sessions.pop(session, None)
            self._sessions[session] = result
            if len(self._sessions) > SESSIONS:
                del self._sessions[next(iter(self._sessions))]
        return result

    def _change(self, op: str, key: str, argument: object) -> tuple[object, str | None]:
        """(answer, error); with an error nothing is changed."""
        wanted = TYPES.get(op)
        if wanted is None:
            return None, "unknown_operation"
        if self._types.get(key, wanted) != wanted:
            return None, "wrong_type"
        if op == "cas":
            if not isinstance(argument, list) or len(argument) != 2:
                return None, "bad_argument"
            if not same(self._values.get(key), argument[0]):
                return None, "mismatch"
        if op == "increment" and (isinstance(argument, bool) or not isinstance(argument, int)):
            return None, "bad_argument"
        if key not in self._types:
            self._types[key] = wanted
            self._values[key] = [] if wanted in ("list", "set") else _EMPTY[wanted]
        held = self._values[key]
        match op, held:
            case "write", _:
                self._values[key] = argument
            case "cas", _:
                assert isinstance(argument, list)
                self._values[key] = argument[1]
            case "append", list():
                held.append(argument)
            case "add", list():
                members = self._members.setdefault(key, {})
                name = _encode(argument)
                if name not in members:
                    members[name] = None
                    held.append(argument)
            case "increment", int():
                assert isinstance(argument, int)
                self._values[key] = held + argument
                return self._values[key], None
        return None, None

    def read(self, key: str) -> object:
        """The value of a key, null for one that nobody used. Not to be changed."""
        return self._values.get(key)

    def dump(self) -> bytes:
        """All of it as JSON; :meth:`load` reads it."""
        sessions = {} if "snapshot-drops-sessions" in self._bugs else self._sessions
        state = {
            "keys": {key: [kind, self._values[key]] for key, kind in self._types.items()},
            "sessions": [
                [name, last.index, last.term, last.seq, last.value, last.error]
                for name, last in sessions.items()
            ],
        }
        return _encode(state).encode()

    @classmethod
    def load(cls, data: bytes, bugs: frozenset[str] = frozenset()) -> Machine:
        """A machine from what :meth:`dump` wrote; from nothing, an empty one."""
        machine = cls(bugs)
        if not data:
            return machine
        state = json.loads(data)
        for key, (kind, value) in state["keys"].items():
            machine._types[key] = kind
            machine._values[key] = value
            if kind == "set":
                machine._members[key] = dict.fromkeys(map(_encode, value))
        for name, index, term, seq, value, error in state["sessions"]:
            machine._sessions[name] = Result(index, term, name, seq, value, error)
        return machine

    def digest(self) -> str:
        """A hash of everything: equal on nodes that applied the same entries."""
        return hashlib.sha256(self.dump()).hexdigest()


def same(one: object, other: object) -> bool:
    """Equality of JSON values: unlike Python's, true is not 1."""
    return one == other and _encode(one) == _encode(other)
