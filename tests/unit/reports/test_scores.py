"""The track record's views say the same, and give a command that runs."""

from __future__ import annotations

import json
import shlex
from xml.etree import ElementTree

from harness.cli import cli
from harness.core.plan import RunSpec
from harness.core.trials import Score, Tried
from harness.core.verdict import ExitCode
from reports.scores import HEADS, to_html, to_json, to_markdown

BUG = "early-ack"
SPEC = RunSpec(runtime="sim", workload="set", nemeses=("kill", "pause"), bugs=(BUG,), nodes=3)


def tried(seed: int, *found_by: str) -> Tried:
    spec = RunSpec(**{**{f: getattr(SPEC, f) for f in SPEC.__slots__}, "seed": seed})
    code = ExitCode.VIOLATION if found_by else ExitCode.VALID
    found_ns = 7_000_000_000 if found_by else None
    word = "invalid" if found_by else "valid"
    outside = "set" in found_by
    return Tried(spec, word, code, "<b>Lost.", found_by, found_ns, 60.0, 0.5, outside=outside)


SCORES = (
    Score(BUG, ("kill", "pause"), "set", "sim", (tried(1), tried(2, "set", "majority-commit"))),
    Score(None, ("kill", "pause"), "set", "sim", (tried(1), tried(2))),
)
NUMBERS = {BUG: "1"}


def test_markdown_has_a_row_for_each_and_the_commands() -> None:
    text = to_markdown(SCORES, NUMBERS)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert all(line.count("|") == len(HEADS) + 1 for line in table)
    assert "| 1 | early-ack | kill,pause | set | 1/2 (9%–91%) |" in table[2]
    assert "| majority-commit 1, set 1 | 1/2 |" in table[2]
    assert "none (control)" in table[3]
    (line,) = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    words = shlex.split(line)
    assert words[:2] == ["harness", "run"]
    context = cli.commands["run"].make_context("run", words[2:])
    assert context.params["seed"] == 2
    assert context.params["nodes"] == 3
    assert context.params["bug"] == (BUG,)


def test_markdown_begins_with_the_soonest_of_each() -> None:
    slow = Score(BUG, ("kill",), "set", "sim", (tried(4), tried(5), tried(6, "set")))
    missed = Score("dirty-read", ("kill",), "set", "sim", (tried(4),), "plain")
    text = to_markdown((slow, *SCORES, missed), NUMBERS)
    soonest, _, everything = text.partition("All that was tried:")
    rows = [line for line in soonest.splitlines() if line.startswith("| ")]
    assert len(rows) == 3
    assert "| early-ack | kill,pause |" in rows[1] and "| dirty-read | plain |" in rows[2]
    assert len([line for line in everything.splitlines() if line.startswith("| ")]) == 5
    assert everything.count("    harness run") == 1


def test_json_has_every_run() -> None:
    data = json.loads(to_json(SCORES))
    bug, control = data["scores"]
    assert (bug["found"], bug["tried"], control["found"]) == (1, 2, 0)
    assert (bug["found_by_clients_alone"], bug["mix"]) == (1, None)
    assert bug["median_run_s"] == 7.0
    assert bug["median_wait_s"] == 0.75
    assert [run["seed"] for run in bug["runs"]] == [1, 2]
    assert control["command"] is None


def test_the_page_escapes_what_it_is_given() -> None:
    page = to_html(SCORES, NUMBERS, "Found <all>")
    assert "Found &lt;all&gt;" in page
    assert "<all>" not in page
    table = page[page.index("<tbody>") : page.index("</table>")]
    rows = ElementTree.fromstring(table).findall("tr")
    assert len(rows) == 2
    assert all(len(row) == len(HEADS) + 1 for row in rows)
