"""Scripts of commands with what the nodes did beside each, as text to be read in review.

A script is blocks: comments, a command, ``----``, what it printed, an empty line. The test runs
the commands and compares. See :mod:`tests.datadriven.interpreter` for the commands.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.datadriven.interpreter import Interpreter

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


def rewritten(text: str) -> str:
    """The script with the output that its commands have now."""
    interpreter = Interpreter()
    blocks = []
    for block in text.strip().split("\n\n"):
        above = [line for line in block.split("\n----")[0].split("\n") if line]
        comments = [line for line in above if line.startswith("#")]
        commands = [line for line in above if not line.startswith("#")]
        if not commands:
            blocks.append("\n".join(comments))
            continue
        output = [printed for line in commands if (printed := interpreter.run(line))]
        blocks.append("\n".join([*comments, *commands, "----", *output]))
    return "\n\n".join(blocks) + "\n"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path, request: pytest.FixtureRequest) -> None:
    text = path.read_text()
    now = rewritten(text)
    if request.config.getoption("rewrite", default=False):
        path.write_text(now)
    else:
        assert now == text


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 8
