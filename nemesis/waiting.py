"""Waiting for a state of affairs, with a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from harness.core.errors import HarnessError

POLL_S = 0.05


async def until(
    reached: Callable[[], Awaitable[bool]], limit_s: float, poll_s: float = POLL_S
) -> bool:
    """Asks again and again; False when it was not reached within ``limit_s``."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while not await reached():
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(poll_s)
    return True


async def on_all(
    act: Callable[[str], Awaitable[None]], nodes: Iterable[str]
) -> dict[str, BaseException]:
    """Acts on every node at once, whatever becomes of the others; returns what went wrong where.

    Raises:
        Exception: what is no refusal of the environment, after all were tried.
    """
    order = tuple(nodes)
    ends = await asyncio.gather(*(act(node) for node in order), return_exceptions=True)
    failed = {
        node: end for node, end in zip(order, ends, strict=True) if isinstance(end, BaseException)
    }
    for error in failed.values():
        if not isinstance(error, HarnessError | OSError | TimeoutError):
            raise error
    return failed


def first_words(failed: dict[str, BaseException]) -> str:
    """``n3: no answer``: what went wrong, for a proof that does not hold."""
    return "; ".join(f"{node}: {error or type(error).__name__}" for node, error in failed.items())
