"""The native core against the Python searches it copies, and where only it goes."""

from __future__ import annotations

import ctypes
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType

import pytest

from harness.check import check, parse_model, verify_witness
from harness.check import native as native_module
from harness.check.antichain import search
from harness.check.engines import ENGINES, by_native, present
from harness.check.limits import Budget, LimitReached
from harness.check.models import Action, Choice, Model, Refused, State
from harness.check.native import Native, available
from harness.check.problem import pose
from harness.check.wgl import wgl
from harness.core.errors import UsageError
from harness.core.operations import Call, History, Operation, Outcome
from harness.core.protocols import Limits
from harness.core.values import Value
from harness.core.verdict import Verdict
from tests.fuzz_checker import SUBJECTS, random_history
from tests.toolchain import need_native

need_native()


def op(
    index: int, f: str, value: Value, start: int, end: int | None, result: Value = None
) -> Operation:
    outcome = Outcome.INFO if end is None else Outcome.OK
    return Operation(index, index, Call(f, None, value), outcome, start, end, result)


def budget(seconds: float = 60.0, memory: int = 2 << 30) -> Budget:
    return Budget(Limits(seconds, memory))


def proven(operations: Sequence[Operation], model: str | Model) -> Verdict:
    """The native verdict; a witness is verified, a refusal is compared with the Python search."""
    model = parse_model(model) if isinstance(model, str) else model
    problem = pose(operations, model)
    swept = Native(problem).search(budget())
    python = search(problem, budget())
    assert swept.dead == python.dead
    if swept.order is None:
        return Verdict.INVALID
    order = [problem.operations[place].index for place in swept.order]
    assert verify_witness(History(tuple(problem.operations)), model, {None: order}) is None
    return Verdict.VALID


def test_the_core_is_there_and_is_the_default() -> None:
    assert available() is None
    assert ENGINES["auto"] is by_native
    assert "native" in present()


@pytest.mark.parametrize("opened", [60, 64, 65, 130, 200, 300])
def test_many_operations_open_at_once(opened: int) -> None:
    """All widths of masks: 1, 2, 4 words, and any number."""
    writes = [op(number, "write", number, number, 10_000 + number) for number in range(opened)]
    reads = [
        op(opened + number, "read", None, 20_000 + 10 * number, 20_005 + 10 * number, opened - 7)
        for number in range(3)
    ]
    assert proven([*writes, *reads], "register") is Verdict.VALID
    other = replace(reads[2], result=3)
    assert proven([*writes, *reads[:2], other], "register") is Verdict.INVALID


@pytest.mark.parametrize("lost", [5, 31, 40, 100, 500])
def test_many_unanswered_operations(lost: int) -> None:
    writes = [op(number, "write", number, number, None) for number in range(lost)]
    reads = [
        op(lost + place, "read", None, 1_000 + 10 * place, 1_005 + 10 * place, place)
        for place in (3, 1, 4)
    ]
    assert proven([*writes, *reads], "register") is Verdict.VALID
    again = replace(reads[0], index=lost + 900, start=2_000, end=2_005)
    assert proven([*writes, *reads, again], "register") is Verdict.INVALID


def test_unanswered_operations_of_one_class_are_counted() -> None:
    """More of one class than a few bits hold; each can explain one reading."""
    lost = [op(number, "add", 1, number, None) for number in range(300)]
    reads = [
        op(1000 + number, "read", None, 1_000 + 10 * number, 1_005 + 10 * number, number)
        for number in range(301)
    ]
    assert proven([*lost, *reads], "counter:initial=0") is Verdict.VALID
    more = op(2000, "read", None, 9_000, 9_001, 301)
    assert proven([*lost, *reads, more], "counter:initial=0") is Verdict.INVALID


def flipping(state: State, action: Action) -> State | Refused | Choice:
    """A coin that nobody declared anything about."""
    if action.f == "flip":
        return Choice(("heads", "tails"))
    return state if state == action.result else Refused("it showed", state)


def coin(calls: list[Action]) -> Model:
    def step(state: State, action: Action) -> State | Refused | Choice:
        calls.append(action)
        return flipping(state, action)

    return Model("coin", "heads", step, frozenset({"flip", "look"}))


def test_a_model_of_ones_own_is_called_back_once_for_each_entry() -> None:
    calls: list[Action] = []
    model = coin(calls)
    flips = [op(number, "flip", None, 10 * number, 10 * number + 5) for number in range(50)]
    looks = [
        op(50 + number, "look", None, 10 * number + 6, 10 * number + 7, ("heads", "tails")[n % 2])
        for number, n in ((number, number // 3) for number in range(50))
    ]
    operations = sorted([*flips, *looks], key=lambda item: item.start)
    assert proven(operations, model) is Verdict.VALID
    assert len(calls) < 500 + 2 * len(operations)  # the verification's own calls are among these
    edge = op(200, "look", None, 900, 901, "edge")
    assert proven([*operations, edge], model) is Verdict.INVALID


def test_what_a_model_raises_comes_through() -> None:
    def step(state: State, action: Action) -> State | Refused | Choice:
        if state == 40:
            raise ZeroDivisionError("a model's mistake")
        return 0 if state is None else int(str(state)) + 1

    model = Model("broken", None, step, frozenset({"go"}))
    operations = [op(number, "go", number, 10 * number, 10 * number + 5) for number in range(60)]
    problem = pose(operations, model)
    core = Native(problem)
    for attempt in (core.search, core.walk):
        with pytest.raises(ZeroDivisionError, match="a model's mistake"):
            attempt(budget())


@pytest.mark.parametrize("model", ["register", "cas-register", "counter:initial=0", "set"])
@pytest.mark.parametrize("clients", [40, 150])
def test_wide_histories_are_walked_step_by_step_the_same(model: str, clients: int) -> None:
    """Windows of many words, with gaps that stay open for long."""
    for seed in range(6):
        rng = random.Random(f"{model}/{clients}/{seed}")
        history = random_history(
            rng, SUBJECTS[model], operations=300, clients=clients, lost=0.02, lies=seed % 2 * 0.02
        )
        problem = pose(history.operations, parse_model(model))
        assert Native(problem).walk(budget(), 8) == wgl(problem, budget(), 8)


def test_an_operation_that_waits_while_hundreds_pass() -> None:
    """It is linearized last, so the window reaches from it over all the others."""
    late = op(0, "read", None, 0, 9_000, 299)
    writes = [op(number, "write", number, 10 * number, 10 * number + 5) for number in range(1, 300)]
    wrong = op(300, "read", None, 8_000, 8_005, 17)
    for operations in ([late, *writes], [late, *writes, wrong]):
        problem = pose(operations, parse_model("register"))
        walk = Native(problem).walk(budget())
        assert walk == wgl(problem, budget())
        assert (walk.order is None) == (len(operations) == 301)


def test_a_long_history_keeps_its_trail() -> None:
    """So many steps that dead ones are thrown away on the way."""
    rng = random.Random(3)
    register = SUBJECTS["register"]
    history = random_history(rng, register, operations=60_000, clients=6, lost=0, lies=0)
    assert len(history.operations) == 60_000
    model = parse_model("register")
    problem = pose(history.operations, model)
    swept = Native(problem).search(budget())
    assert swept.visited > 1 << 16
    assert swept.order is not None
    order = [problem.operations[place].index for place in swept.order]
    assert verify_witness(History(tuple(problem.operations)), model, {None: order}) is None


def test_a_signal_ends_a_search() -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    problem = pose(hard(), parse_model("cas-register"))
    try:
        for attempt in (Native(problem).search, Native(problem).walk):
            allowed = budget()
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                attempt(allowed)
            assert allowed.left_s() > 30
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def hard(count: int = 400) -> list[Operation]:
    """Unanswered cas among few values, which no search gets through: 99 is read twice, and only one
    of them can have brought it."""
    rng = random.Random(5)
    lost = [
        op(number, "cas", (rng.randrange(12), rng.randrange(12)), number, None)
        for number in range(count - 1)
    ]
    once = op(count - 1, "cas", (3, 99), count - 1, None)
    calls: list[tuple[str, Value, Value]] = [("write", 0, None), ("read", None, 99)] * 2
    again = [
        op(count + place, f, value, count + 2 * place, count + 2 * place + 1, result)
        for place, (f, value, result) in enumerate(calls)
    ]
    return [*lost, once, *again]


def test_the_limit_of_time_is_kept() -> None:
    problem = pose(hard(), parse_model("cas-register"))
    for attempt in (Native(problem).search, Native(problem).walk):
        allowed = budget(seconds=0.2)
        with pytest.raises(LimitReached) as limit:
            attempt(allowed)
        assert limit.value.words == "0.2 s of time"
        assert allowed.left_s() > -1.0


def test_the_limit_of_memory_is_kept() -> None:
    problem = pose(hard(), parse_model("cas-register"))
    for attempt in (Native(problem).search, Native(problem).walk):
        # Else what other tests have freed, and the allocator kept, would do for long.
        ctypes.CDLL(None).malloc_trim(0)
        with pytest.raises(LimitReached) as limit:
            attempt(budget(memory=2 << 20))
        assert limit.value.words.endswith("GiB of memory")


def test_a_limit_makes_the_verdict_unknown() -> None:
    limits = Limits(0.2, 2 << 30)
    result = check(History(tuple(hard())), "cas-register", limits=limits, engine="native")
    assert result.verdict is Verdict.UNKNOWN
    assert result.limit == "0.2 s of time"


def test_no_patience_is_told_apart_from_no_order() -> None:
    problem = pose(hard(60), parse_model("cas-register"))
    walk = Native(problem).walk(budget(), 1)
    assert not walk.finished
    assert walk == wgl(problem, budget(), 1)


def test_numbers_that_do_not_fit_together_are_refused() -> None:
    problem = pose([op(0, "write", 1, 0, 1), op(1, "read", None, 2, 3, 1)], parse_model("register"))
    for broken in (
        replace(problem, events=[1, 0, 2, 3]),
        replace(problem, events=[0, 1]),
        replace(problem, classes=[7, 0]),
        replace(problem, kinds=[99 for _ in problem.kinds]),
        replace(problem, returned=[True]),
        replace(problem, at=[-5 for _ in problem.at]),
    ):
        with pytest.raises(ValueError, match=r".+"):
            Native(broken)


def test_without_the_core_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_module, "COMPILED", None)
    monkeypatch.setattr(native_module, "MISSING", "left out at installation")
    assert available() == "left out at installation"
    assert "native" not in present()
    with pytest.raises(UsageError, match="no native engine here; left out at installation"):
        check(History((op(0, "write", 1, 0, 1),)), "register", engine="native")
