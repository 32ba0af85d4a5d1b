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
from zlib import crc32

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

_MASK = (1 << 64) - 1

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
        self._held: dict[str, int] = {}
        self._answered: dict[str, int] = {}
        self.fingerprint = 0
        """A sum, modulo 2**64, of hashes of all that is held. Every change keeps it up, at a cost
        that does not grow with the state; equal on nodes that applied the same entries."""

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
            self._remember(session, result)
            if len(self._sessions) > SESSIONS:
                oldest = next(iter(self._sessions))
                del self._sessions[oldest]
                self.fingerprint = (self.fingerprint - self._answered.pop(oldest)) & _MASK
        return result

    def _remember(self, session: str, last: Result) -> None:
        self._sessions[session] = last
        text = f"{session!a}{last.seq}@{last.index}{last.value!a}{last.error}"
        self._count(self._answered, session, text)

    def _count(self, part: dict[str, int], name: str, text: str) -> None:
        """What ``name`` adds to the fingerprint is that of ``text`` from now on."""
        counted = _hash(text)
        self.fingerprint = (self.fingerprint + counted - part.get(name, 0)) & _MASK
        part[name] = counted

    def _grow(self, key: str, held: list[object], element: object) -> None:
        held.append(element)
        text = f"{self._types[key]}{key!a}{len(held)}:{element!a}"
        self.fingerprint = (self.fingerprint + _hash(text)) & _MASK

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
                self._set(key, argument)
            case "cas", _:
                assert isinstance(argument, list)
                self._set(key, argument[1])
            case "append", list():
                self._grow(key, held, argument)
            case "add", list():
                members = self._members.setdefault(key, {})
                name = _encode(argument)
                if name not in members:
                    members[name] = None
                    self._grow(key, held, argument)
            case "increment", int():
                assert isinstance(argument, int)
                self._set(key, held + argument)
                return self._values[key], None
        return None, None

    def _set(self, key: str, value: object) -> None:
        self._values[key] = value
        self._count(self._held, key, f"{self._types[key]}{key!a}={value!a}")

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
            if kind in ("list", "set"):
                held: list[object] = []
                machine._values[key] = held
                for element in value:
                    machine._grow(key, held, element)
            else:
                machine._set(key, value)
            if kind == "set":
                machine._members[key] = dict.fromkeys(map(_encode, value))
        for name, index, term, seq, value, error in state["sessions"]:
            machine._remember(name, Result(index, term, name, seq, value, error))
        return machine

    def digest(self) -> str:
        """A hash of everything: equal on nodes that applied the same entries."""
        return hashlib.sha256(self.dump()).hexdigest()


def _hash(text: str) -> int:
    """The square of a CRC-32, the same in every process. Squared, because sums of bare CRCs, which
    are linear, could not tell two values from the same two swapped."""
    number = crc32(text.encode())
    return number * number


def same(one: object, other: object) -> bool:
    """Equality of JSON values: unlike Python's, true is not 1."""
    return one == other and _encode(one) == _encode(other)
