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

5. No useless visits. A blind step into a state that lets no open observer go and that enables no
   other operation, and that is not itself the returning operation, can only be followed by another
   step that is allowed everywhere and makes it forgotten. Leaving it out gives the same state with
   the operation free instead of used (or not spent): rule 2, rule 3. The same holds for a total
   step into the *mute* state (see Problem): from there only total and blind steps lead on, no
   observer is allowed, and a total operation that was left out stays possible until it returns.

6. and 7. are done before the search: values that nobody observes, and lists that no read extends,
   are one state (``Model.project``).

8. A beam in front: searching with at most ``width`` configurations finds most linearizations at
   once. It may fail to find one; so "dead" counts only when nothing was cut off (``truncated``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from harness.check.limits import Budget
from harness.check.models import Kind
from harness.check.problem import Problem

Trail: TypeAlias = "tuple[Trail, int, int, int] | None"
"""A step and those before it: (earlier, position of the event, operation or ~class, state after).

A class, complemented, stands for some unanswered operation of that class. Observers and absorbed
operations are not on the trail; the witness puts them where they fit.
"""

Config: TypeAlias = tuple[int, int, int, Trail]
"""(used, free, spent, trail)."""

_LOOK_EVERY = 256
"""Configurations that are expanded between two looks at the budget."""

_FIELD = 24
"""Bits for one class' count in ``spent``; the highest is a guard that no count reaches."""
_COUNT = (1 << (_FIELD - 1)) - 1


class Antichain:
    """One search. ``run`` may be called again to go on from where it stopped."""

    def __init__(self, problem: Problem, budget: Budget, width: int | None = None) -> None:
        self.problem = problem
        self.budget = budget
        self.width = width
        self.truncated = False
        self.visited = 0
        self.widest = 1
        self.configs: dict[int, list[Config]] = {problem.initial: [(0, 0, 0, None)]}
        self.position = 0
        # Slots of open operations, and what is in them.
        self.free_slots: list[int] = []
        self.slots = 0
        self.bits: dict[int, int] = {}
        self.observers = 0
        self.total = 0
        self.sees: dict[int, int] = {}
        self.sees_other: dict[int, int] = {}
        self.any_other = 0
        self.lookers: list[tuple[int, int]] = []
        self.blind: list[tuple[int, int, int]] = []
        self.moves: dict[int, list[tuple[int, int, int]]] = {}
        self.asking: list[tuple[int, int, int]] = []
        # Unanswered operations, by class.
        self.called: dict[int, int] = {}
        self.shift: dict[int, int] = {}
        self.guards = 0
        self.lost_blind: list[tuple[int, int]] = []
        self.lost_moves: dict[int, list[tuple[int, int]]] = {}
        self.lost_asking: list[int] = []

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
                    self._open(operation, cls)
                else:
                    self._lose(cls)
                continue
            bit = self.bits.pop(operation)
            if kinds[cls] == Kind.SEES and len(self.configs) == 1 and at[cls] in self.configs:
                # All configurations hold what was read: nothing changes (rule 1).
                accepted = self.configs
            else:
                accepted = self._return(position, cls, bit)
                if not accepted:
                    self.position = position
                    self.bits[operation] = bit
                    return position
            self._close(operation, cls, bit)
            self.configs = self._settle(accepted, bit)
        self.position = len(events) if last is None else last
        return None

    # -- calls ----------------------------------------------------------------------------------

    def _open(self, operation: int, cls: int) -> None:
        """Gives an operation that will return a slot, and files it under what it can do."""
        problem = self.problem
        if self.free_slots:
            bit = 1 << self.free_slots.pop()
        else:
            bit = 1 << self.slots
            self.slots += 1
        self.bits[operation] = bit
        kind = problem.kinds[cls]
        if kind == Kind.SEES:
            self.observers |= bit
            at = problem.at[cls]
            self.sees[at] = self.sees.get(at, 0) | bit
        elif kind == Kind.BLIND:
            self.total |= bit
            self.blind.append((bit, problem.to[cls], operation))
        elif kind == Kind.MOVES:
            entry = (bit, problem.to[cls], operation)
            self.moves.setdefault(problem.at[cls], []).append(entry)
        elif kind == Kind.SEES_OTHER:
            self.observers |= bit
            self.any_other |= bit
            at = problem.at[cls]
            self.sees_other[at] = self.sees_other.get(at, 0) | bit
        elif kind == Kind.LOOKS:
            self.observers |= bit
            self.lookers.append((bit, cls))
        else:
            if kind == Kind.TOTAL:
                self.total |= bit
            self.asking.append((bit, cls, operation))

    def _close(self, operation: int, cls: int, bit: int) -> None:
        """The inverse of ``_open``."""
        problem = self.problem
        self.free_slots.append(bit.bit_length() - 1)
        kind = problem.kinds[cls]
        if kind == Kind.SEES:
            self.observers ^= bit
            at = problem.at[cls]
            self.sees[at] ^= bit
            if not self.sees[at]:
                del self.sees[at]
        elif kind == Kind.BLIND:
            self.total ^= bit
            self.blind.remove((bit, problem.to[cls], operation))
        elif kind == Kind.MOVES:
            at = problem.at[cls]
            self.moves[at].remove((bit, problem.to[cls], operation))
            if not self.moves[at]:
                del self.moves[at]
        elif kind == Kind.SEES_OTHER:
            self.observers ^= bit
            self.any_other ^= bit
            at = problem.at[cls]
            self.sees_other[at] ^= bit
            if not self.sees_other[at]:
                del self.sees_other[at]
        elif kind == Kind.LOOKS:
            self.observers ^= bit
            self.lookers.remove((bit, cls))
        else:
            if kind == Kind.TOTAL:
                self.total ^= bit
            self.asking.remove((bit, cls, operation))

    def _lose(self, cls: int) -> None:
        """Counts an operation that nobody saw the end of (rule 3)."""
        if cls in self.called:
            self.called[cls] += 1
            return
        problem = self.problem
        self.called[cls] = 1
        shift = self.shift[cls] = _FIELD * len(self.shift)
        self.guards |= 1 << (shift + _FIELD - 1)
        kind = problem.kinds[cls]
        if kind == Kind.BLIND:
            if problem.to[cls] != problem.mute:
                self.lost_blind.append((cls, problem.to[cls]))
        elif kind == Kind.MOVES:
            if problem.to[cls] != problem.mute:
                entry = (cls, problem.to[cls])
                self.lost_moves.setdefault(problem.at[cls], []).append(entry)
        else:
            self.lost_asking.append(cls)

    # -- returns --------------------------------------------------------------------------------

    def _granted(self, state: int) -> int:
        """The open observers that a state allows."""
        granted = self.sees.get(state, 0)
        if self.any_other:
            granted |= self.any_other & ~self.sees_other.get(state, 0)
        for bit, cls in self.lookers:
            if self.problem.table.next(state, cls):
                granted |= bit
        return granted

    def _return(self, position: int, cls: int, bit: int) -> dict[int, list[Config]]:
        """The configurations in which the returning operation has been linearized."""
        observes = self.problem.kinds[cls] <= Kind.LOOKS
        accepted: dict[int, list[Config]] = {}
        queue: list[tuple[int, Config]] = []
        for state, configs in self.configs.items():
            if observes and self._granted(state) & bit:
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
    ) -> None:
        """Takes steps from the queued configurations until the returning operation is used."""
        observers, guards = self.observers, self.guards
        effects = ~observers
        blind, lost_blind = self._worthwhile(bit)
        visited = {state: list(configs) for state, configs in self.configs.items()}
        granted: dict[int, int] = {}
        count = sum(map(len, accepted.values()))
        for expanded, (state, config) in enumerate(queue):
            if expanded % _LOOK_EVERY == _LOOK_EVERY - 1:
                self.budget.look()
            if self.width is not None and count >= self.width:
                self.truncated = True
                break
            for after, used, free, spent, step, forced in self._steps(
                state, config, blind, lost_blind
            ):
                allows = granted.get(after)
                if allows is None:
                    allows = granted[after] = self._granted(after)
                satisfied = (used | allows) & bit
                if not (satisfied or forced or allows & ~used or self._enables(after, used)):
                    continue  # rule 5
                seen = visited.get(after)
                if seen is None:
                    seen = visited[after] = []
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

    def _worthwhile(self, bit: int) -> tuple[list[tuple[int, int, int]], list[tuple[int, int]]]:
        """The blind steps that rule 5 does not rule out for all configurations at once."""
        if self.any_other or self.lookers or self.asking or self.lost_asking:
            return self.blind, self.lost_blind
        wanted = self.sees.keys() | self.moves.keys() | self.lost_moves.keys()
        return (
            [entry for entry in self.blind if entry[1] in wanted or entry[0] == bit],
            [entry for entry in self.lost_blind if entry[1] in wanted],
        )

    def _enables(self, state: int, used: int) -> bool:
        """Whether a step other than a blind one leads on from a state (True when in doubt)."""
        if state == self.problem.mute:
            return False
        if state in self.lost_moves:
            return True
        if any(not used & bit for bit, _, _ in self.moves.get(state, ())):
            return True
        following, mute = self.problem.table.next, (self.problem.mute,)
        for bit, cls, _ in self.asking:
            if not used & bit and following(state, cls) not in ((), mute):
                return True
        return any(following(state, cls) not in ((), mute) for cls in self.lost_asking)

    def _steps(
        self,
        state: int,
        config: Config,
        blind: Sequence[tuple[int, int, int]],
        lost_blind: Sequence[tuple[int, int]],
    ) -> list[tuple[int, int, int, int, int, bool]]:
        """The steps from a configuration: (state after, used, free, spent, what, forced).

        Forced steps are those about which rule 5 says nothing.
        """
        used, free, spent, _ = config
        used |= self._granted(state)
        total = self.total & ~used
        steps: list[tuple[int, int, int, int, int, bool]] = []
        for bit, after, operation in blind:
            if not used & bit:
                steps.append((after, used | bit, total & ~bit, spent, operation, False))
        for bit, after, operation in self.moves.get(state, ()):
            if not used & bit:
                steps.append((after, used | bit, free, spent, operation, True))
        for bit, cls, operation in self.asking:
            if not used & bit:
                for after in self.problem.table.next(state, cls):
                    forced = not bit & total or after != self.problem.mute
                    steps.append((after, used | bit, free & ~bit, spent, operation, forced))
        if self.called:
            self._lost_steps(state, (used, free, spent, None), lost_blind, steps)
        return steps

    def _lost_steps(
        self,
        state: int,
        config: Config,
        lost_blind: Sequence[tuple[int, int]],
        steps: list[tuple[int, int, int, int, int, bool]],
    ) -> None:
        """The steps of unanswered operations (rule 3).

        One that would change nothing, or lead into the mute state, is as good as one that never
        took effect.
        """
        used, free, spent, _ = config
        for cls, after in lost_blind:
            shift = self.shift[cls]
            if (spent >> shift) & _COUNT < self.called[cls]:
                absorbed = self.total & ~used
                steps.append((after, used, absorbed, spent + (1 << shift), ~cls, False))
        for cls, after in self.lost_moves.get(state, ()):
            shift = self.shift[cls]
            if (spent >> shift) & _COUNT < self.called[cls]:
                steps.append((after, used, free, spent + (1 << shift), ~cls, True))
        for cls in self.lost_asking:
            shift = self.shift[cls]
            if (spent >> shift) & _COUNT < self.called[cls]:
                for after in self.problem.table.next(state, cls):
                    if after not in (state, self.problem.mute):
                        steps.append((after, used, free, spent + (1 << shift), ~cls, True))

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
                others = self.observers & ~self._granted(state)
                clean = _undominated(clean, ~self.observers, others, self.guards)
            if self.width is not None and count + len(clean) > self.width:
                self.truncated = True
                clean = clean[: self.width - count]
            if clean:
                settled[state] = clean
                count += len(clean)
        self.widest = max(self.widest, count)
        return settled


def _undominated(configs: Sequence[Config], effects: int, others: int, guards: int) -> list[Config]:
    """Those of one state that no other dominates (rule 4).

    ``effects`` are the slots of operations that are no observers, ``others`` those of observers
    that the state does not allow, ``guards`` the guard bits of the packed counts.
    """
    kept: list[Config] = []
    for config in configs:
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
