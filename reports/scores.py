"""The track record on seeded defects: one list of scores as JSON, as Markdown and as a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.core.trials import Score, Tried, cost_of_finding, time_to_violation
from reports.words import spec_command

HEADS = (
    *("#", "defect", "nemesis", "workload", "found (95 %)", "by", "by clients alone"),
    *("into the run", "wait", "seed"),
)


def to_json(scores: Sequence[Score]) -> str:
    """All there is, for machines."""
    return json.dumps(
        {"format": "quorum-harness-zoo", "scores": [_cell(it) for it in scores]}, indent=1
    )


def _cell(score: Score) -> dict[str, object]:
    low, high = score.share.interval
    first = score.first
    return {
        "bug": score.bug,
        "mix": score.mix or None,
        "nemeses": list(score.nemeses),
        "workload": score.workload,
        "runtime": score.runtime,
        "found": score.share.found,
        "tried": score.share.tried,
        "interval": [round(low, 4), round(high, 4)],
        "found_by": score.found_by,
        "found_by_clients_alone": score.from_outside.found,
        "median_run_s": _rounded(time_to_violation(score.tried)),
        "median_wait_s": _rounded(cost_of_finding(score.tried)),
        "unsound": [{"seed": it.spec.seed, "word": it.word} for it in score.unsound],
        "command": None if first is None else spec_command(first.spec),
        "sentence": None if first is None else first.sentence,
        "runs": [_run(it) for it in score.tried],
    }


def _run(tried: Tried) -> dict[str, object]:
    return {
        "seed": tried.spec.seed,
        "word": tried.word,
        "found_by": list(tried.found_by),
        "found_s": _rounded(None if tried.found_ns is None else tried.found_ns / 1e9),
        "wall_s": _rounded(tried.wall_s),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def row(score: Score, number: str) -> tuple[str, ...]:
    """A score in words, one for each of :data:`HEADS`."""
    first = score.first
    unsound = f", {len(score.unsound)} unsound" if score.unsound else ""
    return (
        number,
        score.bug or "none (control)",
        score.mix or ",".join(score.nemeses) or "none",
        score.workload,
        f"{score.share}{unsound}",
        ", ".join(f"{name} {count}" for name, count in score.found_by.items()) or "–",
        "–" if score.bug is None else f"{score.from_outside.found}/{score.from_outside.tried}",
        _seconds(time_to_violation(score.tried)),
        _seconds(cost_of_finding(score.tried)),
        "–" if first is None else str(first.spec.seed),
    )


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"


def to_markdown(scores: Sequence[Score], numbers: dict[str, str]) -> str:
    """A row for each defect, where it is found soonest, with its command; then every row."""
    bugs = dict.fromkeys(score.bug for score in scores if score.bug is not None)
    of = {bug: [score for score in scores if score.bug == bug] for bug in bugs}
    best = {bug: _cheapest(mine) for bug, mine in of.items()}
    lines: list[str] = []
    if len(bugs) < sum(len(mine) for mine in of.values()):
        lines += ["Each defect where it is found soonest:", ""]
        lines += _table([best[bug] or of[bug][0] for bug in bugs], numbers)
        lines += ["", "All that was tried:", ""]
    lines += _table(scores, numbers)
    lines += ["", "One command each that finds it again:", ""]
    for score in best.values():
        if score is not None and score.first is not None:
            lines.append(f"    {spec_command(score.first.spec)}")
    return "\n".join(lines) + "\n"


def _table(scores: Sequence[Score], numbers: dict[str, str]) -> list[str]:
    lines = ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
    for score in scores:
        cells = (cell.replace("|", "\\|") for cell in row(score, numbers.get(score.bug or "", "0")))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cheapest(scores: Sequence[Score]) -> Score | None:
    """Where it is found with the shortest wait."""
    found = [
        (cost, place) for place, it in enumerate(scores) if (cost := cost_of_finding(it.tried))
    ]
    return scores[min(found)[1]] if found else None


def to_html(scores: Sequence[Score], numbers: dict[str, str], title: str) -> str:
    """A page of one file; it opens offline."""
    environment = Environment(
        loader=PackageLoader("reports", "assets"), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("scores.html.j2")
    lines = [_line(score, numbers.get(score.bug or "", "0")) for score in scores]
    return page.render(title=title, heads=HEADS, lines=lines)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the page; shares in percent of the bar's width."""

    cells: tuple[str, ...]
    share: float
    low: float
    beyond: float
    again: str
    missed: bool


def _line(score: Score, number: str) -> Line:
    low, high = score.share.interval
    first = score.first
    return Line(
        cells=row(score, number),
        share=100 * score.share.found / max(1, score.share.tried),
        low=100 * low,
        beyond=100 * (1 - high),
        again="" if first is None else spec_command(first.spec),
        missed=score.bug is not None and not score.share.found,
    )
