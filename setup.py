"""Builds the compiled parts where there are compilers for them, and says so where there are none.

Everything else about the package is in ``pyproject.toml``. There are two: the checker's native core
(Rust, docs/native.md) and the simulation's hot parts (C, docs/compiled.md). ``QUORUM_NATIVE=0``
leaves both out; nothing but speed is lost with them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import setup
from setuptools_rust import Binding, RustExtension, build_rust

ROOT = Path(__file__).parent
LEFT_OUT = "quorum-harness: the native core was left out: %s; the Python engine does its work"
NOT_COMPILED = "quorum-harness: the simulation was not compiled: %s; it runs as Python"
ASKED = "QUORUM_NATIVE=0 asks for it"
COMPILE_S = 600


def no_compiling() -> str | None:
    """Why the simulation cannot be compiled here; None when it can be tried."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if os.environ.get("QUORUM_NATIVE") == "0":
        return ASKED
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler}) on the PATH"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python's headers (Python.h) are not here"
    return None


class BuildNative(build_rust):
    """The compilers' runs, which an installation can do without."""

    def run(self) -> None:
        """Builds, or says in one line why not."""
        if os.environ.get("QUORUM_NATIVE") == "0":
            self.warn(LEFT_OUT % ASKED)
        elif shutil.which("cargo") is None or shutil.which("rustc") is None:
            self.warn(LEFT_OUT % "there is no Rust toolchain (cargo, rustc) on the PATH")
        else:
            super().run()
        missing = no_compiling()
        if missing is not None:
            self.warn(NOT_COMPILED % missing)
        else:
            self.compile_simulation()

    def run_for_extension(self, extension: RustExtension) -> None:
        """Whatever goes wrong (an old compiler, no network for the crates) costs speed alone."""
        try:
            super().run_for_extension(extension)
        except Exception as error:
            self.warn(LEFT_OUT % f"it did not build ({str(error).splitlines()[0]})")

    def compile_simulation(self) -> None:
        """In a process of its own: mypyc and its compiler run in a folder of their own."""
        top = ROOT if self.inplace else Path(self.get_finalized_command("build_ext").build_lib)
        folder = (top / "harness" / "_compiled").absolute()
        command = [sys.executable, "-m", "compiling.build", str(folder)]
        try:
            subprocess.run(
                command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=COMPILE_S
            )
        except subprocess.CalledProcessError as error:
            lines = f"{error.stdout}\n{error.stderr}".splitlines()
            said = [line.strip() for line in lines if "rror" in line]
            self.warn(NOT_COMPILED % f"it did not build ({said[-1] if said else error})")
        except (OSError, subprocess.TimeoutExpired) as error:
            self.warn(NOT_COMPILED % f"it did not build ({error})")


setup(
    cmdclass={"build_rust": BuildNative},
    # Needed for the build alone, and only where it is going to compile.
    setup_requires=[] if no_compiling() else ["mypy>=2.4"],
    rust_extensions=[
        RustExtension(
            "harness._native",
            path="native/Cargo.toml",
            args=["--locked"],
            binding=Binding.PyO3,
            py_limited_api=True,
            debug=False,
            optional=True,
        )
    ],
)
