"""A base image from this host's own files: for a machine without a registry (Linux, glibc).

Python with its standard library, a shell, the firewall's tools, and what ldd names for them,
under the same paths as on the host.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from harness.core.errors import EnvironmentFailure

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON = "/usr/local/bin/python3"
"""Where Python is found in the image, as in the official Python images."""

TOOLS = (
    *("sh", "cat", "ls", "sleep", "env", "ip", "tc", "nft", "nsenter"),
    *(
        f"{family}{variant}{action}"
        for family in ("iptables", "ip6tables")
        for variant in ("", "-nft", "-legacy")
        for action in ("", "-save", "-restore")
    ),
)
_LIBRARY_FOLDERS = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib")
_EXTRAS = (
    *(
        f"{folder.lstrip('/')}/{pattern}"
        for folder in _LIBRARY_FOLDERS
        # xtables loads its matches, and the C library its name services, by name at run time:
        # ldd does not see them.
        for pattern in ("xtables/*", "libnss_files*", "libnss_dns*", "faketime/libfaketime*.so.1")
    ),
    *(f"etc/{name}" for name in ("nsswitch.conf", "protocols", "services", "ethertypes")),
    "etc/ld.so.cache",
    "etc/localtime",
    "usr/share/zoneinfo/UTC",
)
_SKIPPED_FOLDERS = frozenset(
    {
        *("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3"),
        *("pydoc_data", "site-packages", "dist-packages", "__pycache__"),
    }
)
_SKIPPED_MODULES = ("_tkinter.", "_test", "_ctypes_test.", "_xxtestfuzz.", "xxlimited")
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
}
_FOLDERS = ("dev", "etc", "node", "proc", "root", "run", "sys", "tmp", "usr/local/bin", "var/tmp")


def unavailable() -> str | None:
    """Why no base can be made from this host's files; None when it can."""
    if sys.platform != "linux":
        return "the host is not Linux"
    if platform.libc_ver()[0] != "glibc":
        return "the host's C library is not glibc"
    if shutil.which("ldd") is None:
        return "the host has no ldd"
    return None


def interpreter() -> Path:
    """The Python behind this one: in a virtual environment, the one it was made from."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    there = Path(sys.base_prefix, "bin", f"python{version}")
    return (there if there.exists() else Path(sys.executable)).resolve()


def fingerprint() -> str:
    """Changes when the base made here would change: Python, C library, tools, this file."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    python = interpreter()
    for part in (sys.version, str(platform.libc_ver()), platform.machine(), str(python)):
        digest.update(part.encode() + b"\0")
    for path in (python, *_tools()):
        stat = path.stat()
        digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def write(out: IO[bytes]) -> None:
    """The base as an uncompressed tar archive.

    Raises:
        EnvironmentFailure: :func:`unavailable` says why.
    """
    reason = unavailable()
    if reason:
        raise EnvironmentFailure(f"no base image can be made from this host's files: {reason}")
    paths = Collection()
    python = interpreter()
    for path in (python, *_standard_library(), *_tools(), *_extras()):
        paths.add(path)
    for library in libraries(path for path in paths if _is_elf(path)):
        paths.add(library)
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder in _FOLDERS:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if "tmp" in folder else 0o755
            tar.addfile(entry)
        for path in paths:
            tar.add(path, str(path).lstrip("/"), recursive=False, filter=_as_root)
        for name, text in _ACCOUNTS.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        if str(python) != PYTHON:
            entry = tarfile.TarInfo(PYTHON.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, str(python)
            tar.addfile(entry)


class Collection:
    """Paths to copy, with every symbolic link on the way to them.

    Merged ``/usr`` (``/bin`` → ``usr/bin``) and ``/etc/alternatives`` are such links: without
    them a copied program is there but not where anybody looks for it.
    """

    def __init__(self) -> None:
        self._paths: set[Path] = set()

    def __iter__(self) -> Iterator[Path]:
        return iter(sorted(self._paths))

    def add(self, path: Path | str) -> None:
        """Adds what an absolute path leads to, walking it name by name as the kernel does."""
        at, names = Path("/"), list(Path(path).parts[1:])
        while names:
            name = names.pop(0)
            step = at.parent if name == ".." else at / name
            if step.is_symlink():
                self._paths.add(step)
                target = step.readlink()
                if target.is_absolute():
                    at, names = Path("/"), [*target.parts[1:], *names]
                else:
                    names = [*target.parts, *names]
            else:
                at = step
        self._paths.add(at)


def libraries(programs: Iterable[Path]) -> list[str]:
    """Paths of all shared libraries that programs and libraries need.

    ldd may run what it looks at: only the host's own programs are asked about.

    Raises:
        EnvironmentFailure: a library is not found on the host itself.
    """
    # One call for all of them; its exit status tells of statically linked programs too.
    asked = ["ldd", *sorted(map(str, programs))]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return parse_ldd(answer)


def parse_ldd(output: str) -> list[str]:
    """The paths in ldd's output, each once, sorted.

    Raises:
        EnvironmentFailure: ``not found``.
    """
    found = set()
    for line in output.splitlines():
        match line.split():
            case [name, "=>", "not", "found"]:
                raise EnvironmentFailure(f"ldd does not find {name}, which Python or a tool needs")
            case [_, "=>", path, *_] if path.startswith("/"):
                found.add(path)
            case [path, address] if path.startswith("/") and address.startswith("(0x"):
                found.add(path)
    return sorted(found)


def _standard_library() -> Iterator[Path]:
    roots = {
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib", vars={"platbase": sys.base_exec_prefix}),
    }
    for root in sorted(roots):
        for here, folders, files in os.walk(root):
            folders[:] = sorted(
                name
                for name in folders
                if name not in _SKIPPED_FOLDERS and not name.startswith("config-")
            )
            for name in sorted(files):
                unwanted = name.endswith((".pyc", ".a", ".exe", ".whl"))
                if not unwanted and not name.startswith(_SKIPPED_MODULES):
                    yield Path(here, name)


def _tools() -> list[Path]:
    found = (shutil.which(tool, path=PATH) for tool in TOOLS)
    return [Path(path) for path in found if path]


def _extras() -> Iterator[Path]:
    for pattern in _EXTRAS:
        yield from Path("/").glob(pattern)


def _is_elf(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    # The image must not depend on who owns a Python on this host, nor hide it from its users.
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode |= 0o444 | (0o111 if entry.mode & 0o100 else 0)
    return entry
