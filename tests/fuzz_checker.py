"""Random small histories of every model, and the dumbest search there is as their judge.

    python -m tests.fuzz_checker --count 200000 [--seed 1] [--model cas-register]

compares the checker with the judge, verifies every witness and every shrunk counterexample, and
prints the first history on which they differ.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from harness.check import check, parse_model, verify_witness
from harness.check.engines import present
from harness.check.limits import Budget
from harness.check.models import (
    Action,
    Choice,
    Model,
    Refused,
    State,
    Traffic,
    any_state,
    no_shape,
)
from harness.check.native import Native, available
from harness.check.problem import pose
from harness.check.refute import refuted
from harness.core.operations import MISMATCH, Call, History, Operation, Outcome
from harness.core.protocols import Limits
from harness.core.values import Value
from harness.core.verdict import Anomaly, Verdict

# -- the judge ----------------------------------------------------------------------------------


def linearizable(
    operations: Sequence[Operation], model: Model, until: Operation | None = None
) -> bool:
    """Tries every order that respects real time. Exponential; for a dozen operations.

    With ``until``, only what returned no later than that operation has to be in the order.
    """
    told = [(operation, model.action(operation)) for operation in operations]
    latest = (sys.maxsize, 0) if until is None else (until.end or 0, until.index)

    def extend(state: State, left: Sequence[tuple[Operation, Action | None]]) -> bool:
        ends = [
            item.end
            for item, _ in left
            if item.end is not None and (item.end, item.index) <= latest
        ]
        if not ends:
            return True
        first_return = min(ends)
        return any(
            extend(after, [*left[:place], *left[place + 1 :]])
            for place, (operation, action) in enumerate(left)
            if action is not None and operation.start <= first_return
            for after in successors(model, state, action)
        )

    return extend(model.init, [pair for pair in told if pair[1] is not None])


def successors(model: Model, state: State, action: Action) -> Sequence[State]:
    """What ``step`` says, as a sequence."""
    after = model.step(state, action)
    if isinstance(after, Refused):
        return ()
    return after.states if isinstance(after, Choice) else (after,)


def judge(history: History, model: Model) -> bool:
    """Every object by itself."""
    parts: dict[Hashable, list[Operation]] = {}
    for operation in history.operations:
        parts.setdefault(model.partition(operation.call), []).append(operation)
    return all(linearizable(part, model) for part in parts.values())


# -- objects that answer ------------------------------------------------------------------------

Answer = tuple[State, Outcome, Value, str | None]


@dataclass(frozen=True, slots=True)
class Subject:
    """How clients use one model: what they ask, what a correct object answers, a wrong answer."""

    model: str
    ask: Callable[[random.Random, int], tuple[str, Value]]
    answer: Callable[[random.Random, State, str, Value], Answer]
    wrong: Callable[[random.Random, Value], Value]
    start: State


def _ok(state: State, value: Value = None) -> Answer:
    return state, Outcome.OK, value, None


def _register_answer(_: random.Random, state: State, f: str, value: Value) -> Answer:
    match f, value:
        case (("read" | "get"), _):
            return _ok(state, cast("Value", state))
        case (("write" | "put"), _):
            return _ok(value)
        case "delete", _:
            return _ok(None)
        case "append", _:
            return _ok(("" if state is None else str(state)) + str(value))
        case _, (expected, new):
            if state == expected:
                return _ok(new)
            return state, Outcome.FAIL, None, MISMATCH
    raise AssertionError(f)


def _register_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    value = number if rng.random() < 0.4 else rng.randrange(3)
    match rng.randrange(5):
        case 0 | 1:
            return "read", None
        case 2:
            return "write", value
        case _:
            return "cas", (rng.randrange(3), value)


def _plain_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    value = number if rng.random() < 0.6 else rng.randrange(3)
    return ("read", None) if rng.random() < 0.5 else ("write", value)


def _kv_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    text = rng.choice("ab")
    match rng.randrange(8):
        case 0 | 1 | 2:
            return "get", None
        case 3 | 4:
            return "append", text
        case 5:
            return "put", text
        case 6:
            return "delete", None
        case _:
            return "cas", (rng.choice([None, "a"]), rng.choice(["b", "ab"]))


def _list_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    return ("read", None) if rng.random() < 0.4 else ("append", rng.choice([number, 0, 1]))


def _list_answer(_: random.Random, state: State, f: str, value: Value) -> Answer:
    assert isinstance(state, tuple)
    if f == "put":
        return _ok(value)
    return _ok((*state, value)) if f == "append" else _ok(state, cast("Value", state))


def _list_wrong(rng: random.Random, value: Value) -> Value:
    held = list(value) if isinstance(value, tuple) else []
    if held and rng.random() < 0.5:
        held.pop(rng.randrange(len(held)))
    else:
        held.insert(rng.randrange(len(held) + 1), rng.randrange(3))
    return tuple(held)


def _put_list_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    return ("put", (rng.randrange(2),)) if rng.random() < 0.2 else _list_ask(rng, number)


def _text_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    text = rng.choice("ab")
    asked = rng.choice(["get", "get", "append", "append", "put"])
    return asked, None if asked == "get" else text


def _text_answer(rng: random.Random, state: State, f: str, value: Value) -> Answer:
    return _register_answer(rng, state, f, value)


def _set_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    return ("read", None) if rng.random() < 0.4 else ("add", rng.choice([number, 0, 1]))


def _set_answer(_: random.Random, state: State, f: str, value: Value) -> Answer:
    assert isinstance(state, frozenset)
    return _ok(state | {value}) if f == "add" else _ok(state, tuple(sorted(state)))


def _counter_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    return ("read", None) if rng.random() < 0.4 else ("add", rng.choice([1, 1, 2]))


def _up_down_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    return ("read", None) if rng.random() < 0.4 else ("add", rng.choice([1, -1, 2]))


def _counter_answer(_: random.Random, state: State, f: str, value: Value) -> Answer:
    assert isinstance(state, int)
    assert isinstance(value, int) or f == "read"
    return _ok(state + value) if isinstance(value, int) else _ok(state, state)


def _queue_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    return ("dequeue", None) if rng.random() < 0.5 else ("enqueue", rng.choice([number, 0, 1]))


def _fifo_answer(_: random.Random, state: State, f: str, value: Value) -> Answer:
    assert isinstance(state, tuple)
    if f == "enqueue":
        return _ok((*state, value))
    return _ok(state[1:], state[0]) if state else _ok(state)


def _bag_answer(rng: random.Random, state: State, f: str, value: Value) -> Answer:
    assert isinstance(state, tuple)
    if f == "enqueue":
        return _ok((*state, value))
    place = rng.randrange(len(state)) if state else 0
    return _ok(state[:place] + state[place + 1 :], state[place]) if state else _ok(state)


def _unique_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    match rng.randrange(6):
        case 0 | 1:
            return "read", None
        case 2 | 3:
            return "write", number
        case _:
            return "cas", (number - rng.randrange(1, 4), number)


def _unique_queue_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    return ("dequeue", None) if rng.random() < 0.5 else ("enqueue", number)


def _unique_set_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    return ("read", None) if rng.random() < 0.4 else ("add", number)


def _near(rng: random.Random, value: Value) -> Value:
    near = value + rng.choice([-2, -1, 1, 3]) if isinstance(value, int) else 0
    return near if near >= 10 else 0


def _hasty_answer(rng: random.Random, state: State, f: str, value: Value) -> Answer:
    """A queue that now and then does not keep the order."""
    return (_bag_answer if rng.random() < 0.1 else _fifo_answer)(rng, state, f, value)


def _lock_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    return rng.choice(["acquire", "release"]), None


def _lock_answer(_: random.Random, state: State, f: str, value: Value) -> Answer:
    if (state == "free") == (f == "acquire"):
        return _ok("held" if f == "acquire" else "free")
    return state, Outcome.FAIL, None, "the lock said no"


def _token_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    return ("acquire", None) if rng.random() < 0.5 else ("release", rng.randrange(1, 4))


def _token_answer(_: random.Random, state: State, f: str, value: Value) -> Answer:
    held, token = cast("tuple[bool, int]", state)
    if f == "acquire" and not held:
        return _ok((True, token + 1), token + 1)
    if f == "release" and held and token == value:
        return _ok((False, token))
    return state, Outcome.FAIL, None, MISMATCH


def _token_wrong(rng: random.Random, value: Value) -> Value:
    return rng.randrange(1, 5)


def _bank_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    if rng.random() < 0.1:
        return "open", ("x", "y", 2)
    source, to = rng.sample("xy", 2)
    return rng.choice([("transfer", (source, to, rng.randrange(1, 3))), ("snapshot", ("x", "y"))])


def _bank_answer(_: random.Random, state: State, f: str, value: Value) -> Answer:
    held = cast("tuple[int, int] | None", state)
    match f, value:
        case "open", _ if held is None:
            return _ok((2, 2))
        case "snapshot", _:
            return _ok(state, held or (None, None))
        case "transfer", (source, _, int(amount)) if held is not None:
            place = "xy".index(str(source))
            if held[place] >= amount:
                left, other = held[place] - amount, held[1 - place] + amount
                return _ok((left, other) if place == 0 else (other, left))
    return state, Outcome.FAIL, None, MISMATCH if f == "transfer" else "it is open"


def _bank_wrong(rng: random.Random, value: Value) -> Value:
    return (rng.randrange(5), rng.randrange(5)) if isinstance(value, tuple) else value


def _txn_ask(rng: random.Random, number: int) -> tuple[str, Value]:
    steps = tuple(
        (rng.choice(["r", "w"]), rng.choice("xy"), rng.randrange(2))
        for _ in range(rng.randrange(1, 3))
    )
    return "txn", tuple((f, key, None if f == "r" else value) for f, key, value in steps)


def _txn_answer(_: random.Random, state: State, f: str, value: Value) -> Answer:
    assert isinstance(value, tuple)
    held = dict(state) if isinstance(state, tuple) else {}
    done = []
    for item in value:
        assert isinstance(item, tuple)
        kind, key, new = item
        if kind == "w":
            held[key] = new
        done.append((kind, key, held.get(key)))
    return _ok(tuple(sorted(held.items())), tuple(done))


def _txn_wrong(rng: random.Random, value: Value) -> Value:
    assert isinstance(value, tuple)
    steps = []
    for item in value:
        assert isinstance(item, tuple)
        f, key, old = item
        steps.append((f, key, rng.randrange(2) if f == "r" else old))
    return tuple(steps)


def _small(rng: random.Random, value: Value) -> Value:
    return rng.choice([None, 0, 1, 2, 3])


def _number(rng: random.Random, value: Value) -> Value:
    return (value if isinstance(value, int) else 0) + rng.choice([-1, 1, 2])


def _letters(rng: random.Random, value: Value) -> Value:
    return rng.choice(["", "a", "b", "ab", "ba", "aa", "aab"])


SUBJECTS: Mapping[str, Subject] = {
    subject.model: subject
    for subject in (
        Subject("register", _plain_ask, _register_answer, _small, None),
        Subject("register:initial=0,read_nil=any", _plain_ask, _register_answer, _small, 0),
        Subject("cas-register", _register_ask, _register_answer, _small, None),
        Subject("cas-register:initial=0", _register_ask, _register_answer, _small, 0),
        Subject(
            "cas-register:initial=0,read_nil=any,failed_cas=ignored",
            _register_ask,
            _register_answer,
            _small,
            0,
        ),
        Subject("kv", _kv_ask, _register_answer, _letters, None),
        Subject("kv-append", _list_ask, _list_answer, _list_wrong, ()),
        Subject("set", _set_ask, _set_answer, _list_wrong, frozenset()),
        Subject("counter", _counter_ask, _counter_answer, _number, 0),
        Subject("counter:initial=0", _up_down_ask, _counter_answer, _number, 0),
        Subject("fifo-queue", _queue_ask, _fifo_answer, _small, ()),
        Subject("unordered-queue", _queue_ask, _bag_answer, _small, ()),
        Subject("mutex", _lock_ask, _lock_answer, _small, "free"),
        Subject("owned-mutex", _lock_ask, _lock_answer, _small, "free"),
        Subject("fenced-lock", _token_ask, _token_answer, _token_wrong, (False, 0)),
        Subject("bank", _bank_ask, _bank_answer, _bank_wrong, None),
        Subject("multi-register", _txn_ask, _txn_answer, _txn_wrong, ()),
    )
}
UNIQUE: Mapping[str, Subject] = {
    subject.model: subject
    for subject in (
        Subject(
            "cas-register:initial=0,failed_cas=ignored", _unique_ask, _register_answer, _near, 0
        ),
        Subject("set", _unique_set_ask, _set_answer, _list_wrong, frozenset()),
        Subject("fifo-queue", _unique_queue_ask, _hasty_answer, _near, ()),
        Subject("unordered-queue", _unique_queue_ask, _bag_answer, _near, ()),
    )
}
"""Clients that put in each value once: what monitors decide."""
EXTRA: Sequence[Subject] = (
    Subject("kv-append", _put_list_ask, _list_answer, _list_wrong, ()),
    Subject("kv-append", _text_ask, _text_answer, _letters, ""),
    *UNIQUE.values(),
)

# -- histories ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Pending:
    index: int
    process: int
    call: Call
    start: int
    answer: Answer | None = None


def random_history(
    rng: random.Random,
    subject: Subject,
    *,
    operations: int,
    clients: int,
    lost: float,
    lies: float,
) -> History:
    """Clients of a correct object with some answers lost and some falsified; ties in time."""
    state, now, index = subject.start, 0, 0
    waiting: list[_Pending | None] = [None] * clients
    processes = list(range(clients))
    done: list[Operation] = []
    ghosts: list[_Pending] = []
    while index < operations or any(waiting):
        now += rng.choice([0, 1, 1, 2])
        client = rng.randrange(clients)
        pending = waiting[client]
        if ghosts and rng.random() < 0.2:
            ghost = ghosts.pop(rng.randrange(len(ghosts)))
            state = subject.answer(rng, state, ghost.call.f, ghost.call.value)[0]
        if pending is None:
            if index < operations:
                f, value = subject.ask(rng, index + 10)
                call = Call(f, None, value)
                waiting[client] = _Pending(index, processes[client], call, now)
                index += 1
        elif rng.random() < lost:
            if pending.answer is None:
                ghosts.append(pending)
            done.append(_operation(pending, Outcome.INFO, None, None, None))
            processes[client] += clients
            waiting[client] = None
        elif pending.answer is None:
            pending.answer = subject.answer(rng, state, pending.call.f, pending.call.value)
            state = pending.answer[0]
        else:
            _, outcome, value, error = pending.answer
            if rng.random() < lies:
                value, outcome, error = _lie(rng, subject, outcome, value, error)
            done.append(_operation(pending, outcome, now, value, error))
            waiting[client] = None
    return History(tuple(sorted(done, key=lambda operation: operation.index)))


def _lie(
    rng: random.Random, subject: Subject, outcome: Outcome, value: Value, error: str | None
) -> tuple[Value, Outcome, str | None]:
    match rng.randrange(4):
        case 0:
            return value, Outcome.FAIL, rng.choice([MISMATCH, "no leader"])
        case 1 if outcome is Outcome.FAIL:
            return value, Outcome.OK, None
        case _ if value is not None or outcome is Outcome.OK:
            return subject.wrong(rng, value), outcome, error
        case _:
            return value, outcome, error


def _operation(
    pending: _Pending, outcome: Outcome, end: int | None, value: Value, error: str | None
) -> Operation:
    return Operation(
        index=pending.index,
        process=pending.process,
        call=pending.call,
        outcome=outcome,
        start=pending.start,
        end=end,
        result=value,
        error=error,
    )


def arbitrary(rng: random.Random, subject: Subject, size: int = 9) -> History:
    """One history with all parameters drawn."""
    return random_history(
        rng,
        subject,
        operations=rng.randrange(1, size + 1),
        clients=rng.randrange(1, 6),
        lost=rng.choice([0.0, 0.1, 0.3]),
        lies=rng.choice([0.0, 0.1, 0.2, 0.4]),
    )


def undeclared(model: Model) -> Model:
    """The same model with nothing declared: only ``step`` is left."""
    return replace(model, shape=no_shape, project=any_state, commutes=False)


# -- the comparison -----------------------------------------------------------------------------


def disagreement(history: History, model: Model) -> str | None:
    """What is wrong with the checkers' answers to one history, None when nothing is."""
    expected = Verdict.VALID if judge(history, model) else Verdict.INVALID
    culprits = []
    for engine in present():
        result = check(history, model, engine=engine)
        if result.verdict is not expected:
            return f"{engine}: {result.verdict.value}, not {expected.value}: {result.reason}"
        if expected is Verdict.VALID:
            wrong = verify_witness(history, model, result.witness)
        else:
            (anomaly,) = result.anomalies
            culprits.append(anomaly.culprit)
            wrong = unconvincing(history, model, anomaly) or not_the_longest(
                history, model, anomaly, result.partial[anomaly.key]
            )
        if wrong:
            return f"{engine}: {wrong}"
    if len(set(culprits)) > 1:
        return "the engines blame different operations"
    return too_strict(history, model, culprits[0] if culprits else None)


def too_strict(history: History, model: Model, culprit: int | None) -> str | None:
    """What is wrong with the refutation, which the engines above rarely need on small histories:
    it may find nothing, or a return that nothing passes, which is not before the first such."""
    problem = pose(history.operations, model)
    dead = refuted(problem, Budget(Limits()))
    if available() is None and Native(problem).refuted(Budget(Limits())) != dead:
        return "the compiled refutation finds something else"
    if dead is None:
        return None
    if culprit is None:
        return "refuted, although it has a legal order"
    returns = [problem.operations[event >> 1].index for event in problem.events[: dead + 1]]
    return None if culprit in returns else "refuted before the first return that nothing passes"


def unconvincing(history: History, model: Model, anomaly: Anomaly) -> str | None:
    """What is wrong with a counterexample: it must fail by itself, and be minimal."""
    by_index = {operation.index: operation for operation in history.operations}
    shown = [by_index[index] for index in anomaly.operations]
    if len(anomaly.steps) != len(shown) or anomaly.operations[-1] != anomaly.culprit:
        return "the steps do not go with the operations"
    if linearizable(shown, model):
        return "the counterexample has a legal order"
    culprit = shown[-1]
    assert culprit.end is not None
    for left_out in shown:
        failed = left_out.outcome is Outcome.FAIL and anomaly.kind == "read of a failed write"
        if failed or left_out.start > culprit.end:
            continue  # shown only for what it failed to do, or did too late
        rest = honest([one for one in shown if one is not left_out], culprit, history, model)
        if fails_at(rest, culprit, model):
            return f"operation {left_out.index} is not needed in {anomaly.operations}"
    return None


def honest(
    part: list[Operation], culprit: Operation, history: History, model: Model
) -> list[Operation]:
    """A part of a history as it may be judged by itself: see ``orphaned`` and ``restricted``."""
    until = culprit.end or 0
    whole = [item for item in history.operations if item.start <= until and model.action(item)]
    texts = any(item.call.f in ("put", "write") or isinstance(item.result, str) for item in whole)
    if model.restrict is None or texts:
        return orphaned(part, history, model)
    return restricted(part, whole, model)


def restricted(
    part: Sequence[Operation], whole: Sequence[Operation], model: Model
) -> list[Operation]:
    """A part of a collection's history as if only the values existed that it has completely."""
    indices = {item.index for item in part}
    gone = {
        value
        for item in whole
        if item.index not in indices
        for value in _traffic(item, model).brings
    }
    brought = {value for item in whole for value in _traffic(item, model).brings}
    needed = {value for item in whole for value in _traffic(item, model).needs}
    values = (brought | needed) - gone
    assert model.restrict is not None
    return [
        model.restrict(item, values)
        for item in part
        if not gone.intersection(_traffic(item, model).brings)
    ]


def not_the_longest(
    history: History, model: Model, anomaly: Anomaly, order: Sequence[int]
) -> str | None:
    """What is wrong with the longest legal order: it has all that returned before the culprit."""
    by_index = {operation.index: operation for operation in history.operations}
    culprit = by_index[anomaly.culprit if anomaly.culprit is not None else -1]
    last = (culprit.end or 0, culprit.index)
    part = tuple(
        # What had not returned by then may be in the order or not, with the answer it got.
        operation if _before(operation, last) else replace(operation, end=sys.maxsize)
        for operation in history.operations
        if operation is not culprit
    )
    missing = {item.index for item in part if _before(item, last) and model.action(item)} - {*order}
    if missing:
        return f"the longest legal order leaves out {sorted(missing)}"
    chosen = [next(item for item in part if item.index == index) for index in order]
    states: set[State] = {model.init}
    latest = 0
    for operation in chosen:
        action = model.action(operation)
        if action is None or (operation.end is not None and operation.end < latest):
            return f"operation {operation.index} has no place in the longest legal order"
        latest = max(latest, operation.start)
        states = {after for state in states for after in successors(model, state, action)}
    return None if states else "the longest legal order is not legal"


def _before(operation: Operation, last: tuple[int, int]) -> bool:
    return operation.end is not None and (operation.end, operation.index) < last


def fails_at(operations: Sequence[Operation], culprit: Operation, model: Model) -> bool:
    """Whether the culprit's return is the first event of a part that no legal order passes."""
    rest = [operation for operation in operations if operation.index != culprit.index]
    return (
        len(rest) < len(operations)
        and not linearizable(operations, model, until=culprit)
        and linearizable(rest, model, until=culprit)
    )


def orphaned(part: list[Operation], history: History, model: Model) -> list[Operation]:
    """A part without those whose value was brought in the whole history, but not in the part."""
    while True:
        kept = [operation for operation in part if _met(operation, part, history, model)]
        if len(kept) == len(part):
            return kept
        part = kept


def _met(reader: Operation, part: Sequence[Operation], history: History, model: Model) -> bool:
    whole = [item for item in history.operations if model.action(item) is not None]
    return all(
        _brought(need, reader, part, model) or not _brought(need, reader, whole, model)
        for need in _traffic(reader, model).needs
    ) and (_in_reach(reader, part, model) or not _in_reach(reader, whole, model))


def _traffic(operation: Operation, model: Model) -> Traffic:
    action = model.action(operation)
    return Traffic() if action is None else model.traffic(action)


def _brought(need: Value, reader: Operation, part: Sequence[Operation], model: Model) -> bool:
    return any(
        need in _traffic(item, model).brings
        and item.index != reader.index
        and (reader.end is None or item.start <= reader.end)
        for item in part
    )


def _in_reach(reader: Operation, part: Sequence[Operation], model: Model) -> bool:
    reaches = _traffic(reader, model).reaches
    deltas = [_traffic(item, model).delta for item in part]
    return reaches is None or (
        sum(delta for delta in deltas if delta < 0)
        <= reaches
        <= sum(delta for delta in deltas if delta > 0)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the comparison; exit code 1 on the first difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=9)
    parser.add_argument("--model", default=None)
    options = parser.parse_args(arguments)
    subjects = [*SUBJECTS.values(), *EXTRA]
    if options.model:
        subjects = [item for item in subjects if item.model.startswith(options.model)]
    verdicts = [0, 0]
    for number in range(options.count):
        rng = random.Random(f"{options.seed}/{number}")
        subject = subjects[number % len(subjects)]
        history = arbitrary(rng, subject, options.size)
        model = parse_model(subject.model)
        if rng.random() < 0.25:
            model = undeclared(model)
        wrong = disagreement(history, model)
        if wrong:
            print(f"seed {options.seed}/{number}, {subject.model}: {wrong}")
            for operation in history.operations:
                print("   ", operation)
            return 1
        verdicts[judge(history, model)] += 1
    print(f"{options.count} histories, {verdicts[1]} valid, {verdicts[0]} invalid: no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
