"""``pytest tests/datadriven --rewrite`` writes the transcripts anew; read the difference then."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write the transcripts anew")
