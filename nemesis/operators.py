"""Operators who do not know of each other, and ask whoever leads for different members.

Each takes one node out and brings it back, over and over; what one of them does is in the other's
way. A system has to refuse what would be unsafe: a second change before the first is committed, or
one by a leader that does not know yet what its predecessors left.
"""

from __future__ import annotations

import asyncio

from harness.core.errors import EnvironmentFailure, HarnessError
from harness.core.faults import Proof
from harness.core.protocols import FaultContext, HasMembership, Resolved
from nemesis.aims import Aim
from nemesis.members import BEGIN_LIMIT_S, MembersFault, membership_of
from nemesis.waiting import until

ASK_S = 0.3
POLL_S = 0.01


class RaceFault(MembersFault):
    """Two operators, one for each of the first two nodes of the drawn order."""

    def __init__(self, aim: Aim) -> None:
        super().__init__(aim, "race")
        self._tasks: list[asyncio.Task[None]] = []
        self._made: list[str] = []
        """Changes that were committed, in words."""

    async def begin(self, context: FaultContext) -> Resolved:
        """Lets them begin; returns when the first change is made.

        Raises:
            EnvironmentFailure: none was in time.
        """
        membership = membership_of(context)
        victims = self._aim.order[:2]
        self._tasks = [
            asyncio.create_task(self._operate(context, membership, node)) for node in victims
        ]

        async def begun() -> bool:
            return bool(self._made)

        if not await until(begun, BEGIN_LIMIT_S, POLL_S):
            raise EnvironmentFailure("nobody changed the members")
        words = f"two operators take out and bring back {' and '.join(victims)}"
        return Resolved(words, {"how": self._how, "nodes": victims})

    async def _operate(self, context: FaultContext, membership: HasMembership, node: str) -> None:
        steps = (
            (membership.remove_member, "removed"),
            (membership.add_learner, "added"),
            (membership.promote, "promoted"),
        )
        turn = 0
        while True:
            change, word = steps[turn % len(steps)]
            try:
                await change(context.cluster, node, ASK_S)
            except (HarnessError, OSError, TimeoutError):
                await asyncio.sleep(POLL_S)
            else:
                self._made.append(f"{node} {word}")
                turn += 1

    async def prove(self, context: FaultContext) -> Proof:  # noqa: ARG002
        """How many changes a leader said to have committed."""
        count = len(self._made)
        return Proof(count > 0, f"{count} changes of members", {"made": tuple(self._made)})

    async def end(self, context: FaultContext) -> Proof:
        """They stop, and all nodes vote again."""
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for error in ends:
            if isinstance(error, Exception):
                raise error
        return await super().end(context)
