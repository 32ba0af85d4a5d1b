"""When compiled modules are used, and when they must not be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import compiled

ROOT = Path(__file__).parents[3]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources in a place of their own, with the stamp of what was compiled from them."""
    for name in compiled.MODULES:
        path = tmp_path / compiled.path_of(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / compiled.path_of(name), path)
    stamp(tmp_path)
    return tmp_path


def stamp(root: Path, **other: str) -> None:
    data = {"digest": compiled.digest(compiled.sources(root)), "suffix": compiled.SUFFIX, **other}
    (root / compiled.STAMP).write_text(json.dumps(data))


def why_not(root: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """In a process that has imported nothing yet."""
    monkeypatch.delenv("QUORUM_NATIVE", raising=False)
    for name in compiled.MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return compiled.why_not(root, root)


def test_they_are_used_for_the_sources_they_were_made_of(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert why_not(copy, monkeypatch) is None


@pytest.mark.parametrize("name", compiled.MODULES)
def test_who_edits_one_runs_what_he_wrote(
    name: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (copy / compiled.path_of(name)).open("a") as file:
        file.write("# another line\n")
    words = why_not(copy, monkeypatch)
    assert words == "made of other sources than those here (`make native` makes it again)"


def test_those_of_another_python_are_not_loaded(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp(copy, suffix=".cpython-399-x86_64-linux-gnu.so")
    words = why_not(copy, monkeypatch)
    assert words is not None and "made for another Python (.cpython-399" in words


@pytest.mark.parametrize("content", [None, "", "{"])
def test_without_them_it_is_python(
    content: str | None, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / compiled.STAMP).unlink()
    if content is not None:
        (copy / compiled.STAMP).write_text(content)
    words = why_not(copy, monkeypatch)
    assert words == "left out at installation (`make native` puts it in, with a C compiler)"


def test_all_or_none(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not(copy, monkeypatch) is None
    monkeypatch.setitem(sys.modules, "target.raft.log", sys)
    assert compiled.why_not(copy, copy) == "target.raft.log was imported before harness.compiled"


def test_it_can_be_asked_to_stay_away() -> None:
    code = (
        "import harness.cli, harness.compiled as c, target.node as n; print(c.MISSING, n.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "QUORUM_NATIVE": "0"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("QUORUM_NATIVE=0 asks for Python")
    assert done.stdout.strip().endswith("node.py")


def test_every_one_is_a_source_of_ours() -> None:
    assert len(set(compiled.MODULES)) == len(compiled.MODULES)
    assert compiled.sources(ROOT).keys() == set(compiled.MODULES)
