"""The report as one HTML file that opens offline, from anywhere, years later.

The first screen is static: verdict, commands, counterexample. Script only adds zoom, search and
themes. The page's policy forbids everything but the very letters written here, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.core.operations import Operation
from harness.core.run import RunRecord
from harness.core.units import MILLISECOND, show_ms
from harness.core.values import show
from harness.core.verdict import CheckResult, Verdict
from reports import embedded, lanes, library, overview, timeline
from reports.figures import OUTCOMES, Figures, figures
from reports.model import Report, build, fault_summary, run_name, target_name
from reports.palette import properties
from reports.scene import decisive, segment_words
from reports.words import (
    clean,
    count,
    counted,
    instant,
    numeral,
    shorten,
    span,
    started,
)

SCRIPTS = ("data.js", "plots.js", "page.js")
ROWS = 25
LOG_CHARACTERS = 60_000
LISTED_ANOMALIES = 50


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the operations table."""

    cells: tuple[str, ...]
    outcome: str
    bad: bool


def render(record: RunRecord) -> str:
    """The page of a record."""
    return render_report(build(record))


def render_report(report: Report, plotting: library.Library | None = None) -> str:
    """As :func:`render`, for a model that is already there (and, in tests, another library)."""
    plotting = library.load() if plotting is None else plotting
    record = report.record
    marked = frozenset(report.anomaly.operations) if report.anomaly else frozenset()
    found = figures(record, report.violation_ns, marked)
    style = "\n".join(
        part for part in (plotting.style, properties() + _asset("report.css")) if part
    )
    script = "".join(_asset(name) for name in SCRIPTS)
    scripts = [part for part in (plotting.script, script) if part]
    page = _environment().get_template("report.html.j2")
    return page.render(
        report=report,
        record=record,
        plan=record.plan,
        policy=_policy(scripts, [style]),
        style=Markup(style),
        scripts=[Markup(part) for part in scripts],
        plotting=plotting,
        licence=_asset("uplot-license.txt") if plotting.script else "",
        data=Markup(embedded.data(report, found)),
        title=_title(report),
        name=run_name(record),
        target=target_name(record),
        version=_version(record),
        fault_summary=fault_summary(record).partition(", ")[::2],
        started=started(record.started_utc),
        also=_also(report),
        picture=timeline.draw(report.scene, "ce") if report.scene and report.drawn else None,
        picture_beside=_beside(report),
        picture_nodes=_nodes(report),
        picture_run=overview.draw(report, found, "run-still"),
        caption=_caption(report),
        checks=[_check(result, report.headline) for result in record.results],
        figures=found,
        recorded=bool(found.total or record.faults or record.roles),
        picture_lanes=bool(record.faults or record.roles),
        sentences=_plot_sentences(report, found),
        rows=_rows(report, found),
        logs={node: text[-LOG_CHARACTERS:] for node, text in record.logs.items() if text},
        warnings=record.history.warnings,
        listed=LISTED_ANOMALIES,
        count=count,
        counted=counted,
        span=span,
        numeral=numeral,
        instant=instant,
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("reports", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _harmless(value: object) -> object:
    """Every text that a template prints comes through here, before it is escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(value, keep="\n\t")
    return value


@cache
def _asset(name: str) -> str:
    return (files("reports") / "assets" / name).read_text(encoding="utf-8")


def _policy(scripts: list[str], styles: list[str]) -> str:
    """A Content-Security-Policy that names every inline element by its hash (CSP3, 2.3)."""
    allowed = " ".join(_hash(text) for text in scripts)
    dressed = " ".join(_hash(text) for text in styles)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {dressed}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _title(report: Report) -> str:
    return f"{report.title} · {run_name(report.record)}"


def _version(record: RunRecord) -> str:
    if record.plan is None:
        return ""
    return clean(record.plan.versions.get(record.plan.spec.target, ""))


def _also(report: Report) -> list[tuple[str, str, str]]:
    """(mark, checker, colour) of the checkers that the headline is not about."""
    looks = {
        Verdict.VALID: ("✓", "good"),
        Verdict.UNKNOWN: ("?", "warn"),
        Verdict.INVALID: ("✕", "bad"),
    }
    return [
        (looks[result.verdict][0], clean(result.checker), looks[result.verdict][1])
        for result in report.record.results
        if result is not report.judge
    ]


def _beside(report: Report) -> Markup | None:
    if report.scene is None or not report.scene.context or not report.drawn:
        return None
    return timeline.draw(report.scene, "beside", context=True)


def _nodes(report: Report) -> Markup | None:
    """For a violation that is not about operations: the nodes around its instant."""
    at_ns = report.violation_ns
    if report.scene is not None or at_ns is None:
        return None
    return lanes.around(report.record, at_ns, "nodes")


def _caption(report: Report) -> str:
    scene = report.scene
    if scene is None:
        return ""
    few = f"{len(scene.actors)} of {counted(report.counts.total, 'operation')}"
    enough = (
        f"{few} {'is' if len(scene.actors) == 1 else 'are'} enough to show it. "
        "A bar runs from call to return. The order is exact, the distances are stretched."
    )
    for actor in scene.actors:
        for segment in scene.lane:
            if actor.culprit and len(segment.values) == 1 and decisive(segment, (actor,)):
                words = segment_words(segment.values, decisive=True)
                return f"{enough} {numeral(actor.number or 0)} lies wholly inside “{words}”."
    return enough


def _check(result: CheckResult, headline: str) -> dict[str, str]:
    spent = result.figures.get("check_ms")
    took = show_ms(round(spent * MILLISECOND)) if isinstance(spent, int | float) else ""
    mark = {"valid": "✓", "invalid": "✕", "unknown": "?"}[result.verdict.value]
    tone = {"valid": "good", "invalid": "bad", "unknown": "warn"}[result.verdict.value]
    return {
        "name": clean(result.checker),
        "verdict": f"{mark} {result.verdict.value}",
        "tone": tone,
        "reason": "See above." if shorten(result.reason) == headline else shorten(result.reason),
        "limit": clean(result.limit or ""),
        "took": took,
        "figures": ", ".join(
            f"{clean(name).replace('_', ' ')} {shorten(show(value), 40)}"
            for name, value in result.figures.items()
            if name != "check_ms"
        ),
    }


def _plot_sentences(report: Report, found: Figures) -> dict[str, str]:
    """A sentence for each plot, for those who do not see it."""
    latency = "No operation succeeded."
    if found.median is not None and found.p99 is not None and found.slowest is not None:
        latency = (
            f"Median {show_ms(found.median)}, p99 {show_ms(found.p99)}, "
            f"slowest {show_ms(found.slowest)}, over the operations that succeeded."
        )
        plan = report.record.plan
        if plan is not None and plan.script is None and plan.spec.rate > 0:
            latency += " Counted from when each was due; so are those that a client had to omit."
    rates = [sum(bucket.rate(kind) for kind in range(3)) for bucket in found.buckets]
    rate = "No answers."
    if rates:
        rate = f"Between {min(rates):.0f} and {max(rates):.0f} operations ended a second."
    lines = [
        f"{clean(v.record.id)} {clean(v.record.kind)} {clean(v.record.words)}"
        for v in report.faults
    ]
    worst = {
        clean(node): max((abs(offset) for _, offset in samples), default=0)
        for node, samples in report.record.clocks.items()
    }
    clocks = "; ".join(f"{node} was off by up to {show_ms(off)}" for node, off in worst.items())
    return {
        "nodes": "Faults: " + ("; ".join(lines) or "none") + ".",
        "latency": latency,
        "rate": rate,
        "processes": f"{counted(found.total, 'operation')} by process.",
        "clocks": f"{clocks}." if clocks else "",
    }


def _rows(report: Report, found: Figures) -> list[Row]:
    """The rows that are there without script: 25 around the violation, or the first ones."""
    rows = found.rows
    anomaly = report.anomaly
    culprit = None if anomaly is None else anomaly.culprit
    place = next((n for n, item in enumerate(rows) if item.index == culprit), 0)
    first = max(0, min(place - ROWS // 2, len(rows) - ROWS))
    timed = report.record.history.timed
    return [_row(item, culprit, report.blame, timed=timed) for item in rows[first : first + ROWS]]


def _row(item: Operation, culprit: int | None, blame: str, *, timed: bool) -> Row:
    bad = item.index == culprit
    outcome = embedded.WORDS[OUTCOMES.index(item.outcome)]
    cells = (
        instant(item.start, timed=timed),
        "never" if item.end is None else instant(item.end, timed=timed),
        f"p{item.process}",
        clean(item.node or ""),
        shorten(item.call.f, 40),
        embedded.key_text(item),
        embedded.value_text(item),
    )
    words = blame if bad else outcome
    if item.error and not bad:
        words = f"{outcome}: {shorten(item.error, 80)}"
    return Row((*cells, words), outcome, bad)
