"""Damaged files of every format: a verdict or one clear line, never a traceback."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from harness.cli.judging import Choices, judge
from harness.core.errors import UsageError
from harness.core.operations import Event
from harness.core.protocols import Limits
from harness.store import Header, HistoryWriter, read_history, to_edn
from tests.property.samples import jepsen_log, key_value_log, register_events

ROUNDS = 2000
"""Damaged files of each format."""

LIMITS = Limits(time_s=0.5)


def jsonl(events: list[Event], folder: Path) -> bytes:
    path = folder / "history.jsonl"
    writer = HistoryWriter(path, Header(1, "2026-01-01T00:00:00+00:00", "cas-register", ("n1",)))
    for event in events:
        writer.write(event)
    writer.close()
    return path.read_bytes()


def edn(events: list[Event], folder: Path) -> bytes:
    jsonl(events, folder)
    return to_edn(read_history(folder / "history.jsonl").history).encode()


def samples(format: str, folder: Path) -> list[bytes]:
    """A few whole files to damage."""
    found = []
    for seed in range(5):
        rng = random.Random(seed)
        keys = (None,) if format in ("edn", "jepsen-log") and seed % 2 else ("a", "b")
        events = register_events(rng, 40, (None,) if format == "jepsen-log" else keys)
        match format:
            case "jsonl":
                found.append(jsonl(events, folder))
            case "edn":
                found.append(edn(events, folder))
            case "jepsen-log":
                found.append(jepsen_log(events, rng).encode())
            case _:
                found.append(key_value_log(events).encode())
    return found


def damage(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    """Flips, cuts, removes, repeats, splices."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.choice((1, 1, 2, 8, 60)))
        match rng.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                del data[at:to]
            case 3:
                data[at:at] = data[at:to]
            case 4:
                start = rng.randrange(len(other))
                data[at:to] = other[start : start + rng.choice((1, 5, 80))]
            case _:
                data[at:at] = rng.choice(
                    (b"{", b"[", b'"', b"}", b"\n", b"\0", b"\xff", b":", b"#", b"9" * 5000, b"nil")
                )
    return bytes(data)


@pytest.mark.parametrize("format", ["jsonl", "edn", "jepsen-log", "porcupine-kv"])
def test_damage_gives_a_verdict_or_one_clear_line(format: str, tmp_path: Path) -> None:
    rng = random.Random(7)
    whole = samples(format, tmp_path)
    path = tmp_path / "damaged"
    ends: Counter[str] = Counter()
    for number in range(ROUNDS):
        path.write_bytes(damage(rng, rng.choice(whole), rng.choice(whole)))
        insisted = format if number % 2 else "auto"
        try:
            judged = judge(path, Choices(format=insisted, limits=LIMITS))
        except UsageError as error:
            words = str(error)
            assert words.startswith(str(path)), words
            assert "\n" not in words, words
            ends["error"] += 1
        else:
            ends[judged.record.ending.word] += 1
    assert ends["error"] > ROUNDS / 4, ends
    assert ends["valid"] > 0, ends


@pytest.mark.parametrize("format", ["jsonl", "edn", "jepsen-log", "porcupine-kv"])
def test_whole_files_are_valid_and_recognised(format: str, tmp_path: Path) -> None:
    for raw in samples(format, tmp_path):
        path = tmp_path / "whole"
        path.write_bytes(raw)
        judged = judge(path, Choices(limits=LIMITS))
        assert judged.format == format
        assert judged.record.ending.word == "valid"


@pytest.mark.parametrize("format", ["jsonl", "edn", "jepsen-log", "porcupine-kv"])
def test_a_cut_in_the_last_line_is_a_warning(format: str, tmp_path: Path) -> None:
    for raw in samples(format, tmp_path):
        path = tmp_path / "cut"
        body = raw.rstrip()
        start = body.rfind(b"\n") + 1
        for at in range(start + 2, len(body) - 1, 7):
            path.write_bytes(raw[:at])
            history = read_history(path, format).history
            # What is before the cut is the same history, one event shorter.
            path.write_bytes(raw[:start])
            shorter = read_history(path, format).history
            assert len(history.warnings) == 1, raw[:at][-80:]
            assert re.search("cut off|breaks off", history.warnings[0])
            if "may be" not in history.warnings[0]:
                assert history.operations == shorter.operations
