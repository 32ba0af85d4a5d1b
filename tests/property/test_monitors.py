"""The monitors against the searches, and each of their conditions broken on purpose."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.check import parse_model, verify_witness
from harness.check.engines import by_wgl
from harness.check.limits import Budget
from harness.check.linearizability import judge
from harness.check.models import Model
from harness.check.monitors import monitored, queues, registers, sets
from harness.check.native import Native, available
from harness.check.problem import pose
from harness.core.operations import History
from harness.core.protocols import Limits
from tests.fuzz_checker import SUBJECTS, UNIQUE, random_history


def trial(seed: int, name: str, size: int = 16) -> History:
    return random_history(
        random.Random(seed),
        UNIQUE[name],
        operations=4 + seed % size,
        clients=2 + seed % 5,
        lost=(0, 0.1, 0.3)[seed % 3],
        lies=(0, 0.05, 0.15)[seed // 3 % 3],
    )


def difference(history: History, model: Model) -> str | None:
    """What is wrong with the monitor's answer, if it has one; ``none`` when it has none."""
    if not history.operations:
        return "none"
    problem = pose(history.operations, model)
    known = monitored(problem, Budget(Limits()))
    if known is None:
        return "none"
    found = by_wgl(problem, Budget(Limits()))
    if (known.order is None) is not (found.order is None):
        return f"valid: {known.order is not None}, in truth {found.order is not None}"
    if known.order is None:
        return None if known.dead == found.dead else f"dead at {known.dead}, not at {found.dead}"
    answer = judge(
        None,
        history.operations,
        model,
        Budget(Limits()),
        lambda *_: replace(found, order=known.order),
    )
    assert answer.witness is not None
    return verify_witness(history, model, {None: answer.witness})


@pytest.mark.parametrize("name", UNIQUE)
@given(seed=st.integers(0, 1 << 32))
def test_a_monitor_says_what_the_search_says(name: str, seed: int) -> None:
    assert difference(trial(seed, name), parse_model(name)) in (None, "none")


@pytest.mark.parametrize("name", UNIQUE)
def test_a_monitor_decides_where_values_are_unique(name: str) -> None:
    answers = [difference(trial(seed, name), parse_model(name)) for seed in range(0, 300, 3)]
    assert answers.count(None) >= 90


@pytest.mark.parametrize("name", ["cas-register:initial=0", "set", "fifo-queue", "unordered-queue"])
def test_it_decides_nothing_where_a_value_is_put_in_twice(name: str) -> None:
    model, twice = parse_model(name), 0
    for seed in range(300):
        history = random_history(
            random.Random(seed), SUBJECTS[name], operations=20, clients=4, lost=0.1, lies=0.1
        )
        assert difference(history, model) in (None, "none")
        twice += difference(history, model) == "none"
    assert twice > 200


@pytest.mark.skipif(available() is not None, reason=f"no native core here: {available()}")
@pytest.mark.parametrize("name", ["fifo-queue", "unordered-queue"])
@given(seed=st.integers(0, 1 << 32))
def test_compiled_it_says_the_same(name: str, seed: int) -> None:
    """To the last place in the order; and that it does not decide, where it does not."""
    many = UNIQUE[name] if seed % 4 else SUBJECTS[name]
    history = random_history(
        random.Random(seed),
        many,
        operations=4 + seed % 60,
        clients=2 + seed % 9,
        lost=(0, 0.1, 0.3)[seed % 3],
        lies=(0, 0.05, 0.15)[seed // 3 % 3],
    )
    problem, budget = pose(history.operations, parse_model(name)), Budget(Limits())
    numbers = queues.roles(problem)
    assert numbers is not None
    assert Native(problem).queue(budget, numbers) == monitored(problem, budget)


SEEDS = 10_000
"""Random histories within which a broken condition must show."""


@dataclass(frozen=True)
class Mutation:
    """A condition, where it is, what it says, a wrong version of it; the model that needs it."""

    condition: str
    module: ModuleType
    right: str
    wrong: str
    model: str


REGISTER, SET, FIFO, BAG = UNIQUE
MUTATIONS = [
    Mutation(
        "register: forward zones do not overlap",
        registers,
        "if other.first < one.last:",
        "if False:",
        REGISTER,
    ),
    Mutation(
        "register: no backward zone within a forward one",
        registers,
        "if before >= 0 and forward[before].last > block.first:",
        "if False:",
        REGISTER,
    ),
    Mutation(
        "register: a block keeps time within itself",
        registers,
        "if not self.intervals.keeps_time(block.order, ends):",
        "if False:",
        REGISTER,
    ),
    Mutation(
        "register: an unanswered write that was read took effect",
        registers,
        "there.append(writer)\n",
        "pass\n",
        REGISTER,
    ),
    Mutation(
        "register: what an unanswered cas expects must have been written too",
        registers,
        "needed.append(at[cls])",
        "pass",
        REGISTER,
    ),
    Mutation(
        "register: the initial value comes first",
        registers,
        "block.first = -1",
        "pass",
        REGISTER,
    ),
    Mutation("set: reads are a chain", sets, "if not held <= members:", "if False:", SET),
    Mutation(
        "set: what was read was added",
        sets,
        "if -1 in new:",
        "if False:",
        SET,
    ),
    Mutation(
        "set: real time",
        sets,
        "return order if intervals.keeps_time(order, ends) else None",
        "return order",
        SET,
    ),
    Mutation(
        "register: all compare-and-set have a place",
        registers,
        "if order is None or len(order) < len(there) + sum(map(len, readers.values())):",
        "if order is None:",
        REGISTER,
    ),
    Mutation(
        "queue: unanswered dequeues take away what must be gone",
        queues,
        "self._take_away(elements, last)\n",
        "pass\n",
        FIFO,
    ),
    Mutation(
        "queue: the most urgent element first",
        queues,
        "urgent.sort()",
        "urgent.sort(reverse=True)",
        FIFO,
    ),
    Mutation(
        "queue: P",
        queues,
        "elements[by_put[puts]].put_call < first[0][0]",
        "elements[by_put[puts]].put_call < NEVER",
        FIFO,
    ),
    Mutation(
        "queue: Q",
        queues,
        "elements[by_take[takes]].take_call <= second[0][0]",
        "elements[by_take[takes]].take_call <= NEVER",
        FIFO,
    ),
    Mutation(
        "queue: S", queues, "(min(it.put_end, it.take_end), place)", "(it.put_end, place)", FIFO
    ),
    Mutation(
        "queue: R",
        queues,
        "(min(it.take_end, beyond(it.put_end)), place)",
        "(it.take_end, place)",
        FIFO,
    ),
    Mutation(
        "queue: taken once",
        queues,
        "if len(takers) > 1 and ends[takers[1]] < NEVER:",
        "if False:",
        BAG,
    ),
    Mutation(
        "queue: put in before it was taken",
        queues,
        "if ends[taker] < calls[put]:",
        "if False:",
        BAG,
    ),
    Mutation(
        "queue: taken, so put in", queues, "if value not in self.enqueues and", "if False and", BAG
    ),
    Mutation(
        "queue: an instant while it was empty",
        queues,
        "if instant > ends[operation]:",
        "if False:",
        BAG,
    ),
    Mutation(
        "queue: certain until the last one is taken",
        queues,
        "tos[-1] = max(tos[-1], end)",
        "tos[-1] = end",
        BAG,
    ),
    Mutation(
        "queue: nothing comes before a gap that it must come after",
        queues,
        "put = max(put, gap, element.put_call)",
        "put = max(put, element.put_call)",
        FIFO,
    ),
    Mutation(
        "queue: empty and unanswered do not go together",
        queues,
        "if queue.unclear or (queue.empty and queue.unanswered):",
        "if queue.unclear:",
        FIFO,
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[item.condition for item in MUTATIONS])
def test_a_broken_condition_is_noticed(mutation: Mutation) -> None:
    assert mutation.module.__file__ is not None
    source = Path(mutation.module.__file__).read_text()
    assert source.count(mutation.right) == 1, "the condition has moved: follow it"
    broken = ModuleType(mutation.module.__name__)
    exec(compile(source.replace(mutation.right, mutation.wrong), "broken", "exec"), broken.__dict__)
    model = parse_model(mutation.model)
    name = "register" if model.monitor is None else model.monitor.__name__
    model = replace(model, monitor=getattr(broken, name))

    def notices(seed: int) -> bool:
        try:
            return difference(trial(seed, mutation.model), model) not in (None, "none")
        except (AssertionError, IndexError, KeyError):
            return True

    assert any(notices(seed) for seed in range(SEEDS))


def test_a_long_queue_is_decided_at_once() -> None:
    """Ten clients, thousands of elements: what the searches do not get through."""
    honest = replace(UNIQUE[FIFO], answer=SUBJECTS[FIFO].answer)
    history = random_history(random.Random(5), honest, operations=6_000, clients=10, lost=0, lies=0)
    answer = judge(None, history.operations, parse_model(FIFO), Budget(Limits(time_s=20)))
    assert answer.witness is not None
    assert verify_witness(history, parse_model(FIFO), {None: answer.witness}) is None
