"""Progress on a terminal: one panel that stays in place, 80 columns."""

from __future__ import annotations

from time import monotonic

from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.core.events import (
    LOAD,
    FaultChanged,
    Noted,
    PhaseBegan,
    RunEvent,
    RunStarted,
    ViolationNoticed,
)
from harness.core.faults import FaultRecord
from harness.core.units import show_ms
from harness.core.verdict import Verdict
from reports.glyphs import Glyphs
from reports.plain import fault_line
from reports.progress import Progress
from reports.words import (
    clean,
    noticed_words,
    options_line,
    path_words,
    runtime_line,
    shorten,
    so_far,
    split_words,
    stamp,
)

BAR = 38
PERIOD_S = 0.25
NODES_SHOWN = 9


class LiveView:
    """Redraws at most four times a second; lines worth keeping scroll above the panel.

    Drawn only when an event arrives, never by a thread: a thread would read figures while they
    change. Nodes are sampled twice a second, so nothing stands still for long. All text from
    outside is :class:`rich.text.Text`: markup in a value stays what it is.
    """

    def __init__(self, terminal: Terminal, glyphs: Glyphs) -> None:
        self._terminal = terminal
        self._glyphs = glyphs
        self._progress = Progress()
        self._live = Live(
            console=terminal,
            get_renderable=self._panel,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._on = False
        self._drawn_s = 0.0

    def show(self, event: RunEvent, progress: Progress) -> None:
        """Starts the panel with the run; prints what should stay."""
        self._progress = progress
        match event:
            case RunStarted(plan, folder):
                self.line(options_line(plan))
                self.line(runtime_line(plan))
                for note in plan.notes[1:]:
                    self.line(note)
                self.line(f"folder {path_words(folder)}")
                self._live.start()
                self._on = True
            case Noted(at_ns, words):
                self.line(f"{stamp(at_ns)}  {words}")
            case ViolationNoticed(at_ns, noticed):
                self.line(f"{stamp(at_ns)}  {noticed_words(noticed)}")
            case FaultChanged(at_ns, record) if record.error or (
                record.ended_ns is not None and not (record.bit.holds and record.healed.holds)
            ):
                self.line(f"{stamp(at_ns)}  {fault_line(record)}")
            case _:
                pass
        if self._on and (isinstance(event, PhaseBegan) or monotonic() - self._drawn_s >= PERIOD_S):
            self._live.refresh()
            self._drawn_s = monotonic()

    def line(self, text: str) -> None:
        """One line that stays, above the panel."""
        self._terminal.print(Text(self._glyphs.fit(clean(text))), soft_wrap=True)

    def close(self) -> None:
        """Takes the panel away. Idempotent."""
        if self._on:
            self._live.stop()
            self._on = False

    def _panel(self) -> RenderableType:
        return panel(self._progress, self._glyphs)


def panel(progress: Progress, glyphs: Glyphs) -> RenderableType:
    """The whole panel for a state of things."""
    grid = Table.grid(padding=(0, 1))
    for _ in range(3):
        grid.add_column(no_wrap=True)
    left = _nodes(progress)
    right = _figures(progress, glyphs)
    for number in range(max(len(left), len(right))):
        grid.add_row(
            left[number] if number < len(left) else Text(" " * 30),
            Text(glyphs.wall, style="dim"),
            right[number] if number < len(right) else Text(),
        )
    return Group(_headline(progress, glyphs), grid)


def _headline(progress: Progress, glyphs: Glyphs) -> Text:
    limit = progress.plan.spec.time_limit_s if progress.plan else 0.0
    filled = round(progress.share * BAR)
    full, rest = ("━", "─") if glyphs.utf8 else ("#", ".")
    text = Text(f" {clean(progress.phase):<11} ")
    text.append(full * filled, style="cyan")
    text.append(rest * (BAR - filled), style="dim")
    if progress.phase in LOAD:
        seconds = progress.at_ns / 1e9
        left = max(0.0, limit - seconds)
        text.append(f"  {seconds:.1f} / {limit:g} s  left {left:.0f} s")
    return text


def _nodes(progress: Progress) -> list[Text]:
    nodes = progress.plan.nodes if progress.plan else ()
    lines = []
    for node in nodes[:NODES_SHOWN]:
        role, remarks = progress.role(node)
        line = Text(f" {shorten(node, 6):<4}")
        style = {"LEADER": "bold green", "LEADER ?": "bold yellow", "no answer": "red"}
        line.append(f"{shorten(role, 10):<10}", style=style.get(role, ""))
        line.append(f"{shorten(remarks, 18):<18}")
        lines.append(line)
    return lines


def _figures(progress: Progress, glyphs: Glyphs) -> list[Text]:
    target = progress.plan.spec.rate if progress.plan else 0.0
    goal = f"  target {target:g}/s" if target else ""
    first = Text(f"ops  {progress.total:,}  {progress.rate():.0f}/s{goal}")
    second = Text(f"ok   {progress.ok:,}", style="green")
    second.append(f"   failed {progress.fail:,}", style="yellow")
    second.append(f"   unknown {progress.info:,}", style="magenta")
    p50, p99 = progress.quantile(0.5), progress.quantile(0.99)
    third = Text("p50  -" if p50 is None else f"p50  {show_ms(p50)}")
    third.append("" if p99 is None else f"   p99 {show_ms(p99)}")
    judged = []
    if progress.so_far is not None and not progress.results:
        style = "" if progress.so_far.verdict is Verdict.VALID else "bold red"
        judged.append(Text(shorten(f"so far: {so_far(progress.so_far)}", 60), style=style))
    faults = [_fault(fault, progress, glyphs) for fault in _recent(progress)]
    checks = []
    for result in sorted(progress.results, key=lambda item: item.verdict, reverse=True)[:4]:
        mark = {"valid": "✓", "invalid": "✕", "unknown": "?"}[result.verdict.value]
        words = shorten(f"{mark} {result.checker} {result.verdict.value}", 44)
        checks.append(Text(glyphs.fit(words)))
    return [first, second, third, *judged, *faults, *checks]


def _recent(progress: Progress) -> list[FaultRecord]:
    """Faults in force, and the last that ended."""
    ended = [fault for fault in progress.faults.values() if fault.ended_ns is not None]
    return [*ended[-1:], *progress.active()[:4]]


def _fault(fault: FaultRecord, progress: Progress, glyphs: Glyphs) -> Text:
    head = shorten(f"{fault.id} {fault.kind} {split_words(fault.words)[0]}", 34)
    if fault.ended_ns is None:
        lasted = progress.at_ns - (fault.began_ns or progress.at_ns)
        return Text(glyphs.fit(f"{head}  {lasted / 1e9:.1f} s"), style="bold yellow")
    bit = "✓ bit" if fault.bit.holds else "✕ did not bite"
    return Text(glyphs.fit(f"{head}  {bit}"), style="dim" if fault.bit.holds else "red")
