"""The replicated state machine: typed values by key, and sessions that make retries harmless.

Deterministic: the same entries in the same order give the same state and the same answers on
every node. A command is a JSON array ``[op, key, argument, session, seq]``:

=========== ======================= ========================================================
op          argument                answers
=========== ======================= ========================================================
write       the new value           null
cas         [expected, new]         null, or the error ``mismatch``
append      the element             null
add         the element of a set    null
increment   the delta               the new count
next        null                    the new count, one more than before: a number never given
enqueue     the element             null
dequeue     null                    the oldest element, which is gone; null of an empty queue
acquire     null                    a token greater than all before; ``mismatch`` if it is held
release     the holder's token      null, or ``mismatch`` if it is not held under this token
txn         [[op, key, argument],…] null; all of it, or nothing and the first error
=========== ======================= ========================================================

The first use of a key fixes its type (register, list, set, counter, queue, lock). Reading a key
that nobody used gives null. In a transaction each key is changed once; its step ``at_least``
changes nothing and is a ``mismatch`` if the counter is less than its argument. Conditions see what
was there before the transaction.

A session makes one request at a time, numbered upwards: a request with the number of the last one
is that one again, and gets its answer again (dissertation, section 6.3).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from zlib import crc32

from target.raft.record import record

SESSIONS = 20_000
"""Kept; the ones that were silent longest go first. A retry later than that many other new
sessions could be applied twice."""

TYPES = {
    "write": "register",
    "cas": "register",
    "append": "list",
    "add": "set",
    "increment": "counter",
    "next": "counter",
    "at_least": "counter",
    "enqueue": "queue",
    "dequeue": "queue",
    "acquire": "lock",
    "release": "lock",
}
"""Which operation belongs to which type of key."""

BLIND = frozenset({"write", "append", "add", "increment", "enqueue"})
"""Operations that nothing in the state can refuse, and whose answer says nothing of it."""

_GROWING = ("list", "set", "queue")
_EMPTY: Mapping[str, object] = {"register": None, "counter": 0, "lock": (False, 0)}

_MASK = (1 << 64) - 1

_decode = json.JSONDecoder().raw_decode
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def command(
    op: str, key: str, argument: object, session: str | None = None, seq: int | None = None
) -> bytes:
    """A command as log entries carry it."""
    return _encode([op, key, argument, session, seq]).encode()


@record
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
        self._taken: dict[str, int] = {}
        self._sessions: dict[str, Result] = {}
        self._held: dict[str, int] = {}
        self._answered: dict[str, int] = {}
        self.fingerprint = 0
        """A sum, modulo 2**64, of hashes of all that is held. Every change keeps it up, at a cost
        that does not grow with the state; equal on nodes that applied the same entries."""

    def apply(self, index: int, term: int, data: bytes) -> Result:
        """Carries out a committed command."""
        (op, key, argument, session, seq), _ = _decode(data.decode())
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
        who, value = ascii(session), ascii(last.value)
        self._count(self._answered, session, f"{who}{last.seq}@{last.index}{value}{last.error}")

    def _count(self, part: dict[str, int], name: str, text: str) -> None:
        """What ``name`` adds to the fingerprint is that of ``text`` from now on."""
        counted = _hash(text)
        self.fingerprint = (self.fingerprint + counted - part.get(name, 0)) & _MASK
        part[name] = counted

    def _grow(self, key: str, held: list[object], element: object) -> None:
        held.append(element)
        counted = self._place(key, self._taken.get(key, 0) + len(held), element)
        self.fingerprint = (self.fingerprint + counted) & _MASK

    def _place(self, key: str, place: int, element: object) -> int:
        """What an element adds to the fingerprint; ``place`` counts all that was ever put in."""
        return _hash(f"{self._types[key]}{key!a}{place}:{element!a}")

    def _dequeue(self, key: str, held: list[object]) -> object:
        if not held:
            return None
        self._take(key, self._taken.get(key, 0) + 1)
        element = held.pop(0)
        counted = self._place(key, self._taken[key], element)
        self.fingerprint = (self.fingerprint - counted) & _MASK
        return element

    def _take(self, key: str, taken: int) -> None:
        """So many elements of a queue are gone."""
        self._taken[key] = taken
        self._count(self._held, key, f"queue{key!a}-{taken}")

    def _change(self, op: str, key: str, argument: object) -> tuple[object, str | None]:
        """(answer, error); with an error nothing is changed."""
        if op == "txn":
            return None, self._transact(argument)
        if op == "at_least":
            return None, "unknown_operation"
        error = self._refusal(op, key, argument)
        return (None, error) if error else (self._do(op, key, argument), None)

    def _transact(self, steps: object) -> str | None:
        """The error; without one all steps are done."""
        if not isinstance(steps, list) or not all(map(_is_step, steps)):
            return "bad_argument"
        changed = [key for op, key, _ in steps if op != "at_least"]
        if len(set(changed)) < len(changed):
            return "bad_argument"
        for op, key, argument in steps:
            error = self._refusal(op, key, argument)
            if error is not None:
                return error
        # No key is changed twice, so what was not refused before the first is not before the last.
        for op, key, argument in steps:
            self._do(op, key, argument)
        return None

    def _refusal(self, op: str, key: str, argument: object) -> str | None:
        """Why an operation cannot be done as things are."""
        wanted = TYPES.get(op)
        if wanted is None:
            return "unknown_operation"
        if self._types.get(key, wanted) != wanted:
            return "wrong_type"
        if op in BLIND and op != "increment":
            return None
        held = self._values.get(key, _EMPTY.get(wanted))
        match op, argument, held:
            case "cas", [expected, _], _:
                return None if same(held, expected) else "mismatch"
            case ("cas", _, _) | (("increment" | "at_least" | "release"), bool(), _):
                return "bad_argument"
            case "at_least", int(), int():
                return None if held >= argument else "mismatch"
            case "release", int(), (taken, token):
                return None if taken and token == argument else "mismatch"
            case ("increment", int(), _):
                return None
            case (("increment" | "at_least" | "release"), _, _):
                return "bad_argument"
            case "acquire", _, (True, _):
                return "mismatch"
        return None

    def _do(self, op: str, key: str, argument: object) -> object:
        """The answer of an operation that nothing refuses."""
        if op == "at_least" or (op == "dequeue" and key not in self._types):
            return None
        if key not in self._types:
            kind = self._types[key] = TYPES[op]
            self._values[key] = [] if kind in _GROWING else _EMPTY[kind]
        match op, self._values[key], argument:
            case "write", _, _:
                self._set(key, argument)
            case "cas", _, [_, new]:
                self._set(key, new)
            case (("append" | "enqueue"), list() as held, _):
                self._grow(key, held, argument)
            case "add", list() as held, _:
                members = self._members.setdefault(key, {})
                name = _encode(argument)
                if name not in members:
                    members[name] = None
                    self._grow(key, held, argument)
            case "dequeue", list() as held, _:
                return self._dequeue(key, held)
            case "increment", int(held), int(delta):
                return self._set(key, held + delta)
            case "next", int(held), _:
                return self._set(key, held + 1)
            case "acquire", (_, int(token)), _:
                self._set(key, (True, token + 1))
                return token + 1
            case "release", (_, token), _:
                self._set(key, (False, token))
        return None

    def _set(self, key: str, value: object) -> object:
        self._values[key] = value
        where, what = ascii(key), ascii(value)
        self._count(self._held, key, f"{self._types[key]}{where}={what}")
        return value

    def read(self, key: str | tuple[str, ...]) -> object:
        """The value of a key, null for one that nobody used; of several keys, all of them at one
        instant. Not to be changed."""
        if isinstance(key, tuple):
            values = map(self._values.get, key)
            return [list(value) if isinstance(value, list) else value for value in values]
        return self._values.get(key)

    def dump(self) -> bytes:
        """All of it as JSON; :meth:`load` reads it."""
        sessions = {} if "snapshot-drops-sessions" in self._bugs else self._sessions
        state: dict[str, object] = {
            "keys": {key: [kind, self._values[key]] for key, kind in self._types.items()},
            "sessions": [
                [name, last.index, last.term, last.seq, last.value, last.error]
                for name, last in sessions.items()
            ],
        }
        if self._taken:
            state["taken"] = self._taken
        return _encode(state).encode()

    @classmethod
    def load(cls, data: bytes, bugs: frozenset[str] = frozenset()) -> Machine:
        """A machine from what :meth:`dump` wrote; from nothing, an empty one."""
        machine = cls(bugs)
        if not data:
            return machine
        state = json.loads(data)
        taken = state.get("taken", {})
        for key, (kind, value) in state["keys"].items():
            machine._types[key] = kind
            if kind in _GROWING:
                held: list[object] = []
                machine._values[key] = held
                if key in taken:
                    machine._take(key, taken[key])
                for element in value:
                    machine._grow(key, held, element)
            else:
                machine._set(key, tuple(value) if kind == "lock" else value)
            if kind == "set":
                machine._members[key] = dict.fromkeys(map(_encode, value))
        for name, index, term, seq, value, error in state["sessions"]:
            machine._remember(name, Result(index, term, name, seq, value, error))
        return machine

    def digest(self) -> str:
        """A hash of everything: equal on nodes that applied the same entries."""
        return hashlib.sha256(self.dump()).hexdigest()


def _is_step(step: object) -> bool:
    match step:
        case [str(), str(), _]:
            return True
    return False


def _hash(text: str) -> int:
    """The square of a CRC-32, the same in every process. Squared, because sums of bare CRCs, which
    are linear, could not tell two values from the same two swapped."""
    number = crc32(text.encode())
    return number * number


def same(one: object, other: object) -> bool:
    """Equality of JSON values: unlike Python's, true is not 1."""
    if type(one) is type(other) and type(one) in (int, str, type(None)):
        return one == other
    return one == other and _encode(one) == _encode(other)
