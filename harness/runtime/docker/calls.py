"""Blocking calls of async code, and cleaning up that cancellation does not cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Calls:
    """Calls in threads, none of which is forgotten when who waits for it is cancelled.

    A thread cannot be cancelled: a container that is being made will be made. Who cleans up
    must wait for :meth:`settle` first, or it misses what appears a moment later.
    """

    def __init__(self) -> None:
        self._flying: set[asyncio.Task[Any]] = set()

    async def __call__(
        self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The function's result, computed in a thread."""
        task = asyncio.create_task(asyncio.to_thread(function, *arguments, **named))
        self._flying.add(task)
        task.add_done_callback(self._landed)
        return await asyncio.shield(task)

    async def settle(self) -> None:
        """Returns when no call is under way."""
        while self._flying:
            await asyncio.wait(self._flying)

    def _landed(self, task: asyncio.Task[Any]) -> None:
        self._flying.discard(task)
        # Who asked may be gone; asking for the exception keeps the loop from complaining.
        if not task.cancelled():
            task.exception()


async def together(*work: Coroutine[Any, Any, T]) -> list[T]:
    """The results, in order. When one fails, the others are ended before its exception goes on.

    Unlike :func:`asyncio.gather`, which leaves them running: what is being cleaned up would grow.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(item) for item in work]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def complete(work: Coroutine[Any, Any, T]) -> T:
    """Runs ``work`` to its end even when cancelled meanwhile; then passes the cancellation on."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    result = task.result()
    if cancelled:
        raise asyncio.CancelledError
    return result
