"""Safety and liveness of the whole node under arbitrary orders of everything that can happen."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target.events import Configured
from target.raft import core
from target.raft.duties import Save
from tests.datadriven.chaos import Chaos
from tests.datadriven.world import Breach

ROOT = Path(__file__).parents[2]
DECISIONS = st.lists(st.integers(0, 1 << 24), min_size=100, max_size=600)


@settings(max_examples=25)
@given(nodes=st.sampled_from((1, 2, 3, 4, 5)), members=st.booleans(), decisions=DECISIONS)
def test_every_promise_is_kept(nodes: int, members: bool, decisions: list[int]) -> None:
    chaos = Chaos(nodes, members=members)
    chaos.play(decisions)
    chaos.finish()


def drawn(seed: int, length: int = 3_000) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(1 << 24) for _ in range(length)]


def first_breach(bug: str, seeds: range, *, members: bool = False) -> str:
    for seed in seeds:
        chaos = Chaos(3 + seed % 3, (bug,), seed, members=members)
        try:
            chaos.play(drawn(seed))
            chaos.finish()
        except Breach as breach:
            return str(breach).split(" ")[0]
    return "none"


def test_the_same_numbers_without_a_bug() -> None:
    acknowledged = 0
    for seed in range(6):
        chaos = Chaos(3 + seed % 3, (), seed)
        chaos.play(drawn(seed))
        chaos.finish()
        acknowledged += len(chaos.ledger.acknowledged)
    assert acknowledged > 100, "the cluster got nowhere: nothing was tested"


def test_members_come_and_go_and_lose_their_disks() -> None:
    acknowledged = configurations = lost = 0
    for seed in range(9):
        chaos = Chaos(3 + seed % 3, (), seed, members=True)
        chaos.play(drawn(seed))
        chaos.finish()
        acknowledged += len(chaos.ledger.acknowledged)
        seen = [effect for _, effect in chaos.world.events if isinstance(effect, Configured)]
        configurations += len({effect.index for effect in seen})
        lost += chaos.lost_disks
    assert acknowledged > 100, "the cluster got nowhere: nothing was tested"
    assert configurations > 50
    assert lost > 3


def test_a_member_that_lost_its_disk_and_counts_all_the_same_is_found() -> None:
    assert first_breach("old-identity", range(60), members=True) in ("I3", "I4", "LIN", "LV")


@pytest.mark.parametrize(
    ("bug", "expected"),
    [
        ("early-ack", "LIN"),
        ("quorum-off-by-one", "I1 I2 I3"),
        ("vote-not-persisted", "I1 I2 LIN"),
        ("local-read-leader", "LIN"),
        ("local-read-follower", "LIN"),
        ("read-before-own-term-commit", "LIN"),
        ("lease-too-long", "LIN"),
        ("read-before-applied", "LIN"),
        ("retry-applied-twice", "APP"),
        ("truncates-on-stale-append", "I3 LIN LV"),
        ("no-step-down", "I1 I2 LV"),
        ("vote-behind-log", "I3"),
        ("snapshot-drops-sessions", "I4 APP LIN"),
        ("snapshot-off-by-one", "I4 APP"),
        ("dirty-read", "LIN"),
        ("fails-then-commits", "FAIL"),
    ],
)
def test_bugs_are_found(bug: str, expected: str) -> None:
    # The rarest shows in one of thirty.
    assert first_breach(bug, range(200)) in expected.split()


def test_snapshots_in_many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "PIECE_BYTES", 40)
    installed = 0
    for seed in range(8):
        chaos = Chaos(3, (), seed)
        chaos.play(drawn(seed))
        chaos.finish()
        installed += sum(
            isinstance(effect, Save) and effect.reset for _, effect in chaos.world.events
        )
    assert installed > 0


def test_the_same_numbers_give_the_same_events_whatever_the_hash_seed() -> None:
    program = (
        "import hashlib\n"
        "from tests.datadriven.chaos import Chaos\n"
        "from tests.property.test_raft import drawn\n"
        "chaos = Chaos(5, (), 7)\n"
        "chaos.play(drawn(7))\n"
        "chaos.finish()\n"
        "print(hashlib.sha256(repr(chaos.world.events).encode()).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1
