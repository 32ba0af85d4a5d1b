"""The steered clock, with the host's clocks replaced by numbers."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from harness.core.cluster import ClockSkew
from target.clock import LOOK_NS, Clock


class Host:
    """Both of the host's clocks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000_000
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.now)
        monkeypatch.setattr(time, "time_ns", lambda: 50_000_000_000 + self.now)

    def wall(self) -> int:
        return 50_000_000_000 + self.now


def steer(path: Path, skew: ClockSkew) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(skew)))
    part.rename(path)


def test_true_without_a_file_and_steered_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(monkeypatch)
    path = tmp_path / "clock.json"
    clock = Clock(path)
    host.now += 7_000_000
    assert (clock.monotonic_ns(), clock.wall_ns()) == (host.now, host.wall())
    steer(path, ClockSkew(offset_ns=-3_000_000_000, rate=2.0))
    host.now += LOOK_NS
    before = clock.monotonic_ns()
    assert before == host.now, "a change of rate is no jump"
    assert clock.wall_ns() == host.wall() - 3_000_000_000
    host.now += 1_000_000_000
    assert clock.monotonic_ns() == before + 2_000_000_000
    assert clock.monotonic_ms() == clock.monotonic_ns() // 1_000_000
    assert clock.wall_ns() == host.wall() - 3_000_000_000 + 1_000_000_000
    steer(path, ClockSkew())
    host.now += LOOK_NS
    after = clock.monotonic_ns()
    assert after == before + 2_000_000_000 + 2 * LOOK_NS
    assert clock.wall_ns() == host.wall(), "the true clock again"
    steer(path, ClockSkew(monotonic_rate=0.5))
    host.now += LOOK_NS
    assert clock.monotonic_ns() == after + LOOK_NS
    host.now += 1_000_000_000
    after = clock.monotonic_ns()
    assert after == before + 2_500_000_000 + 3 * LOOK_NS, "half as fast"
    assert clock.wall_ns() == host.wall(), "alone"
    path.unlink()
    host.now += LOOK_NS
    after = clock.monotonic_ns()
    host.now += 1_000_000_000
    assert clock.monotonic_ns() == after + 1_000_000_000


def test_strobe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch)
    path = tmp_path / "clock.json"
    steer(path, ClockSkew(strobe_ns=200_000_000, strobe_period_ns=10_000_000))
    clock = Clock(path)
    seen = []
    for _ in range(6):
        seen.append((clock.wall_ns() - host.wall()) // 1_000_000)
        host.now += 10_000_000
    assert seen == [0, 200, 0, 200, 0, 200]


def test_a_bad_file_is_said_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(monkeypatch)
    path = tmp_path / "clock.json"
    clock = Clock(path)
    for text in (
        "{",
        '{"speed": 1}',
        '{"rate": 0}',
        '{"monotonic_rate": -1}',
        '{"rate": "fast"}',
        "[]",
    ):
        path.unlink(missing_ok=True)
        path.write_text(text)
        host.now += LOOK_NS
        assert clock.monotonic_ns() == host.now
        assert clock.complaint is not None, text
        assert "clock.json" in clock.complaint
    steer(path, ClockSkew(offset_ns=5))
    host.now += LOOK_NS
    assert clock.wall_ns() == host.wall() + 5
    assert clock.complaint is None


def test_a_file_that_could_not_be_opened_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that may open nothing must not keep a lie that was taken back meanwhile."""
    host = Host(monkeypatch)
    path = tmp_path / "clock.json"
    steer(path, ClockSkew(offset_ns=9_000_000_000))
    clock = Clock(path)
    assert clock.wall_ns() == host.wall() + 9_000_000_000

    def refuse(*_: object, **__: object) -> str:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", refuse)
        path.write_text(json.dumps(asdict(ClockSkew())))
        host.now += LOOK_NS
        assert clock.wall_ns() == host.wall() + 9_000_000_000
        assert clock.complaint is not None
        assert "Too many open files" in clock.complaint
    host.now += LOOK_NS
    assert clock.wall_ns() == host.wall()
    assert clock.complaint is None
