"""The shared dataclasses survive storage; nothing unknown, missing or of another kind is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.core.errors import FormatError
from harness.core.faults import FaultRecord, FaultSpec, FaultStep, Proof
from harness.core.plan import Plan, RunSpec
from harness.core.run import Adequacy, Ending
from harness.core.values import freeze
from harness.core.verdict import Anomaly, CheckResult, ExitCode, LaneSegment, Verdict
from harness.store.codec import decode, encode, parse, to_json

SPEC = RunSpec(seed=7, nemeses=("kill", "partition:leader"), bugs=("early-ack",), rate=12.5)
STEP = FaultStep("F1", 10, 20, FaultSpec("kill", {"nodes": 2, "deep": freeze({"a": [1, None]})}))
THINGS: list[object] = [
    Plan(SPEC, "docker", ("n1", "n2"), (STEP,), {"python": "3.11"}, ("picked docker",)),
    FaultRecord(
        "F1",
        "kill",
        1,
        None,
        None,
        "n1",
        {"leader": None, "groups": (("n1",), ("n2",))},
        Proof(True, "gone", {"pids": (1, 2)}),
        Proof(False, "not yet"),
        "no answer",
    ),
    Ending("valid", ExitCode.VALID, "Fine.", Adequacy(("too short",), {"ok": 3})),
    CheckResult(
        "linearizable",
        Verdict.INVALID,
        "bad",
        (
            Anomaly(
                "stale read",
                "Process 1 read 3.",
                (1, 2),
                2,
                ("one", "two"),
                ("4",),
                (LaneSegment(1, None, ("nil", "3")),),
                freeze({"k": [1]}),
                99,
            ),
        ),
        {"check_ms": 1.5, "keys": 2},
        "60 s",
    ),
]


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
@pytest.mark.parametrize("indent", [False, True])
def test_what_is_stored_is_read(thing: object, indent: bool) -> None:
    raw = to_json(thing, indent=indent)
    assert raw.endswith(b"\n")
    assert decode(type(thing), parse(raw, "x.json"), "x.json") == thing


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: type(thing).__name__)
def test_every_field_is_checked(thing: object) -> None:
    """Each field replaced by something that no field is; each removed; one added."""
    kind = type(thing)
    data = encode(thing)
    assert isinstance(data, dict)
    for name in data:
        with pytest.raises(FormatError, match=f"x.json: {name}"):
            decode(kind, {**data, name: 0.5j}, "x.json")
    with pytest.raises(FormatError, match="unknown field 'colour'"):
        decode(kind, {**data, "colour": 1}, "x.json")
    with pytest.raises(FormatError, match="is missing"):
        decode(kind, {}, "x.json")
    with pytest.raises(FormatError, match="expected an object, found a list"):
        decode(kind, [], "x.json")


@dataclass(frozen=True, slots=True)
class Sample:
    number: int = 0
    ratio: float = 0.0
    flag: bool = False
    pair: tuple[int, str] = (0, "")
    verdict: Verdict = Verdict.VALID
    path: Path = Path()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"number": True}, "number: expected a whole number, found true"),
        ({"number": 1.5}, "number: expected a whole number, found the number 1.5"),
        ({"number": None}, "number: expected a whole number, found null"),
        ({"ratio": "1"}, "ratio: expected a number, found the string '1'"),
        ({"flag": 1}, "flag: expected true or false"),
        ({"pair": [1]}, "pair: expected 2 items, found 1"),
        ({"pair": [1, 2]}, r"pair\[1\]: expected a string"),
        ({"verdict": "maybe"}, "verdict: expected one of valid, unknown, invalid"),
        ({"path": 3}, "path: expected a path"),
    ],
)
def test_complaints_name_the_place(data: object, words: str) -> None:
    with pytest.raises(FormatError, match=f"^s: {words}"):
        decode(Sample, data, "s")


def test_whole_numbers_are_numbers() -> None:
    assert decode(Sample, {"ratio": 2, "path": "a/b"}, "s") == Sample(ratio=2.0, path=Path("a/b"))


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError, match="x: expected JSON"):
        parse(raw, "x")


def test_only_what_is_known_is_stored() -> None:
    with pytest.raises(TypeError, match="no codec for"):
        to_json(object())
