"""Without an engine: one line that says what to do, and nothing else breaks."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.runtime.docker import DockerRuntime
from harness.runtime.docker.cluster import bridge_name, node_user, table_name
from tests.unit.docker.parts import collect_sdk_garbage


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    # Otherwise the collector may come by itself, before its complaints are kept quiet.
    gc.disable()
    try:
        yield
        collect_sdk_garbage()
    finally:
        gc.enable()


def test_no_engine_answers(no_engine: None) -> None:
    missing = DockerRuntime().missing()
    assert missing is not None
    assert "\n" not in missing
    assert "No such file" in missing
    assert "--runtime netns" in missing


def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "nonsense://x")
    missing = DockerRuntime().missing()
    assert missing is not None
    assert "\n" not in missing


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    missing = DockerRuntime().missing()
    assert missing is not None
    assert "pip install docker" in missing


def test_the_package_is_imported_late() -> None:
    code = "import harness.runtime.docker, sys; sys.exit('docker' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_no_runtime_can_do_needs_no_engine(no_engine: None) -> None:
    runtime = DockerRuntime()
    assert runtime.lacks("kill") is None
    assert runtime.lacks("earthquake") is not None


def test_names_fit() -> None:
    assert table_name("a1-b2") == "harness_a1_b2"
    assert bridge_name("0a1b2c3d") == "qh-0a1b2c3d"
    long = {bridge_name(f"a-rather-long-name-{number}") for number in range(20)}
    assert len(long) == 20
    assert all(len(name) <= 15 for name in long)


def test_whom_servers_run_as(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 1000)
    monkeypatch.setattr("os.getgid", lambda: 100)
    assert node_user(rootless=False) == "1000:100"
    # There the engine's root is this user, and any other number would be a stranger's.
    assert node_user(rootless=True) == ""
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert node_user(rootless=False) == ""
