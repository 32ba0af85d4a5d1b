"""The digest of a run: the same for the same bytes, another for any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.operations import Call, Complete, Completion, Invoke, Outcome
from harness.store import digest
from harness.store.jsonl import Header, HistoryWriter


def recorded(folder: Path) -> Path:
    (folder / "nodes" / "n1").mkdir(parents=True)
    header = Header(origin_monotonic_ns=5, nodes=("n1",))
    writer = HistoryWriter(folder / "history.jsonl", header)
    writer.write(Invoke(0, 1, "n1", 10, Call("write", "k1", 3)))
    writer.write(Complete(1, 0, 20, Completion(Outcome.OK)))
    writer.close()
    (folder / "faults.jsonl").write_text('{"what":"began"}\n')
    (folder / "samples.jsonl").write_text('{"at_ns":3}\n')
    (folder / "nodes" / "n1" / "trace.jsonl").write_text('{"t":1}\n')
    return folder


def test_what_is_said_of_a_run_takes_no_part(tmp_path: Path) -> None:
    one, two = recorded(tmp_path / "a"), recorded(tmp_path / "b")
    (two / "meta.json").write_text("whatever")
    assert digest(one) == digest(two)
    assert len(digest(one)) == 64


@pytest.mark.parametrize(
    "name", ["history.jsonl", "faults.jsonl", "samples.jsonl", "nodes/n1/trace.jsonl"]
)
def test_every_byte_of_what_was_recorded_does(name: str, tmp_path: Path) -> None:
    folder = recorded(tmp_path / "a")
    whole = (folder / name).read_bytes()
    seen = {digest(folder)}
    for place in range(len(whole)):
        (folder / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        seen.add(digest(folder))
    (folder / name).write_bytes(b"")
    seen.add(digest(folder))
    assert len(seen) == len(whole) + 2


def test_where_a_file_ends_does_too(tmp_path: Path) -> None:
    one, two = recorded(tmp_path / "a"), recorded(tmp_path / "b")
    for folder, split in ((one, 3), (two, 5)):
        (folder / "nodes" / "n2").mkdir()
        (folder / "nodes" / "n1" / "trace.jsonl").write_bytes(b"12345678"[:split])
        (folder / "nodes" / "n2" / "trace.jsonl").write_bytes(b"12345678"[split:])
    assert digest(one) != digest(two)


def test_a_run_that_recorded_nothing_has_one_too(tmp_path: Path) -> None:
    assert len(digest(tmp_path)) == 64
