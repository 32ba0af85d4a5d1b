"""Undone backwards, whatever fails."""

from __future__ import annotations

import pytest

from harness.agent.journal import Journal


def test_the_last_is_undone_first_and_a_failure_stops_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    journal = Journal()
    undone: list[str] = []

    def fail() -> None:
        raise OSError("busy")

    journal.add("a", lambda: undone.append("a"))
    journal.add("a table", fail)
    journal.add("c", lambda: undone.append("c"))
    journal.undo()
    assert undone == ["c", "a"]
    assert capsys.readouterr().err == "left behind: a table (busy)\n"
    journal.undo()
    assert undone == ["c", "a"]
