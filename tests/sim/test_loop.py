"""The virtual clock: what comes next comes next, and nothing else ever happens."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.clock import here
from harness.runtime.sim.loop import EPOCH_NS, SimLoop, Stuck

SECOND = 1_000_000_000


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    made = SimLoop()
    yield made
    made.close()


# -- a second version, as dumb as can be --------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """Something to happen ``delay_ns`` after whoever planned it, and what that plans in turn.

    ``kind``: an asyncio timer, an event of the world, or a call that is ready at once.
    """

    kind: str
    delay_ns: int
    cancelled: bool
    then: tuple[Item, ...]


ITEMS = st.recursive(
    st.builds(
        Item,
        st.sampled_from(("timer", "event", "soon")),
        st.integers(0, 5),
        st.booleans(),
        st.just(()),
    ),
    lambda inner: st.builds(
        Item,
        st.sampled_from(("timer", "event", "soon")),
        st.integers(0, 5),
        st.booleans(),
        st.lists(inner, max_size=3).map(tuple),
    ),
    max_leaves=25,
)


def slowly(items: tuple[Item, ...], start_ns: int) -> list[tuple[int, tuple[int, ...]]]:
    """When each happens and its path: the list is searched for what is next, again and again."""
    ready: list[tuple[tuple[int, ...], Item]] = []
    later: list[tuple[int, int, tuple[int, ...], Item]] = []
    now, number, happened = start_ns, 0, []

    def plan(some: tuple[Item, ...], path: tuple[int, ...]) -> None:
        nonlocal number
        for place, item in enumerate(some):
            number += 1
            if item.cancelled and item.kind != "event":
                continue
            if item.kind == "soon":
                ready.append(((*path, place), item))
            else:
                later.append((now + item.delay_ns, number, (*path, place), item))

    plan(items, ())
    while ready or later:
        if ready:
            path, item = ready.pop(0)
        else:
            following = min(later, key=lambda one: one[:2])
            later.remove(following)
            now, _, path, item = following
        happened.append((now, path))
        plan(item.then, path)
    return happened


@dataclass
class Player:
    """Plays the items on a loop."""

    loop: SimLoop
    happened: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)

    def plan(self, some: tuple[Item, ...], path: tuple[int, ...]) -> None:
        for place, item in enumerate(some):
            call = partial(self.happen, item, (*path, place))
            handle: asyncio.Handle | None = None
            match item.kind:
                case "timer":
                    handle = self.loop.call_later(item.delay_ns / 1e9, call)
                case "event":
                    self.loop.at(self.loop.now_ns + item.delay_ns, call)
                case _:
                    handle = self.loop.call_soon(call)
            if item.cancelled and handle is not None:
                handle.cancel()

    def happen(self, item: Item, path: tuple[int, ...]) -> None:
        self.happened.append((self.loop.monotonic_ns(), path))
        self.plan(item.then, path)


@given(st.lists(ITEMS, max_size=8).map(tuple))
def test_what_happens_is_in_order_of_time_and_then_of_who_asked_first(
    items: tuple[Item, ...],
) -> None:
    loop = SimLoop()
    try:
        player = Player(loop)
        start_ns = loop.monotonic_ns()
        player.plan(items, ())
        with pytest.raises(Stuck):
            loop.run_forever()
        assert player.happened == slowly(items, start_ns)
    finally:
        loop.close()


# -- time ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**14), min_size=1, max_size=5))
def test_a_timer_comes_at_its_nanosecond(delays: list[int]) -> None:
    loop = SimLoop()
    try:
        for delay_ns in delays:
            began_ns = loop.monotonic_ns()
            loop.run_until_complete(asyncio.sleep(delay_ns / 1e9))
            # A day of seconds as a float has nanoseconds to spare: nothing is lost in between.
            assert abs(loop.monotonic_ns() - began_ns - delay_ns) <= delay_ns // 10**14 + 16
    finally:
        loop.close()


def test_an_hour_takes_no_time(loop: SimLoop) -> None:
    began_s = time.monotonic()
    before_ns = loop.monotonic_ns()
    loop.run_until_complete(asyncio.sleep(3600))
    assert loop.monotonic_ns() - before_ns == 3600 * SECOND
    assert time.monotonic() - began_s < 60


def test_all_clocks_show_the_same_time(loop: SimLoop) -> None:
    async def body() -> None:
        await asyncio.sleep(1.5)
        assert here() is loop
        assert loop.wall_ns() == EPOCH_NS + loop.monotonic_ns()
        assert loop.time() == pytest.approx(loop.monotonic_ns() / 1e9, abs=1e-6)

    before_s = loop.time()
    loop.run_until_complete(body())
    assert loop.time() - before_s == pytest.approx(1.5)


def test_time_never_goes_back(loop: SimLoop) -> None:
    seen: list[int] = []

    def note() -> None:
        seen.append(loop.monotonic_ns())

    def late() -> None:
        note()
        loop.at(loop.monotonic_ns() - 5 * SECOND, note)
        loop.call_at(loop.time() - 5, note)
        loop.call_later(-5, note)

    loop.at(loop.monotonic_ns() + SECOND, late)
    loop.run_until_complete(asyncio.sleep(2))
    assert seen == [seen[0]] * 4


def test_a_cancelled_timer_neither_happens_nor_moves_the_clock(loop: SimLoop) -> None:
    seen: list[str] = []
    before_ns = loop.monotonic_ns()
    loop.call_later(50, seen.append, "late").cancel()
    kept = loop.call_later(1, seen.append, "kept")
    with pytest.raises(Stuck):
        loop.run_forever()
    assert seen == ["kept"]
    assert not kept.cancelled()
    assert loop.monotonic_ns() - before_ns == SECOND


def test_what_is_cancelled_at_the_last_moment_does_not_happen(loop: SimLoop) -> None:
    seen: list[str] = []
    troubles: list[object] = []
    loop.set_exception_handler(lambda _, trouble: troubles.append(trouble))
    # All three are ready at once: the first undoes the second.
    handles: list[asyncio.Handle] = []

    def first() -> None:
        handles[0].cancel()

    loop.call_soon(first)
    handles.append(loop.call_soon(seen.append, "second"))
    loop.call_soon(seen.append, "third")
    loop.run_until_complete(asyncio.sleep(1))
    assert seen == ["third"]
    assert troubles == []


def test_time_outs_are_virtual(loop: SimLoop) -> None:
    async def body() -> None:
        began_ns = loop.monotonic_ns()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await asyncio.Event().wait()
        assert loop.monotonic_ns() - began_ns == 100 * SECOND
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(1000), 10)
        assert loop.monotonic_ns() - began_ns == 110 * SECOND

    loop.run_until_complete(body())


def test_tasks_take_turns_as_on_any_loop(loop: SimLoop) -> None:
    seen: list[str] = []

    async def count(name: str) -> None:
        for number in range(3):
            seen.append(f"{name}{number}")
            await asyncio.sleep(0)

    async def body() -> None:
        await asyncio.gather(count("a"), count("b"))

    loop.run_until_complete(body())
    assert seen == ["a0", "b0", "a1", "b1", "a2", "b2"]


# -- what is not there --------------------------------------------------------------------------


def test_a_deadlock_is_told() -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        # Something that was to come, but is cancelled, saves nobody.
        loop.call_later(1, print).cancel()
        await asyncio.Event().wait()

    with (
        pytest.raises(Stuck, match="everybody waits, and nothing is going to happen any more"),
        asyncio.Runner(loop_factory=SimLoop) as runner,
    ):
        runner.run(body())


def test_an_error_in_an_event_ends_the_run(loop: SimLoop) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    loop.at(loop.monotonic_ns() + 5, broken)
    with pytest.raises(ZeroDivisionError):
        loop.run_until_complete(asyncio.sleep(1))


def test_threads_are_refused() -> None:
    """A thread takes real time: no run would be like the next."""

    async def body() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="no threads in a simulated run"):
            await asyncio.to_thread(print)
        with pytest.raises(RuntimeError, match="no threads in a simulated run"):
            await loop.run_in_executor(None, print)
        with pytest.raises(RuntimeError, match="no threads in a simulated run"):
            await loop.getaddrinfo("localhost", 80)

    with asyncio.Runner(loop_factory=SimLoop) as runner:
        runner.run(body())


def test_other_threads_cannot_call_in(loop: SimLoop) -> None:
    caught: list[str] = []

    def meddle() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except RuntimeError as error:
            caught.append(str(error))

    def other_thread() -> None:
        thread = threading.Thread(target=meddle)
        thread.start()
        thread.join()

    loop.call_later(1, other_thread)
    seen: list[str] = []
    # From its own thread, as signal handlers do, it is what call_soon is.
    loop.call_later(2, loop.call_soon_threadsafe, seen.append, "own")
    loop.run_until_complete(asyncio.sleep(3))
    assert len(caught) == 1
    assert "no threads in a simulated run" in caught[0]
    assert seen == ["own"]


def test_a_signal_reaches_the_run_and_its_handler_is_given_back() -> None:
    before: Callable[..., Any] | int | None = signal.getsignal(signal.SIGTERM)

    def mine(*_: object) -> None:
        raise AssertionError("not while the run has it")

    signal.signal(signal.SIGTERM, mine)
    try:
        made = SimLoop()
        seen: list[str] = []
        made.add_signal_handler(signal.SIGTERM, seen.append, "asked to end")
        made.call_later(1, signal.raise_signal, signal.SIGTERM)
        made.run_until_complete(asyncio.sleep(2))
        made.close()
        assert seen == ["asked to end"]
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
