"""Histories in columns against the same histories as objects: readers, figures, verdicts.

The reader in Python is the specification: what the compiled one takes, it must take alike, and what
it does not take it must leave alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.check import check, parse_model, verify_witness
from harness.check.engines import by_native
from harness.check.glance import by_glance
from harness.check.limits import Budget
from harness.check.native import columned
from harness.check.problem import ColumnProblem, partition, pose
from harness.core.columns import AllOperations, OfOneObject
from harness.core.errors import FormatError, UsageError
from harness.core.operations import (
    Call,
    Complete,
    Completion,
    Event,
    History,
    Invoke,
    Operation,
    Outcome,
)
from harness.core.protocols import Limits
from harness.core.verdict import Verdict
from harness.store.formats import read_history
from harness.store.jsonl import Header, HistoryWriter, read_columns, read_jsonl
from tests.fuzz_checker import EXTRA, SUBJECTS, Subject, random_history
from tests.toolchain import need_native

need_native()

REGISTERS = [name for name in SUBJECTS if parse_model(name).register is not None]

HEADER = b'{"format":"quorum-harness-history","version":1,"nodes":["n1"]}\n'
LINE = st.fixed_dictionaries(
    {"type": st.sampled_from(["invoke", "ok", "fail", "info"]), "process": st.integers(0, 3)},
    optional={
        "index": st.integers(-1, 12) | st.none(),
        "time": st.integers(-5, 60) | st.none() | st.just(1.5),
        "of": st.integers(-1, 12) | st.none(),
        "f": st.sampled_from(["read", "write", "é", 'a"b', ""]),
        "key": st.sampled_from([None, "k", 1, [1, "x"], {"a": [None]}, 1.0, True]),
        "value": st.sampled_from([None, 0, 1, -3, 2**70, "text", 'a"\\b', [1, [2]], 1.0, True, {}]),
        "error": st.sampled_from([None, "mismatch", "", "ü"]),
        "node": st.sampled_from([None, "n1", "n2", ""]),
        "position": st.integers(-2, 9) | st.none(),
        "extra": st.just([1, {"x": "}"}]),
    },
)
"""Anything that looks like a line."""


def sample(subject: Subject, rng: random.Random) -> History:
    """A small history of one object."""
    return random_history(rng, subject, operations=10, clients=3, lost=0.2, lies=0.1)


def written(folder: Path, history: History) -> Path:
    """A file with a history, by the project's own writer."""
    path = folder / "history.jsonl"
    path.unlink(missing_ok=True)
    writer = HistoryWriter(path, Header(nodes=("n1",)))
    for event in events(history):
        writer.write(event)
    writer.close()
    return path


def events(history: History) -> Iterator[Event]:
    """Its events in order of time, at equal times calls first."""
    found: list[tuple[tuple[int, int, int], Operation, Outcome | None]] = []
    last = max((item.end or item.start for item in history.operations), default=0) + 1
    for item in history.operations:
        found.append(((item.start, 0, item.index), item, None))
        found.append(((last if item.end is None else item.end, 1, item.index), item, item.outcome))
    found.sort(key=lambda entry: entry[0])
    numbers: dict[int, int] = {}
    for number, ((at, _, _), item, outcome) in enumerate(found):
        if outcome is None:
            numbers[item.index] = number
            yield Invoke(number, item.index, item.node, at, item.call)
        else:
            told = Completion(outcome, item.result, item.error, item.node, item.position)
            yield Complete(number, numbers[item.index], at, told)


def compare(path: Path) -> bool:
    """The two readers on one file; whether the compiled one took it."""
    raw = path.read_bytes()
    columns = read_columns(path)
    if columns is None:
        return False
    header, history = read_jsonl(raw, str(path))
    assert columns[0] == header
    assert not history.warnings
    assert history.timed
    made = columns[1]
    assert list(made.operations) == list(history.operations)
    assert [type(item.result) for item in made.operations] == [
        type(item.result) for item in history.operations
    ]
    assert len(made) == len(history)
    assert made.operations[-1:] == tuple(history.operations[-1:])
    assert made.called() == history.called()
    assert made.outcomes() == history.outcomes()
    assert made.until_ns() == history.until_ns()
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("columns")


@given(lines=st.lists(LINE, max_size=12))
def test_whatever_looks_like_a_line(folder: Path, lines: list[dict[str, object]]) -> None:
    path = folder / "lines.jsonl"
    path.write_bytes(HEADER + b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    compare(path)


@given(seed=st.integers(0, 10**6), subject=st.sampled_from(list(SUBJECTS)))
def test_histories_as_they_are_written(folder: Path, seed: int, subject: str) -> None:
    """All of these are taken; damaged, they are read alike or left alone."""
    rng = random.Random(seed)
    path = written(folder, sample(SUBJECTS[subject], rng))
    assert compare(path)
    raw = bytearray(path.read_bytes())
    start = raw.index(b"\n") + 1
    if len(raw) == start:
        return
    for _ in range(3):
        damaged = bytearray(raw)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(start, len(damaged))
            match rng.randrange(4):
                case 0:
                    damaged[at] = rng.randrange(256)
                case 1:
                    del damaged[at : at + rng.randint(1, 5)]
                case 2:
                    damaged[at:at] = bytes(rng.choices(b'",:{}[]\\ 0e.-\n', k=2))
                case _:
                    del damaged[max(at, start) :]
            if len(damaged) <= start:
                break
        path.write_bytes(damaged)
        try:
            compare(path)
        except FormatError as error:
            raise AssertionError(f"the compiled reader took what is damaged: {error}") from error


@given(seed=st.integers(0, 10**6), subject=st.sampled_from(list(SUBJECTS)))
def test_posed_and_judged_alike(folder: Path, seed: int, subject: str) -> None:
    kind = SUBJECTS[subject]
    path = written(folder, sample(kind, random.Random(seed)))
    model = parse_model(kind.model)
    columns = read_columns(path)
    assert columns is not None
    made = columns[1]
    _, plain = read_jsonl(path.read_bytes(), str(path))
    assert isinstance(made.operations, AllOperations)
    one, other = partition(made, model), partition(plain, model)
    assert list(one) == list(other)
    for key in one:
        problem, same = pose(one[key], model), pose(other[key], model)
        assert isinstance(problem, ColumnProblem)
        assert list(problem.operations) == list(same.operations)
        for name in ("classes", "returned", "kinds", "at", "to", "initial", "mute", "commutes"):
            assert getattr(problem, name) == getattr(same, name), name
        assert problem.table.states == same.table.states
        assert sorted(problem.events) == sorted(same.events)
    for engine in ("native", "python"):
        judged, again = check(made, model, engine=engine), check(plain, model, engine=engine)
        assert judged.verdict is again.verdict
        assert judged.anomalies == again.anomalies
        assert judged.reason == again.reason
        assert judged.witness.keys() == again.witness.keys()
        if judged.verdict is Verdict.VALID:
            assert verify_witness(made, model, judged.witness) is None


@given(seed=st.integers(0, 10**6), subject=st.sampled_from(REGISTERS))
def test_registers_that_the_core_poses_by_itself(seed: int, subject: str) -> None:
    """At a glance it comes to what the search of the problem that Python poses comes to."""
    kind = SUBJECTS[subject]
    history = random_history(
        random.Random(seed), kind, operations=14, clients=4, lost=0.2, lies=0.1
    )
    model, budget = parse_model(kind.model), Budget(Limits())
    assert model.register is not None
    told = columned(history)
    assert isinstance(told.operations, AllOperations)
    assert list(told.operations) == list(history.operations)
    assert told.called() == history.called()
    assert told.outcomes() == history.outcomes()
    for key, part in partition(told, model).items():
        glanced = by_glance(part, model, budget)
        problem = pose(partition(history, model)[key], model)
        found = by_native(problem, budget)
        assert glanced is not None
        if found.dead is None:
            assert glanced.witness is not None
            assert verify_witness(history, model, {key: glanced.witness}) is None
        else:
            culprit = problem.operations[problem.events[found.dead] >> 1]
            assert glanced.culprit == culprit


TEXTS = next(it for it in EXTRA if it.model == "kv-append" and it.start == "")


@given(seed=st.integers(0, 10**6), lies=st.sampled_from([0.0, 0.1]))
def test_lists_that_the_core_poses_by_itself(seed: int, lies: float) -> None:
    """The same of lists whose reads return text. Where its attempts give up it says nothing."""
    history = random_history(
        random.Random(seed), TEXTS, operations=14, clients=4, lost=0.2, lies=lies
    )
    model, budget = parse_model("kv-append"), Budget(Limits())
    told = columned(history)
    for key, part in partition(told, model).items():
        glanced = by_glance(part, model, budget)
        assert glanced is not None
        problem = pose(partition(history, model)[key], model)
        found = by_native(problem, budget)
        if found.dead is None:
            assert glanced.witness is not None
            assert verify_witness(history, model, {key: glanced.witness}) is None
        else:
            culprit = problem.operations[problem.events[found.dead] >> 1]
            assert glanced.culprit == culprit


def test_lists_of_something_else_are_left_to_python() -> None:
    """As are puts that no list can be, and functions that none has: there are words for those."""
    for call, result in (
        (Call("append", None, 1), None),
        (Call("read", None), (1,)),
        (Call("put", None, 1), None),
        (Call("cas", None, "x"), None),
    ):
        history = columned(History((Operation(0, 0, call, Outcome.OK, 0, 1, result),)))
        model, budget = parse_model("kv-append"), Budget(Limits())
        assert isinstance(history.operations, AllOperations)
        for _, rows in history.operations.columns.parts(keyed=False):
            part = OfOneObject(history.operations.columns, rows)
            assert by_glance(part, model, budget) is None


def test_operations_that_fit_into_no_columns_are_left_as_they_are() -> None:
    call = Call("write", None, 1)
    for odd in (
        Operation(0, 0, call, Outcome.OK, 5, 4),
        Operation(0, 0, call, Outcome.OK, 5, None),
        Operation(0, 0, call, Outcome.OK, 1 << 62, 1 << 62),
        Operation(-1, 0, call, Outcome.OK, 0, 1),
        Operation(0, 1 << 70, call, Outcome.OK, 0, 1),
    ):
        history = History((odd,))
        assert columned(history) is history


def test_a_file_is_read_in_columns_unless_it_is_odd(tmp_path: Path) -> None:
    path = written(tmp_path, sample(SUBJECTS["cas-register"], random.Random(1)))
    assert isinstance(read_history(path).history.operations, AllOperations)
    cut = path.read_bytes()[:-10]
    path.write_bytes(cut)
    recorded = read_history(path)
    assert not isinstance(recorded.history.operations, AllOperations)
    assert "cut off" in recorded.history.warnings[0]


def test_an_operation_that_the_model_does_not_have(tmp_path: Path) -> None:
    path = written(tmp_path, sample(SUBJECTS["cas-register"], random.Random(1)))
    history = read_history(path).history
    with pytest.raises(UsageError, match="model set has no operation"):
        check(history, "set")


def test_many_keys_side_by_side_are_judged_as_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.jsonl"
    lines = [HEADER]
    for number in range(600):
        key, value = f"k{number % 20}", number if number < 590 else 0
        call = {"index": 2 * number, "type": "invoke", "process": 0, "time": 2 * number}
        done = {"index": 2 * number + 1, "type": "ok", "process": 0, "time": 2 * number + 1}
        f = "read" if number >= 590 else "write"
        asked = {} if f == "read" else {"value": value}
        told = {"value": value} if f == "read" else {}
        lines.append(json.dumps({**call, "f": f, "key": key, **asked}).encode() + b"\n")
        lines.append(json.dumps({**done, **told}).encode() + b"\n")
    path.write_bytes(b"".join(lines))
    history = read_history(path).history
    alone = check(history, "register", engine="native")
    monkeypatch.setattr("harness.check.linearizability.MANY", 1)
    together = check(history, "register", engine="native")
    for name in ("verdict", "reason", "anomalies", "witness", "partial"):
        assert getattr(alone, name) == getattr(together, name), name
    times = dict.fromkeys(("search_ms", "check_ms", "explain_ms"), 0)
    assert {**alone.figures, **times} == {**together.figures, **times}
    assert alone.anomalies
    cut = check(history, "register", engine="native", limits=Limits(time_s=0))
    assert cut.limit is not None


def test_values_that_are_equal_are_one_value(tmp_path: Path) -> None:
    """As docs/history-format.md has it, and whoever reads the file."""
    path = tmp_path / "history.jsonl"
    lines = [
        b'{"type":"invoke","process":0,"time":0,"f":"write","value":true}',
        b'{"type":"ok","process":0,"time":1}',
        b'{"type":"invoke","process":0,"time":2,"f":"read"}',
        b'{"type":"ok","process":0,"time":3,"value":1.0}',
    ]
    path.write_bytes(HEADER + b"\n".join(lines) + b"\n")
    history = read_history(path).history
    assert isinstance(history.operations, AllOperations)
    copied = History(tuple(history.operations))
    for engine in ("python", "native", "wgl"):
        assert check(history, "register", engine=engine).verdict is Verdict.VALID
        assert check(copied, "register", engine=engine).verdict is Verdict.VALID
