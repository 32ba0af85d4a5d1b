"""The simulated disk against a second version that keeps every byte's story."""

from __future__ import annotations

import errno
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from harness.agent.damage import SECTOR
from harness.core.cluster import DiskTrouble
from harness.runtime.sim.disk import SimDisk

NAMES = st.sampled_from(("log-1", "log-2", "snap"))
DATA = st.binary(min_size=1, max_size=2 * SECTOR)


@dataclass
class Byte:
    """One byte of a file: what was written, and whether a power loss may take it."""

    value: int
    durable: bool = False
    syncing: bool = False


@dataclass
class DumbDisk:
    """Byte by byte."""

    files: dict[str, list[Byte]] = field(default_factory=dict)

    def content(self, name: str) -> bytes:
        return bytes(byte.value for byte in self.files[name])

    def settle(self) -> None:
        for file in self.files.values():
            for byte in file:
                byte.durable = byte.durable or byte.syncing

    def volatile(self) -> int:
        return sum(not byte.durable for file in self.files.values() for byte in file)


def could_be(before: list[Byte], after: bytes) -> bool:
    """Whether a power loss can have left this of a file.

    What was durable is there. Behind it comes a beginning of the rest, which may end in zeros, from
    where the durable part ends or from a sector's begin on: data that was never written.
    """
    durable = sum(byte.durable for byte in before)
    assert all(byte.durable for byte in before[:durable]), "only a beginning can be durable"
    written = bytes(byte.value for byte in before)
    if not durable <= len(after) <= len(written):
        return False
    starts = [len(after), durable, *range(0, len(after), SECTOR)]
    return any(
        after == written[:start] + bytes(len(after) - start) for start in starts if start >= durable
    )


class Disks(RuleBasedStateMachine):
    """The same calls to both."""

    def __init__(self) -> None:
        super().__init__()
        self.dumb = DumbDisk()

    @initialize(seed=st.integers(0, 2**16))
    def made(self, seed: int) -> None:
        self.disk = SimDisk("n1", random.Random(seed))

    @rule(name=NAMES, data=st.binary(max_size=40))
    def create(self, name: str, data: bytes) -> None:
        self.disk.create(name, data)
        self.dumb.files[name] = [Byte(value, durable=True) for value in data]

    @precondition(lambda self: self.dumb.files)
    @rule(name=NAMES, data=DATA)
    def append(self, name: str, data: bytes) -> None:
        if self.there(name, lambda: self.disk.append(name, data)):
            self.dumb.files[name] += [Byte(value) for value in data]

    @precondition(lambda self: self.dumb.files)
    @rule(name=NAMES)
    def sync(self, name: str) -> None:
        if self.there(name, lambda: self.disk.sync(name)):
            for byte in self.dumb.files[name]:
                byte.syncing = True

    @precondition(lambda self: self.dumb.files)
    @rule()
    def settle(self) -> None:
        self.disk.settle()
        self.dumb.settle()

    @precondition(lambda self: self.dumb.files)
    @rule(name=NAMES, share=st.floats(0, 1))
    def truncate(self, name: str, share: float) -> None:
        size = round(share * len(self.dumb.files.get(name, ())))
        if self.there(name, lambda: self.disk.truncate(name, size)):
            del self.dumb.files[name][size:]

    @precondition(lambda self: self.dumb.files)
    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if self.there(name, lambda: self.disk.remove(name)):
            del self.dumb.files[name]

    @rule()
    def lose_power(self) -> None:
        before = {name: len(file) for name, file in self.dumb.files.items()}
        lost = self.disk.lose_power()
        assert list(self.disk.names()) == sorted(before)
        after = {name: self.disk.read(name) for name in before}
        assert lost == sum(before[name] - len(after[name]) for name in before)
        for name, content in after.items():
            assert could_be(self.dumb.files[name], content), name
            # What is there after a power loss is on the platters.
            self.dumb.files[name] = [Byte(value, durable=True) for value in content]

    def there(self, name: str, act: Callable[[], None]) -> bool:
        """Acts on a file that is there; one that is not is refused."""
        if name in self.dumb.files:
            act()
            return True
        with pytest.raises(FileNotFoundError, match=f"n1/{name}"):
            act()
        return False

    @invariant()
    def both_hold_the_same(self) -> None:
        assert list(self.disk.names()) == sorted(self.dumb.files)
        for name in self.dumb.files:
            assert self.disk.read(name) == self.dumb.content(name)
        assert self.disk.unsynced == self.dumb.volatile()


TestDisks = Disks.TestCase


def crashed(seed: int, *, synced: bytes, rest: bytes) -> bytes:
    """What a power loss leaves of a file of which a part was synced."""
    disk = SimDisk("n1", random.Random(seed))
    disk.create("log", b"")
    disk.append("log", synced)
    disk.sync("log")
    disk.settle()
    disk.append("log", rest)
    disk.lose_power()
    return disk.read("log")


def test_a_power_loss_leaves_nothing_all_or_a_part_of_what_was_not_synced() -> None:
    """Over many crashes each of the ways is seen, and none touches what was synced."""
    rest = bytes(range(1, 256)) * 8
    kinds = set()
    for seed in range(200):
        left = crashed(seed, synced=b"durable", rest=rest)
        assert left.startswith(b"durable")
        tail = left[7:]
        if not tail:
            kinds.add("nothing")
        elif tail == rest:
            kinds.add("all")
        elif rest.startswith(tail):
            kinds.add("a beginning")
        else:
            assert tail.endswith(b"\0")
            assert rest.startswith(tail.rstrip(b"\0"))
            kinds.add("zeros")
    assert kinds == {"nothing", "all", "a beginning", "zeros"}


def test_a_sync_that_is_under_way_has_not_saved_anything_yet() -> None:
    lost = 0
    for seed in range(50):
        disk = SimDisk("n1", random.Random(seed))
        disk.create("log", b"")
        disk.append("log", b"words")
        disk.sync("log")
        assert disk.unsynced == 5
        lost += disk.lose_power()
    assert lost > 0


def test_what_is_written_during_a_sync_is_not_saved_by_it() -> None:
    disk = SimDisk("n1", random.Random(0))
    disk.create("log", b"")
    disk.append("log", b"before")
    disk.sync("log")
    disk.append("log", b" after")
    disk.settle()
    assert disk.unsynced == len(b" after")


# -- troubles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (DiskTrouble(full=True), errno.ENOSPC),
        (DiskTrouble(read_only=True), errno.EROFS),
        (DiskTrouble(broken=True), errno.EIO),
        (DiskTrouble(broken=True, full=True, read_only=True), errno.EIO),
    ],
)
def test_a_disk_in_trouble_refuses_writes_and_stays_as_it_was(
    trouble: DiskTrouble, code: int
) -> None:
    disk = SimDisk("n1", random.Random(0))
    disk.create("log", b"old")
    disk.append("log", b" and unsynced")
    disk.trouble = trouble
    refused: list[Callable[[], None]] = [
        lambda: disk.append("log", b"new"),
        lambda: disk.sync("log"),
        lambda: disk.create("other", b"new"),
        lambda: disk.truncate("log", 1),
        lambda: disk.remove("log"),
    ]
    for act in refused:
        with pytest.raises(OSError, match="n1/") as caught:
            act()
        assert caught.value.errno == code
    assert disk.counts.refused == len(refused)
    assert list(disk.names()) == ["log"]
    assert disk.read("log") == b"old and unsynced"
    disk.settle()
    assert disk.unsynced == len(b" and unsynced")

    disk.trouble = DiskTrouble()
    disk.append("log", b"!")
    assert disk.read("log").endswith(b"unsynced!")


# -- damage -------------------------------------------------------------------------------------


@example(188, "flip", b"\x00", b"\x02")
@given(st.integers(0, 10_000), st.sampled_from(("flip", "misdirect")), DATA, DATA)
def test_damage_is_small_and_where_it_is_said_to_be(
    seed: int, how: str, one: bytes, two: bytes
) -> None:
    disk = SimDisk("n1", random.Random(seed))
    disk.create("empty", b"")
    before = {"log-1": one, "log-2": two, "empty": b""}
    disk.create("log-1", one)
    disk.create("log-2", two)
    where = disk.damage(how)
    assert where is not None
    said = re.search(r"(?:bits|(\d+) bytes) of (log-.) (?:written )?at byte (\d+) of (\d+)", where)
    assert said is not None, where
    length, name, at = int(said[1] or 4), said[2], int(said[3])
    assert int(said[4]) == len(before[name])
    for other, data in before.items():
        after = disk.read(other)
        assert len(after) == len(data)
        wrong = [place for place in range(len(data)) if after[place] != data[place]]
        assert other == name or not wrong
        assert all(at <= place < at + length for place in wrong)
        if other == name:
            flipped = sum((a ^ b).bit_count() for a, b in zip(data, after, strict=True))
            blocks = (data[start : start + length] for start in range(len(data)))
            assert flipped >= 1
            assert flipped == 1 or (how == "misdirect" and after[at : at + length] in blocks)
    assert disk.unsynced == 0
    disk.repair()
    assert {other: disk.read(other) for other in before} == before


def test_there_may_be_nothing_to_damage() -> None:
    disk = SimDisk("n1", random.Random(0))
    disk.create("log", b"")
    assert disk.damage("flip") is None
    assert disk.damage("misdirect") is None
    disk.repair()
    assert disk.read("log") == b""


@given(st.integers(0, 1000))
def test_the_same_seed_is_the_same_damage(seed: int) -> None:
    def damaged() -> bytes:
        disk = SimDisk("n1", random.Random(seed))
        disk.create("log", b"x" * 20)
        disk.append("log", bytes(range(256)) * 6)
        disk.lose_power()
        disk.damage("flip")
        disk.damage("misdirect")
        return disk.read("log")

    assert damaged() == damaged()


def test_another_disk_has_nothing_on_it() -> None:
    disk = SimDisk("n1", random.Random(1))
    disk.create("log-1", b"12345")
    disk.append("log-1", b"678")
    assert disk.damage("flip") is not None
    assert disk.wipe() == 8
    assert disk.names() == []
    disk.create("log-1", b"abc")
    disk.repair()
    assert disk.read("log-1") == b"abc", "what was damaged is gone with the old one"
