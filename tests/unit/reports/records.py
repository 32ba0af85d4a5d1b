"""Runs as they could have been, made by hand: what the views are looked at with."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from harness.core.faults import FaultRecord, FaultSpec, FaultStep, Proof
from harness.core.operations import Call, History, Operation, Outcome
from harness.core.plan import Plan, RunSpec, node_names
from harness.core.run import Adequacy, Ending, RoleSpan, RunRecord
from harness.core.units import MILLISECOND, SECOND
from harness.core.values import Value, freeze
from harness.core.verdict import Anomaly, CheckResult, ExitCode, LaneSegment, Verdict

FOLDER = Path("runs/register-partition+kill+clock/20261123T143000Z-7312946")
HOSTILE = "</script><img src=x onerror=alert(1)>"
MINUTE = 60 * SECOND


def ms(value: float) -> int:
    """Milliseconds as run nanoseconds."""
    return round(value * MILLISECOND)


def fault(
    name: str, kind: str, start_s: float, end_s: float, words: str, **resolved: Value
) -> FaultRecord:
    """A fault that bit and was healed."""
    return FaultRecord(
        id=name,
        kind=kind,
        asked_ns=round(start_s * SECOND),
        began_ns=round(start_s * SECOND),
        ended_ns=round(end_s * SECOND),
        words=words,
        resolved=resolved,
        bit=Proof(True, "312 packets dropped between the groups", {"dropped": 312}),
        healed=Proof(True, "all nodes reached each other 0.4 s later"),
    )


FAULTS = (
    fault("F1", "partition", 8, 14, "n5 | n1 n2 n3 n4 (leader was n1)"),
    fault(
        "F2",
        "partition",
        22,
        30,
        "n1 n2 | n3 n4 n5 (leader was n2)",
        groups=(("n1", "n2"), ("n3", "n4", "n5")),
        drops=freeze(
            {
                **{node: ["n3", "n4", "n5"] for node in ("n1", "n2")},
                **{node: ["n1", "n2"] for node in ("n3", "n4", "n5")},
            }
        ),
        leader="n2",
    ),
    fault("F3", "kill", 35, 39, "n4 SIGKILL, restarted (leader was n4)"),
    fault("F4", "clock", 42, 48, "n3 +2.5 s (follower)"),
    fault("F5", "partition", 51, 56, "n1 | n2 n3 n4 n5 (one way: n1 cannot send)"),
)

ROLES = tuple(
    RoleSpan(node, role, term, round(start * SECOND), round(end * SECOND))
    for node, role, term, start, end in (
        ("n1", "leader", 2, 0, 16.2),
        ("n1", "follower", 3, 16.2, 60),
        ("n2", "follower", 2, 0, 16.0),
        ("n2", "candidate", 3, 16.0, 16.2),
        ("n2", "leader", 3, 16.2, 30.2),
        ("n2", "follower", 4, 30.2, 60),
        ("n3", "follower", 2, 0, 60),
        ("n4", "follower", 3, 0, 22.3),
        ("n4", "candidate", 4, 22.3, 22.41),
        ("n4", "leader", 4, 22.41, 35),
        ("n4", "down", 4, 35, 38.2),
        ("n4", "candidate", 4, 38.2, 39),
        ("n4", "follower", 5, 39, 60),
        ("n5", "follower", 3, 0, 35.6),
        ("n5", "candidate", 5, 35.6, 35.9),
        ("n5", "leader", 5, 35.9, 60),
    )
)

PLAN = Plan(
    spec=RunSpec(
        target="raft",
        workload="register",
        nemeses=("partition", "kill", "clock"),
        seed=7312946,
        runtime="auto",
        bugs=("stale-read",),
    ),
    runtime="docker",
    nodes=node_names(5),
    schedule=tuple(
        FaultStep(
            item.id,
            item.began_ns or 0,
            (item.ended_ns or 0) - (item.began_ns or 0),
            FaultSpec(item.kind),
        )
        for item in FAULTS
    ),
    versions={"quorum-harness": "0.1.0", "python": "3.11.2", "raft": "0.1.0"},
    notes=("runtime docker (docker works here)", "firewall nft"),
)


def op(
    index: int,
    process: int,
    call: Call,
    start: float,
    end: float | None,
    result: int | str | None = None,
    outcome: Outcome = Outcome.OK,
    node: str | None = None,
) -> Operation:
    """An operation; times in milliseconds."""
    return Operation(
        index=index,
        process=process,
        call=call,
        outcome=outcome,
        start=ms(start),
        end=None if end is None else ms(end),
        result=result,
        node=node or f"n{process % 5 + 1}",
        error=None if outcome is Outcome.OK else "no answer within 5 s",
    )


WITNESSES = (
    op(4001, 2, Call("write", "k7", 3), 21_912, 21_918, node="n2"),
    op(4101, 5, Call("write", "k7", 4), 23_104, 23_131, node="n4"),
    op(4131, 7, Call("read", "k7"), 23_343, 23_345, result=3, node="n2"),
)
BESIDE = (
    op(4003, 1, Call("read", "k7"), 21_914, 21_921, result=3, node="n3"),
    op(4111, 4, Call("read", "k7"), 23_110, 23_140, result=4, node="n5"),
)

STALE = Anomaly(
    kind="stale read",
    sentence="Process 7 read 3 from k7, 212 ms after the write of 4 had been acknowledged.",
    operations=(4001, 4101, 4131),
    culprit=4131,
    steps=(
        "Process 2 wrote 3 to k7 and got “ok”.",
        "After that, process 5 wrote 4 and got “ok”. From here on nobody may read 3 again.",
        "After that, process 7 read k7 and got 3.",
    ),
    legal=("4",),
    lane=(
        LaneSegment(ms(21_912), ms(21_918), ("?", "3")),
        LaneSegment(ms(21_918), ms(23_104), ("3",)),
        LaneSegment(ms(23_104), ms(23_131), ("3", "4")),
        LaneSegment(ms(23_131), None, ("4",)),
    ),
    key="k7",
    at_ns=ms(23_345),
)


@cache
def crowd(seed: int = 7, rate: int = 52, duration_s: int = 60) -> tuple[Operation, ...]:
    """Ordinary traffic: quick answers, slow ones and silence after a fault began."""
    rng = random.Random(seed)
    found = []
    for number in range(rate * duration_s):
        start = number * 1000 / rate + rng.random() * 8
        troubled = any(
            (item.began_ns or 0) <= ms(start) < (item.began_ns or 0) + ms(700)
            for item in FAULTS
            if item.kind != "clock"
        )
        process = rng.randrange(10)
        key = f"k{rng.randrange(12)}" if rng.random() < 0.9 else "k7"
        value = rng.randrange(1, 6)
        call = Call("read", key) if rng.random() < 0.5 else Call("write", key, value)
        index = 10_000 + 2 * number
        took = rng.lognormvariate(1.4, 0.4)
        roll = rng.random()
        if troubled and roll < 0.35:
            found.append(op(index, process, call, start, None, outcome=Outcome.INFO))
        elif troubled and roll < 0.5:
            found.append(op(index, process, call, start, start + 90, outcome=Outcome.FAIL))
        else:
            if troubled:
                took = rng.uniform(50, 700)
            result = value if call.f == "read" else None
            found.append(op(index, process, call, start, start + took, result))
    return tuple(found)


@cache
def history(*more: Operation) -> History:
    """A minute of traffic with ``more`` in it."""
    everything = [item for item in crowd() if item.call.key != "k7"] + list(more)
    return History(tuple(sorted(everything, key=lambda item: (item.start, item.index))))


CLOCKS = {
    node: tuple(
        (second * SECOND, ms(2500) if node == "n3" and 42 <= second < 48 else ms(second % 3))
        for second in range(0, 60, 2)
    )
    for node in node_names(5)
}

LOGS = {
    "n2": "23.338 leader term=3 commit=4417: read k7 served locally, lease valid\n"
    f"23.339 set k3={HOSTILE}\n",
    "n4": "22.410 won election term=4 votes=n3,n4,n5\n23.128 applied index=4430 k7=4\n",
}


def result(
    checker: str, verdict: Verdict, reason: str, *anomalies: Anomaly, limit: str | None = None
) -> CheckResult:
    """A checker's word."""
    return CheckResult(checker, verdict, reason, anomalies, {"check_ms": 12.5, "keys": 13}, limit)


GOOD = (
    result("majority-commit", Verdict.VALID, "1,302 acknowledged writes were on a majority first"),
    result("one-leader", Verdict.VALID, "4 terms, one leader each"),
    result("liveness", Verdict.VALID, "every node served 412 ms after the last heal"),
)


def record(
    word: str,
    code: ExitCode,
    sentence: str,
    results: Iterable[CheckResult],
    operations: History,
    adequacy: Adequacy | None = None,
) -> RunRecord:
    """A run of a minute."""
    return RunRecord(
        folder=FOLDER,
        plan=PLAN,
        started_utc="2026-11-23T14:30:00Z",
        history=operations,
        faults=FAULTS,
        results=tuple(results),
        ending=Ending(word, code, sentence, adequacy or Adequacy()),
        duration_ns=MINUTE,
        load_ns=(0, MINUTE),
        roles=ROLES,
        clocks=CLOCKS,
        logs=LOGS,
    )


@cache
def stale_read() -> RunRecord:
    """INVALID: a read of a value that had been replaced."""
    reason = "k7: no order of its 5 operations explains the read of 3"
    return record(
        "invalid",
        ExitCode.VIOLATION,
        STALE.sentence,
        (result("linearizable", Verdict.INVALID, reason, STALE), *GOOD),
        history(*WITNESSES, *BESIDE),
    )


@cache
def valid() -> RunRecord:
    """VALID, with five proven faults."""
    reason = "13 keys, 3,120 operations: each key has an order that explains every answer"
    return record(
        "valid",
        ExitCode.VALID,
        "1,258 of 2,589 operations ran during 5 proven faults; nothing promised was broken.",
        (result("linearizable", Verdict.VALID, reason), *GOOD),
        history(*WITNESSES[:2]),
    )


@cache
def unknown() -> RunRecord:
    """UNKNOWN: the search ran out of time."""
    reason = "k3: no answer within 60 s; 12 of 13 keys were decided"
    return record(
        "unknown",
        ExitCode.UNKNOWN,
        "Key k3 was not decided within 60 s.",
        (result("linearizable", Verdict.UNKNOWN, reason, limit="time 60 s"), *GOOD),
        history(*WITNESSES[:2]),
    )


@cache
def inadequate() -> RunRecord:
    """INADEQUATE: a fault did not bite."""
    reasons = ("Fault F2 partition did not bite: no packet was dropped between its groups.",)
    base = record(
        "inadequate",
        ExitCode.INADEQUATE,
        "The run tested nothing: fault F2 partition did not bite.",
        (result("linearizable", Verdict.VALID, "13 keys, each has an order"), *GOOD),
        history(*WITNESSES[:2]),
        Adequacy(reasons, {"proven": 4}),
    )
    dull = replace(FAULTS[1], bit=Proof(False, "0 packets dropped between the groups"))
    return replace(base, faults=(FAULTS[0], dull, *FAULTS[2:]))


@cache
def two_leaders() -> RunRecord:
    """INVALID without operations: two nodes led one term."""
    anomaly = Anomaly(
        kind="two leaders in one term",
        sentence="n2 and n4 both became leader of term 4, 0.8 s apart.",
        steps=(
            "n4 became leader of term 4 at 22.410 s.",
            "n2 became leader of term 4 at 23.210 s.",
        ),
        at_ns=ms(23_210),
    )
    base = record(
        "invalid",
        ExitCode.VIOLATION,
        anomaly.sentence,
        (
            result("linearizable", Verdict.VALID, "13 keys, each has an order"),
            result("one-leader", Verdict.INVALID, "term 4 had two leaders", anomaly),
        ),
        history(*WITNESSES[:2]),
    )
    second = (
        RoleSpan("n2", "leader", 3, ms(16_200), ms(23_000)),
        RoleSpan("n2", "candidate", 4, ms(23_000), ms(23_210)),
        RoleSpan("n2", "leader", 4, ms(23_210), ms(30_200)),
    )
    kept = tuple(span for span in ROLES if not (span.node == "n2" and span.role == "leader"))
    return replace(base, roles=(*kept, *second))


@cache
def environment() -> RunRecord:
    """Nothing could be run."""
    return RunRecord(
        folder=FOLDER,
        plan=PLAN,
        started_utc="2026-11-23T14:30:00Z",
        history=History(()),
        faults=(),
        results=(),
        ending=Ending("environment", ExitCode.ENVIRONMENT, "n3 did not start: port 7000 is taken."),
        duration_ns=0,
    )


@cache
def foreign() -> RunRecord:
    """A history file that no run of ours made."""
    reason = "k7: no order of its 3 operations explains the read of 3"
    return RunRecord(
        folder=Path("histories/stale.edn"),
        plan=None,
        started_utc="",
        history=History(WITNESSES, ("line 9: an unknown field was ignored",)),
        faults=(),
        results=(result("linearizable", Verdict.INVALID, reason, STALE),),
        ending=Ending("invalid", ExitCode.VIOLATION, STALE.sentence),
        duration_ns=ms(23_400),
    )


@cache
def untimed() -> RunRecord:
    """A history whose times are only places in its file."""
    operations = tuple(
        replace(item, start=4 * number, end=4 * number + 3, node=None)
        for number, item in enumerate(WITNESSES)
    )
    lane = (LaneSegment(0, 4, ("3", "nil")), LaneSegment(4, 11, ("4",)))
    steps = (*STALE.steps[:2], "Process 7 read 3; legal here: 4.")
    anomaly = replace(STALE, lane=lane, at_ns=11, steps=steps, key=None)
    base = foreign()
    return replace(
        base,
        history=History(operations, timed=False),
        results=(replace(base.results[0], reason=STALE.sentence, anomalies=(anomaly,)),),
        duration_ns=12,
    )


@cache
def hostile() -> RunRecord:
    """A stale read in which every text that comes from outside tries to break out."""
    bad = HOSTILE + "\x1b[31m\u202e::error::x"
    witnesses = tuple(
        replace(
            item,
            node=bad,
            call=replace(item.call, key=bad, value=item.call.value and bad),
            result=item.result and bad,
            error=bad,
        )
        for item in WITNESSES
    )
    anomaly = replace(
        STALE,
        kind=bad,
        sentence=bad,
        steps=(bad, bad, bad),
        legal=(bad,),
        key=bad,
        lane=tuple(replace(item, values=(bad,)) for item in STALE.lane),
    )
    base = stale_read()
    faults = tuple(
        replace(item, kind=bad, words=bad, bit=Proof(True, bad), healed=Proof(True, bad))
        for item in FAULTS
    )
    spec = replace(PLAN.spec, target=bad, workload=bad, nemeses=(bad,), bugs=(bad,))
    return replace(
        base,
        plan=replace(PLAN, spec=spec, nodes=(bad,), notes=(bad, bad), versions={bad: bad}),
        history=History((*crowd(rate=2), *witnesses), (bad,)),
        faults=faults,
        results=(replace(base.results[0], reason=bad, limit=bad, anomalies=(anomaly, anomaly)),),
        ending=Ending("invalid", ExitCode.VIOLATION, bad),
        roles=tuple(replace(span, node=bad) for span in ROLES),
        clocks={bad: CLOCKS["n1"]},
        logs={bad: f"{bad}\n{bad}\0"},
    )
