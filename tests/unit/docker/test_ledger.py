"""What has to be undone is known before it is done, and for as long as it is there."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from harness.core.errors import EnvironmentFailure
from harness.runtime import ledger
from harness.runtime.docker.engine import Engine
from harness.runtime.docker.leftovers import dead_runs
from harness.runtime.docker.owner import Owner

EFFECTS = {"container": ["a", "b"], "firewall table": ["t"]}


def entry(run_id: str, owner: Owner, where: str = "here") -> ledger.Entry:
    return ledger.Entry(run_id, owner.label, where, EFFECTS)


def test_what_is_written_is_there_until_it_is_forgotten(tmp_path: Path) -> None:
    ones = [entry(name, Owner.here()) for name in ("r1", "r2")]
    for one in ones:
        ledger.write(one, tmp_path / "new")
    assert ledger.entries(tmp_path / "new") == tuple(ones)
    ledger.forget("r1", tmp_path / "new")
    ledger.forget("r1", tmp_path / "new")
    assert ledger.entries(tmp_path / "new") == (ones[1],)


def test_files_that_are_none_of_ours_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    (tmp_path / "y.json").write_text('{"run_id":')
    (tmp_path / ".half.json").write_text("")
    ledger.write(entry("r1", Owner.here()), tmp_path)
    assert [it.run_id for it in ledger.entries(tmp_path)] == ["r1"]
    assert ledger.entries(tmp_path / "nowhere") == ()


def test_where_nothing_can_be_noted_nothing_is_done(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure, match="XDG_STATE_HOME"):
        ledger.write(entry("r1", Owner.here()), tmp_path / "file")


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert ledger.folder() == tmp_path / "quorum-harness"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert ledger.folder().name == f"quorum-harness-{os.getuid()}"


class Empty:
    """An engine on which nothing has a label."""

    where = "here"

    def containers(self, label: str) -> list[object]:
        return []

    def networks(self, label: str) -> list[object]:
        return []


def test_dead_runs_are_found_without_anything_that_has_a_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    me = Owner.here()
    ended = dataclasses.replace(me, started=me.started - 1)
    earlier = dataclasses.replace(me, boot="another boot", pid=1)
    elsewhere = dataclasses.replace(me, pidns="pid:[1]")
    for run_id, owner in (("me", me), ("ended", ended), ("boot", earlier), ("far", elsewhere)):
        ledger.write(entry(run_id, owner))
    ledger.write(entry("other-engine", ended, "there"))
    engine: Engine = Empty()  # type: ignore[assignment]
    assert list(dead_runs(engine)) == ["boot", "ended"]
