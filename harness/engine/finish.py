"""Work that a cancellation must not cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Awaits ``work`` until it is done, however often this task is cancelled meanwhile.

    ``asyncio.shield`` alone keeps the work alive but stops waiting for it, so that what comes
    after (removing the very nodes that are being healed) would run beside it.

    Raises:
        asyncio.CancelledError: after the work is done, when a cancellation came in between.
    """
    task = asyncio.ensure_future(work)
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as cancelled:
            if task.cancelled():
                raise
            interruption = cancelled
    if interruption is not None:
        task.exception()
        raise interruption
    return task.result()
