"""Clock files arrive whole."""

from __future__ import annotations

import json
import threading

import pytest

from harness.core.cluster import ClockSkew
from tests.conformance.conftest import World

SECOND = 1_000_000_000

pytestmark = pytest.mark.kernel


def test_a_skew_is_in_the_nodes_home(world: World) -> None:
    async def body() -> None:
        skew = ClockSkew(-3 * SECOND, 1.5, SECOND, 2 * SECOND, 0.5)
        await world.cluster.clocks.skew("n1", skew)
        assert json.loads((world.cluster.home("n1") / "clock.json").read_text()) == {
            "offset_ns": -3 * SECOND,
            "rate": 1.5,
            "strobe_ns": SECOND,
            "strobe_period_ns": 2 * SECOND,
            "monotonic_rate": 0.5,
        }
        assert not (world.cluster.home("n2") / "clock.json").exists()
        await world.cluster.clocks.skew("n1", ClockSkew())
        text = (world.cluster.home("n1") / "clock.json").read_text()
        assert json.loads(text)["offset_ns"] == 0

    world.run(body())


def test_a_reader_never_sees_a_part(world: World) -> None:
    path = world.cluster.home("n3") / "clock.json"
    done = threading.Event()
    seen: list[int] = []

    def read() -> None:
        while not done.is_set():
            seen.append(json.loads(path.read_text())["offset_ns"])

    async def body() -> None:
        await world.cluster.clocks.skew("n3", ClockSkew(1))
        reader = threading.Thread(target=read)
        reader.start()
        try:
            for number in range(2, 60):
                await world.cluster.clocks.skew("n3", ClockSkew(number))
        finally:
            done.set()
            reader.join()

    world.run(body())
    assert seen == sorted(seen)
    assert len(set(seen)) > 1
