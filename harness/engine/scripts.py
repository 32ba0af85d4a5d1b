"""Calls as data: what clients did in a run, so that they do it again, or do a part of it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from harness.core.operations import Call, Completion, History, Operation
from harness.core.plan import FIRST_FINAL, Plan, Script, ScriptedCall
from harness.core.protocols import Workload


def script_of(plan: Plan, history: History) -> Script:
    """The script of what was called in a run of ``plan``."""
    stride = plan.spec.concurrency if plan.script is None else len(plan.script.clients)
    clients = tuple(plan.nodes[thread % len(plan.nodes)] for thread in range(stride))
    if plan.script is not None:
        clients = plan.script.clients
    calls: list[ScriptedCall] = []
    final: list[tuple[str, Call]] = []
    for operation in history.operations:
        if operation.process < FIRST_FINAL:
            thread = operation.process % stride
            calls.append(ScriptedCall(thread, operation.start, operation.call))
        else:
            place = operation.process % len(plan.nodes)
            final.append((operation.node or plan.nodes[place], operation.call))
    return Script(clients, tuple(calls), tuple(final))


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two runs of one plan went different ways: the client's call, then and now.

    None where it did not call. ``client`` None: a read after the last heal.
    """

    client: int | None
    then: Operation | None
    now: Operation | None


def divergence(
    plan: Plan, then: History, now: History, *, exact: bool = False
) -> Divergence | None:
    """The first call, by its time then, that was another, or was answered otherwise.

    With ``exact`` times count too. None when there is none.
    """
    stride = plan.spec.concurrency if plan.script is None else len(plan.script.clients)
    ours, others = _by_client(then, stride), _by_client(now, stride)
    found: list[tuple[int, Divergence]] = []
    for client in sorted(ours.keys() | others.keys()):
        for one, other in zip_longest(ours.get(client, ()), others.get(client, ())):
            if _alike(one, other, exact=exact):
                continue
            at_ns = (one or other).start
            who = client if client < FIRST_FINAL else None
            found.append((at_ns, Divergence(who, one, other)))
            break
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _by_client(history: History, stride: int) -> dict[int, list[Operation]]:
    """Operations of each client thread, in order; each final read is a client of its own."""
    lines: defaultdict[int, list[Operation]] = defaultdict(list)
    for item in history.operations:
        final = item.process >= FIRST_FINAL
        lines[item.process if final else item.process % stride].append(item)
    return lines


def _alike(one: Operation | None, other: Operation | None, *, exact: bool) -> bool:
    if one is None or other is None:
        return one is other
    if exact:
        return one == other
    return (one.call, one.outcome, one.result) == (other.call, other.outcome, other.result)


@dataclass(slots=True)
class Scripted:
    """A workload that follows a script; it is judged as ``like`` is.

    Also the pace of its clients: each call has its own time.
    """

    script: Script
    like: Workload
    name: str = field(init=False)
    model: str | None = field(init=False)
    checkers: tuple[str, ...] = field(init=False)
    functions: frozenset[str] = field(init=False)
    _left: dict[int, deque[ScriptedCall]] = field(init=False)

    def __post_init__(self) -> None:
        like = self.like
        self.name, self.model, self.checkers = like.name, like.model, like.checkers
        called = (call for _, call in self.script.final)
        self.functions = frozenset(it.f for it in (*(it.call for it in self.script.calls), *called))
        left: defaultdict[int, deque[ScriptedCall]] = defaultdict(deque)
        for item in self.script.calls:
            left[item.thread].append(item)
        self._left = left

    def following(self, thread: int, now_s: float) -> float:
        """When the thread calls next, in seconds of load; now, if it has nothing left to call."""
        left = self._left[thread]
        return max(now_s, left[0].at_ns / 1e9) if left else now_s

    def next(self, thread: int) -> Call | None:
        """The thread's next call."""
        left = self._left[thread]
        return left.popleft().call if left else None

    def ended(self, call: Call, completion: Completion) -> None:
        """Nothing depends on the answers."""

    def final(self) -> Sequence[tuple[str | None, Call]]:
        """As scripted."""
        return self.script.final
