"""What the README shows is what works: its Python is run, its commands and links exist."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, seed, settings

from harness.cli import cli
from harness.core.operations import Call, Complete, Completion, Invoke, Outcome
from harness.store.jsonl import Header, HistoryWriter

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks() -> list[str]:
    """Indented blocks, without their indentation."""
    found = re.findall(r"(?:^    .*\n(?:\s*\n(?=    ))?)+", README, re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    header = Header(origin_monotonic_ns=0, started_utc="", model="cas-register", nodes=("n1",))
    writer = HistoryWriter(tmp_path / "history.jsonl", header)
    writer.write(Invoke(0, 1, "n1", 10, Call("write", "k1", 3)))
    writer.write(Complete(1, 0, 20, Completion(Outcome.OK)))
    writer.write(Invoke(2, 2, "n1", 30, Call("read", "k1")))
    writer.write(Complete(3, 2, 40, Completion(Outcome.OK, None)))
    writer.close()
    (python,) = [block for block in blocks() if "read_history(" in block]
    exec(compile(python, "README.md", "exec"), {})
    assert "INVALID" in capsys.readouterr().out


def test_the_model_of_the_readme_judges(capsys: pytest.CaptureFixture[str]) -> None:
    (python,) = [block for block in blocks() if "Model(" in block]
    made: dict[str, object] = {}
    exec(compile(python, "README.md", "exec"), made)
    said = capsys.readouterr().out
    assert said.startswith(python.partition("# ")[2].partition("…")[0])
    assert "it held 10" in said
    definition = python[python.index("def step") : python.index("deposit, withdraw =")]
    assert len([line for line in definition.splitlines() if line.strip()]) < 25


def test_the_property_of_the_readme_fails_and_shrinks() -> None:
    (python,) = [block for block in blocks() if "simulate(" in block]
    assert len([line for line in python.splitlines() if line.strip()]) <= 10
    # Without the explaining phase, which traces every line of every run.
    phases = (Phase.generate, Phase.shrink)
    before = settings.get_current_profile_name()
    settings.register_profile("readme", database=None, phases=phases)
    settings.load_profile("readme")
    try:
        made: dict[str, Any] = {}
        exec(compile(python, "README.md", "exec"), made)
        test = seed(1)(made["test_what_was_acknowledged_stays"])
        with pytest.raises(AssertionError, match=r"majority-commit: n. acknowledged entry"):
            test()
    finally:
        settings.load_profile(before)


def test_every_command_of_the_readme_exists() -> None:
    named = set(re.findall(r"harness ([a-z]+)\b", "\n".join(blocks())))
    named |= set(re.findall(r"`harness ([a-z]+)", README))
    assert named <= set(cli.commands), named - set(cli.commands)
    options = set(re.findall(r"(--[a-z-]+)", "\n".join(blocks())))
    known = {
        it for command in cli.commands.values() for param in command.params for it in param.opts
    }
    assert options <= known, options - known


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
