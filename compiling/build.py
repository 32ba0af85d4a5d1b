"""Compiles what :mod:`harness.compiled` lists into a folder.

    python -m compiling.build FOLDER

The sources are copied to a scratch folder, classes of values are written out
(:mod:`compiling.values`), mypyc makes C of it and the C compiler one library with a small module
beside it for each source. ``stamp.json`` says of which sources and for which Python.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from compiling.values import written_out
from harness import compiled

ROOT = Path(__file__).parent.parent
PACKAGES = ("harness", "target")
"""Where the sources are, and everything that they import of this project."""
CONFIGURATION = f"""\
[tool.mypy]
explicit_package_bases = true
ignore_missing_imports = true
ignore_errors = true

[[tool.mypy.overrides]]
module = {list(compiled.MODULES)}
ignore_errors = false
"""
"""What is not compiled still has dataclasses in mind; `make lint` checks all of it as it is."""


def build(folder: Path) -> None:
    """Replaces what is in ``folder``.

    Raises:
        ImportError: mypyc is not there.
        Exception, SystemExit: whatever mypyc or the C compiler ended with.
    """
    sources = compiled.sources(ROOT)
    with TemporaryDirectory(prefix="quorum-compiling-") as scratch:
        for package in PACKAGES:
            for path in sorted((ROOT / package).rglob("*.py*")):
                if path.suffix in (".py", ".pyi"):
                    copy = scratch / path.relative_to(ROOT)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
        for name, text in written_out(sources).items():
            (scratch / compiled.path_of(name)).write_text(text)
        with contextlib.chdir(scratch):
            Path("pyproject.toml").write_text(CONFIGURATION)
            libraries = _compile()
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, path in libraries.items():
            shutil.copyfile(path, folder / (name + compiled.SUFFIX))
    stamp = {"digest": compiled.digest(sources), "suffix": compiled.SUFFIX}
    (folder / compiled.STAMP).write_text(json.dumps(stamp) + "\n")


def _compile() -> dict[str, Path]:
    """In the current folder; the libraries made, by module."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    paths = [str(compiled.path_of(name)) for name in compiled.MODULES]
    extensions = mypycify(
        ["--config-file=pyproject.toml", *paths],
        opt_level="1",
        debug_level="0",
        group_name=compiled.GROUP,
    )
    command = build_ext(Distribution({"name": compiled.GROUP, "ext_modules": extensions}))
    command.build_lib, command.build_temp = "made", "objects"
    command.ensure_finalized()
    command.run()
    scratch = Path.cwd()
    return {item.name: scratch / command.get_ext_fullpath(item.name) for item in extensions}


if __name__ == "__main__":
    build(Path(sys.argv[1]))
