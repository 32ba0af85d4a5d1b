"""A node's home, emptied."""

from __future__ import annotations

from pathlib import Path

from harness.agent.machines import emptied


def test_all_but_what_is_kept_goes(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("12345")
    home = tmp_path / "home"
    (home / "data" / "deep").mkdir(parents=True)
    (home / "data" / "log").write_text("1234567")
    (home / "data" / "deep" / "snap").write_text("123")
    (home / "log.txt").write_text("stays")
    (home / "trace.jsonl").write_text("stays")
    (home / "other").write_text("12")
    (home / "link").symlink_to(outside)
    link = (home / "link").lstat().st_size
    assert emptied(home, ("log.txt", "trace.jsonl")) == 7 + 3 + 2 + link
    assert sorted(path.name for path in home.iterdir()) == ["log.txt", "trace.jsonl"]
    assert (outside / "precious").read_text() == "12345", "a link's other end is not the node's"
    assert emptied(home) == 10
    assert not list(home.iterdir())
