"""Builds the compiled parts of the simulation (docs/compiled.md) for ``setup.py``."""
