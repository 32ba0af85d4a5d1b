"""The search: an antichain of configurations, carried from return to return.

Events are walked in order. What is carried is the set of *configurations* that some legal order of
the operations so far can have led to. A configuration is

    state      what the object holds
    used       the open operations that have been linearized (a mask of slots)
    free       the open total operations that may count as linearized or not (a mask of slots)
    spent      how many unanswered operations of each class have taken effect (packed counts)
    trail      the steps that led here, for the witness

Operations are linearized just in time (Lowe, "Testing for linearizability", 2017, section 3): a
step is taken only when a return needs its operation, because an order that takes it later is as
good: every operation that precedes the returning one in a legal order was called before this
return, so it is still open to be taken now. When no configuration can let an operation return, no
legal order exists, and the return is the first event that none can pass.

Without pruning that is exponential in the open operations, and in *all* unanswered ones, which
stay open for ever. The rules that prune, with the reason why none of them loses a verdict. A
configuration A *dominates* B, written A ≥ B, when whatever can happen after B can happen after A
with the same states in between; dropping B then loses nothing.

1. Observers at once. An observer changes nothing. A configuration whose state allows an open
   observer has linearized it, from here on: if B is A but for an observer that only A has used,
   A ≥ B, since A can skip the moment at which B uses it. Masks therefore leave out what the
   configuration's own state allows; it is added when the state is left.

2. Absorbed writes. A total operation is allowed everywhere. Placed immediately before a blind
   write, nobody sees what it did. So at each blind step every open total operation that is not
   used becomes *free*: it may count as linearized just before that step (absorbed), or may still be
   used later. Free ≥ used: the successor is the same and free can do nothing when used does
   nothing. Free ≥ untouched: it can do the same, and more. When a free operation returns, both must
   be kept: the configuration as it is (absorbed), and those in which it takes effect now; without
   the second, a later read of its value finds nobody who wrote it. An untouched operation that
   returns need not be tried as absorbed by a blind step now: use it now, and take the blind step
   when *that* is needed, which is later and therefore as good.

3. Unanswered operations as counts. Two unanswered operations of the same class differ only in when
   they were called; any that has been called will do, so a count is enough. They need never take
   effect: fewer spent ≥ more spent.

4. An antichain for each state: B is dropped if A has the same state, has used every observer that B
   has, has used exactly the same of the operations that are neither observers nor total, treats
   each total operation equally or has it free, and has spent at most as many of each class. This
   is rules 1 to 3 together, slot by slot.

5. No useless visits. A step that is allowed everywhere is left out if it does not linearize the
   returning operation, lets no open observer go, and enables no other step but blind ones and
   such as lead into the *mute* state (see Problem). After a blind step the object has forgotten it,
   and with it left out its operation is free instead of used, or not spent: rule 2, rule 3. In the
   mute state only steps that are allowed everywhere lead on and nothing is observed; whatever
   happens there can happen in the state that one is in with the step left out, and its operation
   can still be used when it returns, as it is allowed everywhere.

6. and 7. are done before the search: values that nobody observes, and lists that no read extends,
   are one state (``Model.project``).

8. Where total operations commute (sets, counters, bags) a total step other than the returning one
   is left out if nothing but total operations is open: then only such can follow, nobody observes
   what is between, and the step can as well be taken after them.

10. Of operations with the same effect that are open, the one that returns first is used first, and
   an unanswered one after all that return. If an order uses w' while w is open and not used, and w
   returns no later, let the two change places: w takes effect where w' did, and w' where w did,
   which is before w returned, and so before w' does; or nowhere, if w was absorbed, or spent never.
   After a blind step w' is free, as everything else is. After a step of another kind it is not:
   where w is free and w' is not, w may have been absorbed and w' must still be used, so there both
   are tried.

9. A beam in front: searching with at most ``width`` configurations finds most linearizations at
   once. It may fail to find one; so "dead" counts only when nothing was cut off (``truncated``).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Self

from harness.check.limits import Budget
from harness.check.openings import LOOKS, SEES, Config, Openings
from harness.check.problem import Problem

BEAMS: tuple[int | None, ...] = (2, 64, 256, 1024, 8192, None)
"""Widths tried one after the other; the last, unlimited one is exact (rule 9)."""

REACH = 64
"""So many configurations a beam meets on its way to one return, for each that it may carry."""

_LOOK_EVERY = 20_000
"""Comparisons of two configurations, roughly, between two looks at the budget."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the beams came to: the last search, and the return that nothing passes (or None)."""

    last: Antichain
    dead: int | None
    visited: int


def search(problem: Problem, budget: Budget, last: int | None = None) -> Found:
    """Is there a legal order of the events up to position ``last`` (default: all)?

    Raises:
        LimitReached: the budget is used up.
    """
    found = attempt(problem, budget, BEAMS, last)
    assert found is not None, "the last search cuts nothing off"
    return found


def attempt(
    problem: Problem, budget: Budget, widths: Sequence[int | None], last: int | None = None
) -> Found | None:
    """The same with these widths alone; None if all of them cut something off and found nothing.

    Raises:
        LimitReached: the budget is used up.
    """
    visited = 0
    for width in widths:
        one = Antichain(problem, budget, width)
        dead = one.run(last)
        visited += one.visited
        if dead is None or not one.truncated:
            return Found(one, dead, visited)
    return None


class Antichain(Openings):
    """One search. ``run`` may be called again to go on from where it stopped."""

    def __init__(self, problem: Problem, budget: Budget, width: int | None = None) -> None:
        super().__init__(problem)
        self.budget = budget
        self.width = width
        self.truncated = False
        self.visited = 0
        self.widest = 1
        self.configs: dict[int, list[Config]] = {problem.initial: [(0, 0, 0, None)]}
        self.position = 0

    def run(self, last: int | None = None) -> int | None:
        """Walks the events up to position ``last`` (default: all).

        Returns:
            The position of the return that no configuration passes, or None.

        Raises:
            LimitReached: the budget is used up.
        """
        problem = self.problem
        events, classes = problem.events, problem.classes
        kinds, at, returned = problem.kinds, problem.at, problem.returned
        for position in range(self.position, len(events) if last is None else last):
            operation, is_return = events[position] >> 1, events[position] & 1
            cls = classes[operation]
            if not is_return:
                if returned[operation]:
                    self.open(operation, cls)
                else:
                    self.lose(cls)
                continue
            bit = self.bits.pop(operation)
            if kinds[cls] == SEES and len(self.configs) == 1 and at[cls] in self.configs:
                # All configurations hold what was read: nothing changes (rule 1).
                accepted = self.configs
            else:
                accepted = self._return(position, cls, bit)
                if not accepted:
                    self.position = position
                    self.bits[operation] = bit
                    return position
            self.close(operation, cls, bit)
            if len(accepted) == 1:
                ((state, configs),) = accepted.items()
                if len(configs) == 1:
                    used, free, spent, trail = configs[0]
                    if (used | free) & bit:
                        configs = [(used & ~bit, free & ~bit, spent, trail)]
                    self.configs = {state: configs}
                    continue
            self.configs = self._settle(accepted, bit)
        self.position = len(events) if last is None else last
        return None

    def fork(self, problem: Problem) -> Self:
        """A search that goes on from here by itself, on a problem with the same events so far."""
        other = copy(self)
        other.problem = problem
        for name, value in vars(self).items():
            match value:
                case list():
                    setattr(other, name, list(value))
                case dict():
                    copied = {key: copy(item) for key, item in value.items()}
                    setattr(other, name, copied)
        other.look_ahead(problem)
        return other

    def possible(self) -> set[int]:
        """The states that the object can be in now, over all legal orders of the events so far."""
        queue = [(state, config) for state, configs in self.configs.items() for config in configs]
        return set(self._expand(self.position, 0, queue, {}))

    def _return(self, position: int, cls: int, bit: int) -> dict[int, list[Config]]:
        """The configurations in which the returning operation has been linearized."""
        observes = self.problem.kinds[cls] <= LOOKS
        accepted: dict[int, list[Config]] = {}
        queue: list[tuple[int, Config]] = []
        for state, configs in self.configs.items():
            if observes and self.granted(state) & bit:
                accepted[state] = list(configs)
                continue
            for config in configs:
                if config[0] & bit:
                    accepted.setdefault(state, []).append(config)
                    continue
                if config[1] & bit:
                    # Free: absorbed already, or used now (rule 2).
                    accepted.setdefault(state, []).append(config)
                queue.append((state, config))
        if queue:
            self.budget.look()
            self._expand(position, bit, queue, accepted)
        return accepted

    def _expand(
        self,
        position: int,
        bit: int,
        queue: list[tuple[int, Config]],
        accepted: dict[int, list[Config]],
    ) -> dict[int, list[Config]]:
        """Takes steps from the queued configurations until the returning operation is used.

        Without a returning operation (``bit`` is 0) all steps are taken, useless ones too.

        Returns:
            All configurations that were met.
        """
        observers, guards = self.observers, self.guards
        effects = ~observers
        blind, lost_blind = self.worthwhile(bit) if bit else (self.blind, self.lost_blind)
        visited = {state: list(configs) for state, configs in self.configs.items()}
        granted: dict[int, int] = {}
        count = sum(map(len, accepted.values()))
        work = 0
        for state, config in queue:
            if work > _LOOK_EVERY:
                self.budget.look()
                work = 0
            if self.width is not None and (
                count >= self.width or (bit and len(queue) > REACH * self.width)
            ):
                self.truncated = True
                break
            for after, used, free, spent, step, forced in self.steps(
                state, config, blind, lost_blind
            ):
                allows = granted.get(after)
                if allows is None:
                    allows = granted[after] = self.granted(after)
                satisfied = (used | allows) & bit
                if bit and not (satisfied or forced or allows & ~used or self.enables(after, used)):
                    continue  # rule 5
                seen = visited.get(after)
                if seen is None:
                    seen = visited[after] = []
                work += len(seen) + 10
                others = observers & ~allows
                for one_used, one_free, one_spent, _ in seen:
                    differ = one_used ^ used
                    if (
                        not ((differ & effects | free) & ~one_free or differ & used & others)
                        and ((spent | guards) - one_spent) & guards == guards
                    ):
                        break  # rule 4
                else:
                    found = (used, free, spent, (config[3], position, step, after))
                    seen.append(found)
                    if satisfied:
                        accepted.setdefault(after, []).append(found)
                        count += 1
                    else:
                        queue.append((after, found))
        self.visited += len(queue)
        return visited

    def _settle(self, accepted: dict[int, list[Config]], bit: int) -> dict[int, list[Config]]:
        """Gives the slot back and keeps an antichain for each state (rule 4), within the beam."""
        keep, count = ~bit, 0
        settled: dict[int, list[Config]] = {}
        for state, configs in accepted.items():
            clean = [
                (used & keep, free & keep, spent, trail) if (used | free) & bit else config
                for config in configs
                for used, free, spent, trail in (config,)
            ]
            if len(clean) > 1:
                others = self.observers & ~self.granted(state)
                clean = self._undominated(clean, others)
            if self.width is not None and count + len(clean) > self.width:
                self.truncated = True
                clean = clean[: self.width - count]
            if clean:
                settled[state] = clean
                count += len(clean)
        self.widest = max(self.widest, count)
        return settled

    def _undominated(self, configs: Sequence[Config], others: int) -> list[Config]:
        """Those of a state that no other dominates; ``others`` are not allowed in it (rule 4)."""
        effects, guards = ~self.observers, self.guards
        kept: list[Config] = []
        work = 0
        for config in configs:
            work += len(kept)
            if work > _LOOK_EVERY:
                self.budget.look()
                work = 0
            used, free, spent, _ = config
            for one_used, one_free, one_spent, _ in kept:
                differ = one_used ^ used
                if (
                    not ((differ & effects | free) & ~one_free or differ & used & others)
                    and ((spent | guards) - one_spent) & guards == guards
                ):
                    break
            else:
                kept = [
                    one
                    for one in kept
                    if ((one[0] ^ used) & effects | one[1]) & ~free
                    or (one[0] ^ used) & one[0] & others
                    or ((one[2] | guards) - spent) & guards != guards
                ]
                kept.append(config)
        return kept
