"""Calls in threads outlive who waits for them; cleaning up outlasts cancellation."""

from __future__ import annotations

import asyncio
import threading

import pytest

from harness.runtime.docker.calls import Calls, complete, together


def test_the_result_and_the_exception_come_back() -> None:
    async def go() -> None:
        calls = Calls()
        assert await calls(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await calls(divmod, 7, 0)

    asyncio.run(go())


def test_settling_waits_for_what_nobody_waits_for() -> None:
    async def go() -> None:
        calls, go_on, made = Calls(), threading.Event(), list[str]()

        def make(what: str) -> None:
            go_on.wait(10)
            made.append(what)

        waiting = asyncio.create_task(calls(make, "a container"))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        settling = asyncio.create_task(calls.settle())
        await asyncio.sleep(0)
        assert not settling.done()
        assert made == []
        go_on.set()
        await settling
        assert made == ["a container"]

    asyncio.run(go())


def test_a_failure_that_nobody_waits_for_is_no_noise() -> None:
    async def go() -> None:
        calls, go_on = Calls(), threading.Event()
        noise: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))

        def fail() -> None:
            go_on.wait(10)
            raise OSError("refused")

        waiting = asyncio.create_task(calls(fail))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        go_on.set()
        await calls.settle()
        assert noise == []

    asyncio.run(go())


def test_work_is_completed_before_the_cancellation_goes_on() -> None:
    async def go() -> None:
        steps: list[int] = []

        async def work() -> str:
            for step in range(5):
                steps.append(step)
                await asyncio.sleep(0)
            return "done"

        assert await complete(work()) == "done"
        steps.clear()
        task = asyncio.create_task(complete(work()))
        await asyncio.sleep(0)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert steps == [0, 1, 2, 3, 4]

    asyncio.run(go())


def test_nothing_goes_on_after_a_failure() -> None:
    async def go() -> None:
        steps: list[str] = []

        async def fail() -> str:
            await asyncio.sleep(0)
            raise OSError("refused")

        async def other() -> str:
            try:
                await asyncio.sleep(60)
                steps.append("went on")
            finally:
                steps.append("ended")
            return ""

        with pytest.raises(OSError, match="refused"):
            await together(other(), fail(), other())
        assert steps == ["ended", "ended"]

        async def number(value: int) -> int:
            await asyncio.sleep(0.001 * (3 - value))
            return value

        assert await together(number(1), number(2), number(3)) == [1, 2, 3]

    asyncio.run(go())
