"""A history that is read while it is written."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from harness.core.operations import Event, pair
from harness.store.jsonl import Header, HistoryWriter
from harness.store.tail import Tail
from tests.property.samples import register_events


@given(seed=st.integers(0, 10**6))
def test_what_was_written_is_read_however_it_is_cut(seed: int) -> None:
    rng = random.Random(seed)
    events = register_events(rng, 40, ("x", None, (1, "y")))
    assert pair(read_in_pieces(written(events), rng)) == pair(events)


def written(events: list[Event]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        writer = HistoryWriter(path, Header(model="register", nodes=("n1",)))
        for event in events:
            writer.write(event)
        writer.close()
        return path.read_bytes()


def read_in_pieces(raw: bytes, rng: random.Random) -> list[Event]:
    tail, found = Tail(), []
    while raw:
        size = rng.randrange(1, 200)
        found += tail.read(raw[:size])
        raw = raw[size:]
    return found
