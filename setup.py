"""Builds the native core where there is a Rust toolchain, and says so where there is none.

Everything else about the package is in ``pyproject.toml``. ``QUORUM_NATIVE=0`` leaves the native
core out; nothing but speed is lost with it.
"""

from __future__ import annotations

import os
import shutil

from setuptools import setup
from setuptools_rust import Binding, RustExtension, build_rust

LEFT_OUT = "quorum-harness: the native core was left out: %s; the Python engine does its work"


class BuildNative(build_rust):
    """The compiler's run, which an installation can do without."""

    def run(self) -> None:
        """Builds, or says in one line why not."""
        if os.environ.get("QUORUM_NATIVE") == "0":
            self.warn(LEFT_OUT % "QUORUM_NATIVE=0 asks for it")
        elif shutil.which("cargo") is None or shutil.which("rustc") is None:
            self.warn(LEFT_OUT % "there is no Rust toolchain (cargo, rustc) on the PATH")
        else:
            super().run()

    def run_for_extension(self, extension: RustExtension) -> None:
        """Whatever goes wrong (an old compiler, no network for the crates) costs speed alone."""
        try:
            super().run_for_extension(extension)
        except Exception as error:
            self.warn(LEFT_OUT % f"it did not build ({str(error).splitlines()[0]})")


setup(
    cmdclass={"build_rust": BuildNative},
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
