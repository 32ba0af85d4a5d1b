"""Damage to files: where it is, what it changes, and that it can be undone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.agent.damage import SECTOR, applied, drawn, inflict, repair, undone
from harness.agent.remains import Content, contents, give_back, lost, tails

HOWS = ("flip", "misdirect", "truncate", "torn")
stored = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.binary(max_size=2000), max_size=3)


@given(stored, st.sampled_from(HOWS), st.integers(0, 99))
def test_damage_is_where_it_says_and_can_be_undone(
    files: dict[str, bytes], how: str, seed: int
) -> None:
    sizes = {name: len(data) for name, data in files.items()}
    damage = drawn(sizes, files.__getitem__, how, random.Random(seed))
    if not any(sizes.values()):
        assert damage is None
        return
    assert damage is not None
    data = files[damage.name]
    after = applied(data, damage)
    assert damage.name in damage.words
    assert undone(after, damage) == data
    match how:
        case "truncate":
            assert after == data[: damage.at]
        case "torn":
            assert len(after) == len(data)
            assert not any(after[damage.at :])
            assert len(data) - damage.at <= SECTOR
        case _:
            assert len(after) == len(data)
            changed = [at for at in range(len(data)) if data[at] != after[at]]
            most = 4 if how == "flip" else SECTOR
            assert changed
            assert damage.at <= changed[0]
            assert changed[-1] < damage.at + most
    if how == "truncate":
        assert undone(after + b"more", damage) is None
    elif damage.wrong != bytes(len(damage.wrong)):
        assert undone(bytes(len(data)), damage) is None


def test_no_such_damage() -> None:
    with pytest.raises(ValueError, match="no such damage: 'burn'"):
        drawn({"a": 1}, lambda _: b"x", "burn", random.Random(0))


@pytest.mark.parametrize("how", HOWS)
def test_files_below_a_folder(how: str, tmp_path: Path) -> None:
    assert inflict(tmp_path, how) is None
    file = tmp_path / "deep" / "log"
    file.parent.mkdir()
    data = bytes(range(1, 256)) * 9
    file.write_bytes(data)
    damage = inflict(tmp_path, how)
    assert damage is not None
    assert damage.name == "deep/log"
    assert file.read_bytes() == applied(data, damage) != data
    repair(tmp_path, damage)
    assert file.read_bytes() == data
    file.unlink()
    repair(tmp_path, damage)
    assert not file.exists()


def written(files: dict[str, bytes], folder: Path) -> dict[str, Content]:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return contents(folder)


def test_what_is_lost(tmp_path: Path) -> None:
    block = bytes(4096)
    was = written({"a": block * 2 + b"12345", "b": b"xyz", "c": block * 3}, tmp_path)
    assert lost(was, was) == 0
    (tmp_path / "b").unlink()
    now = written({"a": block * 2, "c": block + b"\1" * 4096 + block}, tmp_path)
    assert lost(was, now) == 5 + 3 + 4096


@given(
    sound=st.binary(max_size=3000),
    tail=st.binary(min_size=1, max_size=3000),
    seed=st.integers(0, 99),
)
def test_what_comes_back_is_a_beginning_or_zeros(sound: bytes, tail: bytes, seed: int) -> None:
    before = {"log": Content(len(sound + tail), (), sound + tail), "gone": Content(3, (), b"abc")}
    after = {"log": Content(len(sound), (), sound), "new": Content(1, (), b"x")}
    given_back = tails(before, after, random.Random(seed))
    assert set(given_back) <= {"log"}
    part = given_back.get("log", b"")
    assert len(part) <= len(tail)
    same = next((at for at in range(len(part)) if part[at] != tail[at]), len(part))
    assert not any(part[same:])


def test_it_is_appended(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"sound")
    give_back(tmp_path, {"log": b" and part"})
    assert (tmp_path / "log").read_bytes() == b"sound and part"
