"""The rooms' rules that import-linter cannot say: who keeps to the standard library."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.ImportFrom(level=level):
                assert level == 0, f"{path}: relative import"


STANDARD_ONLY = {
    "harness/core": ("harness.core",),
    "harness/agent": ("harness.agent",),
    "target": ("target",),
}


@pytest.mark.parametrize("room", STANDARD_ONLY)
def test_standard_library_only(room: str) -> None:
    files = [
        path
        for path in (ROOT / room).rglob("*.py")
        if "adapters" not in path.relative_to(ROOT).parts
    ]
    assert files
    for path in files:
        for name in imported(path):
            own = any(name == it or name.startswith(it + ".") for it in STANDARD_ONLY[room])
            adapter = name.startswith("target.adapters")
            standard = name.split(".")[0] in sys.stdlib_module_names
            assert (own and not adapter) or standard, f"{path.relative_to(ROOT)} imports {name}"


def test_docker_is_imported_in_one_file() -> None:
    users = [
        path.relative_to(ROOT)
        for room in ("harness", "nemesis", "workloads", "target", "reports")
        for path in (ROOT / room).rglob("*.py")
        if any(name.split(".")[0] == "docker" for name in imported(path))
    ]
    assert len(users) <= 1, users


def test_hypothesis_is_imported_in_one_file() -> None:
    users = [
        path.relative_to(ROOT)
        for room in ("harness", "nemesis", "workloads", "target", "reports")
        for path in (ROOT / room).rglob("*.py")
        if any(name.split(".")[0] == "hypothesis" for name in imported(path))
    ]
    assert users == [Path("harness/hypothesis.py")]


def test_every_package_is_listed_for_the_wheel() -> None:
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {
        str(path.parent.relative_to(ROOT)).replace("/", ".")
        for room in ("harness", "nemesis", "workloads", "target", "reports")
        for path in (ROOT / room).rglob("*.py")
    }
    assert sorted(listed) == sorted(there)
