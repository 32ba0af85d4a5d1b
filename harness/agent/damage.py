"""What disks do while nobody looks: bytes change, blocks go elsewhere, ends are lost."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
_FEW = 4


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a file that are wrong, and what they were; ``words`` say where."""

    name: str
    at: int
    sound: bytes
    wrong: bytes
    words: str


def drawn(
    sizes: Mapping[str, int], read: Callable[[str], bytes], how: str, rng: random.Random
) -> Damage | None:
    """Damage to one of some files, picked by chance, the larger the likelier.

    ``flip``: some bits. ``misdirect``: a block is written over another one. ``truncate``: a file
    ends at an earlier byte. ``torn``: what was written last is zeros. None where nothing is stored.

    Raises:
        ValueError: no such word.
    """
    names = [name for name, size in sizes.items() if size]
    if not names:
        return None
    (name,) = rng.choices(names, [sizes[item] for item in names])
    data, size = read(name), sizes[name]
    match how:
        case "flip":
            at = _place(size, rng)
            sound = data[at : at + _FEW]
            wrong = _other(sound, data, rng, sound)
            return Damage(name, at, sound, wrong, f"bits of {name} at byte {at} of {size} flipped")
        case "misdirect":
            at = _place(size, rng)
            sound = data[at : at + SECTOR]
            wrong = _other(sound, data, rng)
            words = f"{len(sound)} bytes of {name} written at byte {at} of {size}"
            return Damage(name, at, sound, wrong, words)
        case "truncate":
            at = _place(size, rng)
            return Damage(name, at, data[at:], b"", f"{name} ends at byte {at} of {size}")
        case "torn":
            at = max(0, size - rng.randint(1, SECTOR))
            words = f"{name} is zeros from byte {at} of {size} on"
            return Damage(name, at, data[at:], bytes(size - at), words)
        case _:
            raise ValueError(f"no such damage: {how!r}")


def _place(size: int, rng: random.Random) -> int:
    """A byte of a file; every second time one near its end, as a log's beginning may be read by
    nobody any more: the distance is drawn evenly over orders of magnitude."""
    if rng.random() < 0.5:
        return rng.randrange(size)
    return size - min(size, int(size ** rng.random()))


def _other(sound: bytes, data: bytes, rng: random.Random, base: bytes | None = None) -> bytes:
    """Bytes of the same length from elsewhere (or ``base``): never the same ones, and not zeros
    alone, which is what a write that never came leaves (``torn``)."""
    source = rng.randrange(len(data) - len(sound) + 1)
    there = data[source : source + len(sound)] if base is None else base
    wrong = bytearray(there)
    # A block may be written over one that is the same: then a bit flips all the same.
    while wrong == sound or not any(wrong):
        wrong[:] = there
        wrong[rng.randrange(len(sound))] ^= 1 << rng.randrange(8)
    return bytes(wrong)


def applied(data: bytes, damage: Damage) -> bytes:
    """A file's bytes after the damage."""
    return data[: damage.at] + damage.wrong + data[damage.at + len(damage.sound) :]


def undone(data: bytes, damage: Damage) -> bytes | None:
    """A file's bytes as they were; None when others were written there since."""
    end = damage.at + len(damage.wrong)
    there = data[damage.at : end] == damage.wrong and (damage.wrong or len(data) == damage.at)
    return data[: damage.at] + damage.sound + data[end:] if there else None


def inflict(folder: Path, how: str) -> Damage | None:
    """Damages a file below a folder; None where nothing is stored.

    Raises:
        ValueError: no such word.
        OSError: the file system refused.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in files}
    rng = random.SystemRandom()
    damage = drawn(sizes, lambda name: (folder / name).read_bytes(), how, rng)
    if damage is not None:
        path = folder / damage.name
        _rewrite(path, damage.at, applied(path.read_bytes(), damage))
    return damage


def repair(folder: Path, damage: Damage) -> None:
    """The bytes are as they were, unless others were written there.

    Raises:
        OSError: the file system refused.
    """
    path = folder / damage.name
    sound = undone(path.read_bytes(), damage) if path.is_file() else None
    if sound is not None:
        _rewrite(path, damage.at, sound)


def _rewrite(path: Path, at: int, data: bytes) -> None:
    """The file as it is from ``at`` on; it stays the same file.

    Durably: a power loss right after a repair must not bring the damage back.
    """
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data[at:])
        file.truncate(len(data))
        file.flush()
        os.fsync(file.fileno())
