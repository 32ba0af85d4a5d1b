"""Each pruning rule, broken on purpose, must be noticed."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest

from harness.check import antichain, engines, openings, parse_model, refute, verify_witness
from harness.check.engines import by_antichain, by_wgl
from harness.check.limits import Budget
from harness.check.linearizability import judge
from harness.check.models import UNSEEN, Model
from harness.check.problem import pose
from harness.core.operations import Call, History, Operation, Outcome
from harness.core.protocols import Limits
from harness.core.values import Value
from tests.fuzz_checker import SUBJECTS, random_history

SEEDS = 1_000
"""Random histories within which a broken rule must show, from the mutation's first seed on."""


@dataclass(frozen=True)
class Mutation:
    """A rule, where it is, what it says, and a wrong version of it; the model that needs it."""

    rule: str
    module: ModuleType
    right: str
    wrong: str
    model: str = "cas-register"
    first_seed: int = 0


MUTATIONS = [
    Mutation(
        "1: an observer counts only where its state allows it",
        openings,
        "granted = self.sees.get(state, 0)",
        "granted = self.observers",
    ),
    Mutation(
        "1: what the state allows is kept when it is left",
        openings,
        "used |= self.granted(state)",
        "pass",
    ),
    Mutation(
        "2: a free operation that returns may also be used now",
        antichain,
        "accepted.setdefault(state, []).append(config)\n                queue.append",
        "accepted.setdefault(state, []).append(config)\n                    continue\n"
        "                queue.append",
    ),
    Mutation(
        "2: only a blind step absorbs",
        openings,
        "steps.append((after, used | bit, free, spent, operation, True))",
        "steps.append((after, used | bit, total, spent, operation, True))",
    ),
    Mutation(
        "2: only total operations are absorbed",
        openings,
        "total = self.total & ~used",
        "total = ~self.observers & ((1 << self.slots) - 1) & ~used",
    ),
    Mutation(
        "3: an unanswered operation takes effect at most once",
        openings,
        "spent + (1 << shift), ~cls, True))\n        returns = {cls for",
        "spent, ~cls, True))\n        returns = {cls for",
        first_seed=1967,
    ),
    Mutation(
        "3: an unanswered operation may take effect",
        openings,
        "self.called[cls] = 1",
        "self.called[cls] = 0",
    ),
    Mutation(
        "4: moves must be treated equally",
        antichain,
        "not ((differ & effects | free) & ~one_free or differ & used & others)",
        "not (differ & used & others)",
    ),
    Mutation(
        "4: free is better than used",
        antichain,
        "not ((differ & effects | free) & ~one_free or",
        "not ((differ & effects) & ~free or",
        first_seed=3516,
    ),
    Mutation(
        "4: an observer that only the other has used matters",
        antichain,
        "or differ & used & others",
        "or differ & used & 0",
    ),
    Mutation(
        "5: a visit that lets an observer go is useful",
        antichain,
        "satisfied or forced or allows & ~used or",
        "satisfied or forced or",
    ),
    Mutation(
        "5: a visit that enables another step is useful",
        openings,
        "if any(not used & bit for bit, _, _ in self.moves.get(state, ())):",
        "if False:",
    ),
    Mutation(
        "5: a visit that enables an unanswered step is useful",
        openings,
        "if state in self.lost_moves:",
        "if False:",
    ),
    Mutation(
        "5: a visit that enables an append is useful",
        openings,
        "if not used & bit and following(state, cls) not in ((), mute):",
        "if False:",
        "kv-append",
    ),
    Mutation(
        "5: a cas is no useless visit",
        openings,
        "steps.append((after, used | bit, free, spent, operation, True))",
        "steps.append((after, used | bit, free, spent, operation, False))",
    ),
    Mutation(
        "8: an observer between two commuting steps matters",
        openings,
        "self.observers & ~used\n            or self.moves",
        "self.moves",
        "set",
    ),
    Mutation(
        "10: of equal operations the one that returns first",
        openings,
        "return self.ends[entry[2]]",
        "return -self.ends[entry[2]]",
    ),
    Mutation(
        "9: a search that cut something off proves nothing",
        antichain,
        "if dead is None or not one.truncated:",
        "if True:",
    ),
]


def mutated(monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    """Installs the search with one rule broken."""
    fresh = {}
    for module in (openings, antichain):
        assert module.__file__ is not None
        source = Path(module.__file__).read_text()
        if module is mutation.module:
            assert mutation.right in source, "the rule has moved: follow it"
            source = source.replace(mutation.right, mutation.wrong)
        copy = ModuleType(module.__name__)
        monkeypatch.setitem(sys.modules, module.__name__, copy)
        exec(compile(source, module.__file__, "exec"), copy.__dict__)
        fresh[module.__name__] = copy
    monkeypatch.setattr(engines, "search", fresh[antichain.__name__].search)


def trial(seed: int, name: str) -> History:
    """A history of some twenty operations: enough for every rule to matter."""
    return random_history(
        random.Random(seed),
        SUBJECTS[name],
        operations=6 + seed % 16,
        clients=2 + seed % 5,
        lost=(0, 0.2, 0.4)[seed % 3],
        lies=(0, 0.1, 0.2)[seed // 3 % 3],
    )


def notices(model: Model, name: str, first: int = 0, seeds: int = SEEDS) -> bool:
    """Whether some history gets a wrong verdict, or an order that is none.

    The second opinion takes seconds for a few of them. These are left out.
    """
    limits = Limits(time_s=1.0)
    honest = parse_model(name)
    for seed in range(first, first + seeds):
        history = trial(seed, name)
        try:
            answer = judge(None, history.operations, model, Budget(limits), by_antichain)
        except (ValueError, IndexError):
            return True  # a trail that explains some operation in no way
        second = judge(None, history.operations, honest, Budget(limits), by_wgl)
        if answer.limit or second.limit:
            continue  # says nothing of the rules
        if (answer.witness is None) is not (second.witness is None):
            return True
        if answer.witness is not None and verify_witness(history, honest, {None: answer.witness}):
            return True
    return False


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[item.rule for item in MUTATIONS])
def test_a_broken_rule_is_noticed(monkeypatch: pytest.MonkeyPatch, mutation: Mutation) -> None:
    mutated(monkeypatch, mutation)
    assert notices(parse_model(mutation.model), mutation.model, mutation.first_seed)


def test_the_rules_as_they_are_pass_the_same_trial() -> None:
    for name in ("cas-register", "kv-append"):
        assert not notices(parse_model(name), name, 0, 400)


def test_spending_other_operations_is_not_dominated(monkeypatch: pytest.MonkeyPatch) -> None:
    """4: the first read may have been of the unanswered write or cas; only one leaves the other."""
    operations = [
        op(0, "write", 0, 0, 1),
        op(1, "write", 1, 2),
        op(2, "cas", (0, 1), 2),
        op(3, "read", None, 4, 5, 1),
        op(4, "write", 5, 6, 7),
        op(5, "read", None, 8, 9, 1),
    ]
    model = parse_model("cas-register")
    assert judge(None, operations, model, Budget(Limits()), by_antichain).witness is not None
    right = "and ((spent | guards) - one_spent) & guards == guards"
    mutated(monkeypatch, Mutation("4", antichain, right, "and True"))
    assert judge(None, operations, model, Budget(Limits()), by_antichain).witness is None


TWICE = [("write", 0, 4, 5, None), ("read", None, 6, 7, 1)]
"""The value is overwritten, and read again."""

EQUAL: list[tuple[str, str, str, str, list[tuple[str, Value, int, int | None, Value]]]] = [
    (
        "one that is used cannot take the place of another",
        "cas-register",
        "if not used & bit and after not in sooner:",
        "if after in sooner or sooner.add(after) or used & bit:\n"
        "                pass\n"
        "            else:",
        [("write", 1, 0, 10, None), ("write", 1, 0, 12, None), ("read", None, 2, 3, 1), *TWICE],
    ),
    (
        "nor of an unanswered one",
        "cas-register",
        "returns = {after for bit, after, _ in self.blind if not used & bit}",
        "returns = {after for bit, after, _ in self.blind}",
        [("write", 1, 0, 10, None), ("write", 1, 0, None, None), ("read", None, 2, 3, 1), *TWICE],
    ),
    (
        "one that may have been absorbed stays so",
        "kv",
        "(cls not in asked or (asked[cls] & free and not bit & free))",
        "cls not in asked",
        [
            ("append", "a", 0, 18, None),
            ("put", "b", 1, 2, None),
            ("append", "a", 3, 20, None),
            ("get", None, 4, 5, "ba"),
            ("get", None, 21, 22, "ba"),
        ],
    ),
]


@pytest.mark.parametrize(("words", "name", "right", "wrong", "calls"), EQUAL)
def test_equal_operations_take_each_others_place_only_where_they_may(
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    name: str,
    right: str,
    wrong: str,
    calls: list[tuple[str, Value, int, int | None, Value]],
) -> None:
    """10, in histories that need both of two equal operations."""
    operations = [op(index, *call) for index, call in enumerate(calls)]
    model = parse_model(name)
    assert judge(None, operations, model, Budget(Limits()), by_antichain).witness is not None
    mutated(monkeypatch, Mutation(words, openings, right, wrong))
    assert judge(None, operations, model, Budget(Limits()), by_antichain).witness is None


def op(
    index: int, f: str, value: Value, start: int, end: int | None = None, result: Value = None
) -> Operation:
    outcome = Outcome.INFO if end is None else Outcome.OK
    return Operation(index, index, Call(f, None, value), outcome, start, end, result)


FORGIVING = [
    (
        "an unanswered operation has an effect",
        "self.blind[to] += 1\n",
        "if bit:\n                self.blind[to] += 1\n",
    ),
    ("an effect can be had until the last with it returns", "if stays and not last:", "if stays:"),
    ("what is seen where one is", "stays = bool((seen | here) & bit)", "stays = bool(seen & bit)"),
    (
        "what is seen on the way, by compare-and-set",
        "seen |= self.movers[one, after]\n            ",
        "pass\n            ",
    ),
    (
        "what is seen on the way, after blind writes",
        "[one | there for one in through]",
        "list(through)",
    ),
    ("a refused cas sees every other state", "self.any_other & ~self", "self.any_other & self"),
    (
        "what was seen on one way does not stand for another",
        "if not any(one & ~other == 0 for other in kept):",
        "if not kept:",
    ),
]


@pytest.mark.parametrize(("rule", "right", "wrong"), FORGIVING)
def test_a_broken_refutation_is_noticed(rule: str, right: str, wrong: str) -> None:
    """It refutes what has a legal order; as it is, it never does."""
    assert refute.__file__ is not None
    source = Path(refute.__file__).read_text()
    assert right in source, "the rule has moved: follow it"
    broken = ModuleType("broken")
    exec(compile(source.replace(right, wrong), refute.__file__, "exec"), broken.__dict__)
    for seed in range(SEEDS):
        for name in ("cas-register", "cas-register:initial=0,read_nil=any,failed_cas=ignored"):
            problem = pose(trial(seed, name).operations, parse_model(name))
            if broken.refuted(problem, Budget(Limits())) is not None:
                found = engines.by_antichain(problem, Budget(Limits()))
                if found.order is not None:
                    return
    pytest.fail(rule)


PROJECTIONS: list[tuple[str, str, Callable[[Model], Model]]] = [
    (
        "6: values that somebody expects are not merged",
        "cas-register",
        lambda model: replace(model, project=lambda _: lambda _: UNSEEN),
    ),
    (
        "7: lists that a read extends are not merged",
        "kv-append",
        lambda model: replace(
            model,
            project=lambda actions: (
                lambda state: state if any(action.result == state for action in actions) else UNSEEN
            ),
        ),
    ),
]


@pytest.mark.parametrize(("rule", "name", "broken"), PROJECTIONS, ids=[p[0] for p in PROJECTIONS])
def test_a_broken_projection_is_noticed(
    rule: str, name: str, broken: Callable[[Model], Model]
) -> None:
    assert notices(broken(parse_model(name)), name), rule
