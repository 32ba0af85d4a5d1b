"""The base image from the host's own files: what is needed, and every link on the way."""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

from harness.core.errors import EnvironmentFailure
from harness.runtime.docker import hostbase
from tests.conftest import unavailable

LDD = """\
/usr/bin/python3.11:
\tlinux-vdso.so.1 (0x00007f0bfaddb000)
\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f0bfa53e000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0bfa61e000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f0bfaddd000)
/usr/sbin/nft:
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0bfa61e000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f0bfaddd000)
/usr/bin/static:
\tstatically linked
/usr/bin/other:
\tnot a dynamic executable
"""


def test_what_ldd_says() -> None:
    assert hostbase.parse_ldd(LDD) == [
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib/x86_64-linux-gnu/libm.so.6",
        "/lib64/ld-linux-x86-64.so.2",
    ]


def test_a_library_that_is_not_there() -> None:
    with pytest.raises(EnvironmentFailure, match=r"libgone\.so\.1"):
        hostbase.parse_ldd("\tlibgone.so.1 => not found\n")


def test_links_on_the_way_are_taken_along(tmp_path: Path) -> None:
    real = tmp_path / "usr" / "bin"
    real.mkdir(parents=True)
    (real / "tool-2.0").write_text("program")
    alternatives = tmp_path / "etc"
    alternatives.mkdir()
    (alternatives / "tool").symlink_to(tmp_path / "bin" / "tool-2.0")
    (real / "tool").symlink_to("../../etc/tool")
    (tmp_path / "bin").symlink_to("usr/bin")
    collection = hostbase.Collection()
    collection.add(tmp_path / "bin" / "tool")
    assert set(collection) == {
        tmp_path / "bin",
        real / "tool",
        alternatives / "tool",
        real / "tool-2.0",
    }


def test_a_collection_leads_where_the_kernel_leads(tmp_path: Path) -> None:
    """Copied elsewhere, the name still leads to the content."""
    inner = tmp_path / "root" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").write_text("here")
    (tmp_path / "root" / "x").symlink_to("a")
    (tmp_path / "root" / "a" / "up").symlink_to("../x/b/../b")
    collection = hostbase.Collection()
    collection.add(tmp_path / "root" / "x" / "up" / "file")
    copy = tmp_path / "copy"
    for path in collection:
        there = copy / path.relative_to(tmp_path / "root")
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, there, follow_symlinks=False)
    assert (copy / "x" / "up" / "file").read_text() == "here"


def test_python_is_the_one_behind_the_virtual_environment() -> None:
    python = hostbase.interpreter()
    assert python.is_file()
    assert not python.is_symlink()
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in python.name
    assert not python.is_relative_to(Path(sys.prefix)) or sys.prefix == sys.base_prefix


def test_the_fingerprint_is_stable() -> None:
    assert hostbase.fingerprint() == hostbase.fingerprint()


def test_the_archive_holds_what_a_node_needs(tmp_path: Path) -> None:
    reason = hostbase.unavailable()
    if reason:
        unavailable(reason)
    path = tmp_path / "base.tar"
    with path.open("wb") as out:
        hostbase.write(out)
    with tarfile.open(path) as tar:
        entries = {entry.name: entry for entry in tar}
    library = sysconfig.get_path("stdlib").lstrip("/")
    assert f"{library}/asyncio/__init__.py" in entries
    assert str(hostbase.interpreter()).lstrip("/") in entries
    assert entries[hostbase.PYTHON.lstrip("/")].issym()
    assert not [name for name in entries if "site-packages" in name or name.endswith(".pyc")]
    # Readable by any user a node may run as, and nobody's of this host.
    assert all(entry.mode & 0o444 == 0o444 for entry in entries.values() if entry.isfile())
    assert {(entry.uid, entry.gid) for entry in entries.values()} == {(0, 0)}
    names = {Path(name).name for name in entries}
    assert {"sh", "cat", "ls"} <= names
    assert any(name.startswith("ld-linux") for name in names)
