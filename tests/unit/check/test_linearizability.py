"""Edges by hand: what INFO, FAIL, ties in time, nil and model options mean, and the words."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import pytest

from harness.check import check, parse_model, verify_witness
from harness.check.models import Action, Model, Refused, State
from harness.core.errors import UsageError
from harness.core.operations import MISMATCH, Call, History, Operation, Outcome
from harness.core.protocols import Limits
from harness.core.values import Value
from harness.core.verdict import Verdict
from tests.fuzz_checker import SUBJECTS, random_history

MS = 1_000_000
OK, FAIL, INFO = Outcome.OK, Outcome.FAIL, Outcome.INFO


def op(
    index: int,
    f: str,
    value: Value = None,
    *,
    at: tuple[int, int | None],
    result: Value = None,
    outcome: Outcome | None = None,
    error: str | None = None,
    process: int | None = None,
    key: Value = None,
) -> Operation:
    start, end = at
    return Operation(
        index=index,
        process=index if process is None else process,
        call=Call(f, key, value),
        outcome=outcome or (INFO if end is None else OK),
        start=start * MS,
        end=None if end is None or outcome is INFO else end * MS,
        result=result,
        error=error,
    )


def verdict(model: str, *operations: Operation, engine: str = "auto") -> Verdict:
    history = History(operations)
    result = check(history, model, engine=engine)
    if result.verdict is Verdict.VALID:
        assert verify_witness(history, parse_model(model), result.witness) is None
    return result.verdict


VALID, INVALID = Verdict.VALID, Verdict.INVALID
W1 = op(0, "write", 1, at=(0, 10))


@dataclass(frozen=True)
class Edge:
    """What is so, the operations, the verdict, the model."""

    words: str
    expected: Verdict
    operations: tuple[Operation, ...]
    model: str = "cas-register"


EDGES = [
    Edge("nothing happened", VALID, ()),
    Edge("nothing but failures", VALID, (op(0, "write", 1, at=(0, 1), outcome=FAIL),)),
    Edge(
        "an unanswered write may take effect at once",
        VALID,
        (op(0, "write", 1, at=(0, None)), op(1, "read", at=(1, 2), result=1)),
    ),
    Edge(
        "… long after its client gave up",
        VALID,
        (
            op(0, "write", 1, at=(0, None)),
            op(1, "read", at=(1, 2)),
            op(2, "read", at=(90, 91), result=1),
        ),
    ),
    Edge(
        "… or never",
        VALID,
        (op(0, "write", 1, at=(0, None)), op(1, "read", at=(90, 91))),
    ),
    Edge(
        "… but not twice",
        INVALID,
        (
            op(0, "write", 1, at=(0, None)),
            op(1, "read", at=(1, 2), result=1),
            op(2, "write", 2, at=(3, 4)),
            op(3, "read", at=(5, 6), result=1),
        ),
    ),
    Edge(
        "… and not before its call",
        INVALID,
        (op(0, "read", at=(0, 1), result=1), op(1, "write", 1, at=(2, None))),
    ),
    Edge(
        "two unanswered writes of one value may be seen twice",
        VALID,
        (
            op(0, "write", 1, at=(0, None)),
            op(1, "write", 1, at=(0, None)),
            op(2, "read", at=(1, 2), result=1),
            op(3, "write", 2, at=(3, 4)),
            op(4, "read", at=(5, 6), result=1),
        ),
    ),
    Edge(
        "a failed write is never seen",
        INVALID,
        (op(0, "write", 1, at=(0, 1), outcome=FAIL), op(1, "read", at=(2, 3), result=1)),
    ),
    Edge(
        "an unanswered read says nothing",
        VALID,
        (W1, op(1, "read", at=(20, None), result=7)),
    ),
    Edge(
        "touching at one instant is overlapping",
        VALID,
        (W1, op(1, "read", at=(10, 12))),
    ),
    Edge("not touching is not", INVALID, (W1, op(1, "read", at=(11, 12)))),
    Edge(
        "all at one instant, in any order",
        VALID,
        (op(0, "read", at=(5, 5), result=1), op(1, "write", 1, at=(5, 5))),
    ),
    Edge(
        "a cas that met another value observed it",
        INVALID,
        (W1, op(1, "cas", (1, 2), at=(20, 21), outcome=FAIL, error=MISMATCH)),
    ),
    Edge(
        "one that was refused for another reason did not",
        VALID,
        (W1, op(1, "cas", (1, 2), at=(20, 21), outcome=FAIL, error="no leader")),
    ),
    Edge(
        "failed_cas=ignored",
        VALID,
        (W1, op(1, "cas", (1, 2), at=(20, 21), outcome=FAIL, error=MISMATCH)),
        "cas-register:failed_cas=ignored",
    ),
    Edge(
        "an unanswered cas may have done nothing",
        VALID,
        (W1, op(1, "cas", (1, 2), at=(20, None)), op(2, "read", at=(30, 31), result=1)),
    ),
    Edge(
        "… or changed the value",
        VALID,
        (W1, op(1, "cas", (1, 2), at=(20, None)), op(2, "read", at=(30, 31), result=2)),
    ),
    Edge(
        "… but only from what it expected",
        INVALID,
        (W1, op(1, "cas", (3, 2), at=(20, None)), op(2, "read", at=(30, 31), result=2)),
    ),
    Edge(
        "a cas from a value to itself is a read",
        INVALID,
        (W1, op(1, "cas", (3, 3), at=(20, 21))),
    ),
    Edge("nil is a value", INVALID, (W1, op(1, "read", at=(20, 21)))),
    Edge("read_nil=any", VALID, (W1, op(1, "read", at=(20, 21))), "register:read_nil=any"),
    Edge(
        "the initial value",
        VALID,
        (op(0, "read", at=(0, 1), result=0),),
        "register:initial=0",
    ),
    Edge("… and no other", INVALID, (op(0, "read", at=(0, 1), result=0),), "register"),
    Edge(
        "keys are independent",
        VALID,
        (
            op(0, "write", 1, at=(0, 1), key="x"),
            op(1, "read", at=(2, 3), key="y"),
            op(2, "read", at=(2, 3), key="x", result=1),
        ),
    ),
    Edge(
        "a deleted key reads as nil, or as the empty text",
        VALID,
        (
            op(0, "put", "a", at=(0, 1)),
            op(1, "delete", at=(2, 3)),
            op(2, "get", at=(4, 5)),
            op(3, "get", at=(6, 7), result=""),
            op(4, "append", "b", at=(8, 9)),
            op(5, "get", at=(10, 11), result="b"),
        ),
        "kv",
    ),
    Edge(
        "appended texts come concatenated",
        VALID,
        (
            op(0, "append", "x 1 y", at=(0, 5)),
            op(1, "append", "x 2 y", at=(0, 5)),
            op(2, "get", at=(6, 7), result="x 2 yx 1 y"),
        ),
        "kv-append",
    ),
    Edge(
        "an empty queue may say so",
        VALID,
        (op(0, "dequeue", at=(0, 1)), op(1, "enqueue", 1, at=(2, 3))),
        "fifo-queue",
    ),
    Edge(
        "a bag has no order",
        VALID,
        (
            op(0, "enqueue", 1, at=(0, 1)),
            op(1, "enqueue", 2, at=(2, 3)),
            op(2, "dequeue", at=(4, 5), result=2),
        ),
        "unordered-queue",
    ),
    Edge(
        "an unanswered dequeue may have taken any element",
        VALID,
        (
            op(0, "enqueue", 1, at=(0, 1)),
            op(1, "enqueue", 2, at=(2, 3)),
            op(2, "dequeue", at=(4, None)),
            op(3, "dequeue", at=(6, 7), result=2),
            op(4, "dequeue", at=(8, 9)),
        ),
        "unordered-queue",
    ),
    Edge(
        "an unanswered release lets the next one in",
        VALID,
        (
            op(0, "acquire", at=(0, 1), process=1),
            op(1, "release", at=(2, None), process=1),
            op(2, "acquire", at=(90, 91), process=2),
        ),
        "owned-mutex",
    ),
    Edge(
        "only the holder releases",
        INVALID,
        (op(0, "acquire", at=(0, 1), process=1), op(1, "release", at=(2, 3), process=2)),
        "owned-mutex",
    ),
    Edge(
        "a transaction is atomic",
        INVALID,
        (
            op(
                0,
                "txn",
                (("w", "x", 1), ("w", "y", 1)),
                at=(0, 5),
                result=(("w", "x", 1), ("w", "y", 1)),
            ),
            op(
                1,
                "txn",
                (("r", "x", None), ("r", "y", None)),
                at=(0, 5),
                result=(("r", "x", 1), ("r", "y", 0)),
            ),
        ),
        "multi-register:initial=0",
    ),
]


@pytest.mark.parametrize("engine", ["python", "antichain", "wgl"])
@pytest.mark.parametrize("edge", EDGES, ids=[edge.words for edge in EDGES])
def test_edges(edge: Edge, engine: str) -> None:
    assert verdict(edge.model, *edge.operations, engine=engine) is edge.expected


# -- words --------------------------------------------------------------------------------------

STALE = (
    op(1, "write", 3, at=(5, 9), process=2, key="k7"),
    op(2, "write", 4, at=(11, 15), process=5, key="k7"),
    op(3, "read", at=(12, 14), process=1, key="k7", result=3),
    op(4, "read", at=(227, 230), process=7, key="k7", result=3),
)


def test_a_stale_read_in_words() -> None:
    result = check(History(STALE), "register")
    (anomaly,) = result.anomalies
    assert result.verdict is INVALID
    assert anomaly.kind == "stale read"
    assert anomaly.sentence == (
        "Process 7 read 3 from key k7, 212 ms after the write of 4 had been acknowledged."
    )
    assert result.reason == anomaly.sentence
    assert anomaly.operations == (1, 2, 4)
    assert anomaly.culprit == 4
    assert result.partial == {"k7": (1, 3, 2)}
    assert len(anomaly.steps) == 3
    assert anomaly.legal == ("4",)
    assert [segment.values for segment in anomaly.lane] == [
        ("3", "nil"),
        ("3",),
        ("3", "4"),
        ("4",),
    ]
    assert anomaly.lane[0].start == 5 * MS
    assert anomaly.lane[-1].end == 230 * MS
    assert anomaly.at_ns == 230 * MS
    assert anomaly.key == "k7"


def test_places_in_a_file_are_not_told_as_time() -> None:
    events = (
        op(0, "write", 1, at=(0, 1)),
        op(1, "write", 2, at=(2, 3)),
        op(2, "read", at=(4, 5), result=1),
    )
    (anomaly,) = check(History(events, timed=False), "register").anomalies
    assert anomaly.sentence == ("Process 2 read 1, after the write of 2 had been acknowledged.")
    assert not any(" ms" in step or " ns" in step or " s." in step for step in anomaly.steps)


@pytest.mark.parametrize(
    ("model", "f", "there"), [("set", "add", "{… 40}"), ("kv-append", "append", "[… 40]")]
)
def test_a_long_read_needs_none_of_its_elements_to_lack_one(model: str, f: str, there: str) -> None:
    operations = [op(n, f, n, at=(2 * n, 2 * n + 1), key="k2") for n in range(1, 41)]
    read = op(99, "read", at=(100, 101), key="k2", process=6, result=tuple(range(1, 40)))
    (anomaly,) = check(History((*operations, read)), model).anomalies
    assert anomaly.operations == (40, 99)
    assert anomaly.legal == (there,)
    assert anomaly.sentence.startswith(
        "Process 6 read [1 2 3 … 38 39] from key k2 without 40, 19 ms"
    )


def test_the_models_own_reason_for_refusing() -> None:
    operations = (op(0, "acquire", at=(0, 1), process=1), op(1, "release", at=(2, 3), process=2))
    (anomaly,) = check(History(operations), "owned-mutex").anomalies
    assert anomaly.sentence == (
        "Process 2 released the object; "
        "in the longest legal order of the others the lock was held by process 1."
    )


def test_an_unanswered_write_makes_one_more_value_legal() -> None:
    lost = op(5, "write", 9, at=(20, None), process=6, key="k7")
    (anomaly,) = check(History((*STALE[:3], lost, STALE[3])), "register").anomalies
    assert anomaly.legal == ("4", "9")
    assert anomaly.lane[-1].values == ("4", "9")
    assert anomaly.operations == (1, 2, 4)


@pytest.mark.parametrize(
    ("kind", "model", "operations"),
    [
        ("read of a value never written", "register", [W1, op(1, "read", at=(20, 21), result=8)]),
        (
            "read of a failed write",
            "register",
            [op(0, "write", 8, at=(0, 1), outcome=FAIL), op(1, "read", at=(2, 3), result=8)],
        ),
        (
            "read from the future",
            "register",
            [op(0, "read", at=(0, 1), result=1), op(1, "write", 1, at=(2, 3))],
        ),
        (
            "lost write",
            "register",
            [W1, op(1, "read", at=(20, 21)), op(2, "read", at=(22, 23))],
        ),
        ("stale read", "register", [W1, op(1, "read", at=(20, 21))]),
        (
            "cas that succeeded on a value it could not see",
            "cas-register",
            [W1, op(1, "write", 2, at=(11, 12)), op(2, "cas", (1, 3), at=(20, 21))],
        ),
        (
            "cas refused although the value matched",
            "cas-register",
            [W1, op(1, "cas", (1, 2), at=(20, 21), outcome=FAIL, error=MISMATCH)],
        ),
        (
            "duplicate",
            "kv-append",
            [op(0, "append", 1, at=(0, 1)), op(1, "read", at=(2, 3), result=(1, 1))],
        ),
        (
            "contradictory orders",
            "kv-append",
            [
                op(0, "append", 1, at=(0, 5)),
                op(1, "append", 2, at=(0, 5)),
                op(2, "read", at=(6, 7), result=(1, 2)),
                op(3, "read", at=(8, 9), result=(2, 1)),
            ],
        ),
        (
            "stale read",
            "set",
            [op(0, "add", 1, at=(0, 1)), op(1, "read", at=(2, 3), result=())],
        ),
        (
            "lost update",
            "counter",
            [
                op(0, "add", 1, at=(0, 1)),
                op(1, "read", at=(2, 3), result=0),
                op(2, "read", at=(4, 5), result=0),
            ],
        ),
        (
            "read of increments never made",
            "counter",
            [op(0, "add", 1, at=(0, 1)), op(1, "read", at=(2, 3), result=5)],
        ),
        (
            "delivered twice",
            "fifo-queue",
            [
                op(0, "enqueue", 1, at=(0, 1)),
                op(1, "dequeue", at=(2, 3), result=1),
                op(2, "dequeue", at=(4, 5), result=1),
            ],
        ),
        (
            "dequeued out of order",
            "fifo-queue",
            [
                op(0, "enqueue", 1, at=(0, 1)),
                op(1, "enqueue", 2, at=(2, 3)),
                op(2, "dequeue", at=(4, 5), result=2),
            ],
        ),
        (
            "lost element",
            "fifo-queue",
            [op(0, "enqueue", 1, at=(0, 1)), op(1, "dequeue", at=(2, 3))],
        ),
        (
            "two holders of one lock",
            "mutex",
            [op(0, "acquire", at=(0, 1)), op(1, "acquire", at=(2, 3))],
        ),
        (
            "release of a lock that was not held",
            "mutex",
            [op(0, "release", at=(0, 1))],
        ),
    ],
)
def test_anomalies_have_names(kind: str, model: str, operations: list[Operation]) -> None:
    result = check(History(tuple(operations)), model)
    assert [anomaly.kind for anomaly in result.anomalies] == [kind]
    assert result.reason.startswith("Process ")
    assert result.reason.endswith(".")


def test_the_earliest_of_many_anomalies_comes_first_and_later_ones_are_only_named() -> None:
    operations: list[Operation] = []
    for key in range(6):
        late = 100 - 10 * key
        operations.append(op(2 * key, "write", 1, at=(0, 1), key=key))
        operations.append(op(2 * key + 1, "read", at=(late, late + 1), key=key))
    result = check(History(tuple(operations)), "register")
    assert [anomaly.key for anomaly in result.anomalies] == [5, 4, 3, 2, 1, 0]
    assert all(anomaly.steps for anomaly in result.anomalies[:3])
    assert {anomaly.kind for anomaly in result.anomalies} == {"stale read"}


# -- limits and errors --------------------------------------------------------------------------


def hard() -> History:
    """Many unanswered cas between few values, and a last read of a value long overwritten."""

    def ask(rng: random.Random, number: int) -> tuple[str, Value]:
        values = (rng.randrange(6), rng.randrange(6))
        return rng.choice([("read", None), ("write", values[0]), ("cas", values), ("cas", values)])

    subject = replace(SUBJECTS["cas-register:initial=0"], ask=ask)
    rng = random.Random(5)
    easy = random_history(rng, subject, operations=900, clients=8, lost=0.1, lies=0.0)
    end = max(operation.end or 0 for operation in easy.operations) // MS
    last = op(5000, "read", at=(end + 10, end + 11), result=99)
    return History((op(4000, "write", 99, at=(0, 0)), *easy.operations, last))


@pytest.mark.parametrize("engine", ["python", "antichain", "wgl"])
def test_a_time_limit_gives_unknown_with_its_cause(engine: str) -> None:
    result = check(hard(), "cas-register", limits=Limits(time_s=0.05), engine=engine)
    assert result.verdict is Verdict.UNKNOWN
    assert result.limit == "0.05 s of time"
    assert "0.05 s of time" in result.reason


def test_a_memory_limit_gives_unknown_with_its_cause() -> None:
    limits = Limits(time_s=20, memory_bytes=-1 << 40)
    result = check(hard(), "cas-register", limits=limits, engine="wgl")
    assert result.verdict is Verdict.UNKNOWN
    assert result.limit is not None
    assert result.limit.endswith("of memory")


def test_a_violation_elsewhere_wins_over_a_limit() -> None:
    bad = [op(5000, "write", 1, at=(0, 1), key="b"), op(5001, "read", at=(2, 3), key="b")]
    history = History((*bad, *hard().operations))
    assert check(history, "cas-register", limits=Limits(time_s=0.2)).verdict is INVALID


@pytest.mark.parametrize("engine", ["python", "antichain"])
def test_masks_are_of_any_width(engine: str) -> None:
    """Two hundred open operations at once, a hundred kinds of unanswered ones."""
    lost = [op(n, "write", n, at=(0, None)) for n in range(100)]
    together = [op(100 + n, "write", 100 + n, at=(1, 1000)) for n in range(200)]
    reads = [
        op(300 + n, "read", at=(10 + 2 * n, 11 + 2 * n), result=value)
        for n, value in enumerate([7, 299, 99, 100, 50, 187, 0])
    ]
    assert verdict("register", *lost, *together, *reads, engine=engine) is VALID
    again = op(400, "read", at=(40, 41), result=7)
    assert verdict("register", *lost, *together, *reads, again, engine=engine) is INVALID


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nosuch", "unknown model 'nosuch'; known: register, cas-register"),
        ("register:intial=0", "has no option 'intial=0'; it has: initial="),
        ("register:read_nil=maybe", "expected value or any"),
        ("counter:initial=x", "whole number"),
    ],
)
def test_model_strings_are_refused_in_one_line(model: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_model(model)
    assert "\n" not in str(caught.value)


def test_an_unknown_operation_names_those_that_are_known() -> None:
    with pytest.raises(UsageError, match=r"has no operation 'enqueue' \(event 0\); it has: "):
        check(History((op(0, "enqueue", 1, at=(0, 1)),)), "register")


def test_an_operation_that_the_model_cannot_read() -> None:
    with pytest.raises(UsageError, match="a cas takes"):
        check(History((op(0, "cas", 3, at=(0, 1)),)), "cas-register")


def test_an_unknown_engine() -> None:
    with pytest.raises(UsageError, match="known: auto, python"):
        check(History(()), "register", engine="quantum")


# -- models of one's own ------------------------------------------------------------------------


def traffic_light(state: State, action: Action) -> State | Refused:
    colours = ("green", "yellow", "red")
    if action.f == "switch":
        return colours[(colours.index(str(state)) + 1) % 3]
    return state if action.result in (state, None) else Refused("it was", state)


def test_a_model_needs_no_more_than_a_step() -> None:
    model = Model("light", "red", traffic_light, frozenset({"switch", "look"}))
    good = (
        op(0, "switch", at=(0, 5)),
        op(1, "switch", at=(0, None)),
        op(2, "look", at=(6, 7), result="yellow"),
    )
    assert check(History(good), model).verdict is VALID
    bad = check(History((good[0], good[2])), model)
    assert bad.verdict is INVALID
    assert bad.anomalies[0].legal == ("green",)


def test_a_witness_is_verified_without_the_search() -> None:
    model = parse_model("register")
    history = History((W1, op(1, "read", at=(20, 21), result=1)))
    good = check(history, model).witness
    assert good == {None: (0, 1)}
    assert verify_witness(history, model, good) is None
    orders: list[tuple[int, ...]] = [(1, 0), (0,), (0, 1, 1), (0, 1, 7)]
    for order in orders:
        assert verify_witness(history, model, {None: order}) is not None
    assert verify_witness(history, model, {}) is not None
