"""The whole run as still pictures: without script, without the plotting library, and on paper."""

from __future__ import annotations

import math

from markupsafe import Markup

from harness.core.units import MILLISECOND, SECOND, show_ms
from reports import lanes
from reports.figures import Figures
from reports.model import Report
from reports.palette import fault_colour
from reports.svg import Picture

WIDTH = lanes.WIDTH
LEFT = lanes.LEFT
RIGHT = lanes.WIDTH - lanes.EDGE
HEIGHT = 170.0


def draw(report: Report, figures: Figures, name: str) -> tuple[Markup, ...]:
    """Nodes and faults; latency quantiles; answers per second."""
    pictures = [lanes.whole(report.record, report.violation_ns, f"{name}-nodes")]
    if figures.total and report.record.history.timed:
        pictures += [
            _latency(report, figures, f"{name}-latency"),
            _rate(report, figures, f"{name}-rate"),
        ]
    return tuple(picture for picture in pictures if picture is not None)


def _latency(report: Report, figures: Figures, name: str) -> Markup:
    picture = Picture(name, "lanes")
    low, high = 0, 4
    known = [bucket.p99 for bucket in figures.buckets if bucket.p99]
    if known:
        high = max(1, math.ceil(math.log10(max(known) / MILLISECOND)))
        low = min(0, math.floor(math.log10(max(1, min(known)) / MILLISECOND)))

    def place(latency_ns: int) -> float:
        share = (math.log10(max(latency_ns, 1) / MILLISECOND) - low) / (high - low)
        return HEIGHT - min(1.0, max(0.0, share)) * (HEIGHT - 16)

    _ground(picture, report)
    for power in range(low, high + 1):
        y = place(round(10**power * MILLISECOND))
        picture.line("tick", LEFT, y, RIGHT, y)
        picture.text("time", LEFT - 8, y + 4, show_ms(round(10**power * MILLISECOND)), "end")
    p50 = [None if bucket.p50 is None else place(bucket.p50) for bucket in figures.buckets]
    p99 = [None if bucket.p99 is None else place(bucket.p99) for bucket in figures.buckets]
    picture.path("p99", _steps(report, figures, p99))
    picture.path("p50", _steps(report, figures, p50))
    return picture.markup(
        WIDTH, HEIGHT + 24, "Latency", "Median (solid) and 99th percentile (dashed)."
    )


def _rate(report: Report, figures: Figures, name: str) -> Markup:
    picture = Picture(name, "lanes")
    rates = [sum(bucket.rate(kind) for kind in range(3)) for bucket in figures.buckets]
    most = max([*rates, 1.0])

    def place(rate: float) -> float:
        return HEIGHT - rate / most * (HEIGHT - 16)

    _ground(picture, report)
    for share in (0.0, 0.5, 1.0):
        y = place(share * most)
        picture.line("tick", LEFT, y, RIGHT, y)
        picture.text("time", LEFT - 8, y + 4, f"{share * most:.0f}", "end")
    picture.path("p50", _steps(report, figures, [place(rate) for rate in rates]))
    return picture.markup(WIDTH, HEIGHT + 24, "Answers per second", "How many operations ended.")


def _ground(picture: Picture, report: Report) -> None:
    end = _end(report)
    for view in report.faults:
        fault = view.record
        if fault.began_ns is not None:
            left = _x(fault.began_ns, end)
            right = _x(end if fault.ended_ns is None else fault.ended_ns, end)
            picture.rect(f"tint {fault_colour(fault.kind)}", left, 8, right - left, HEIGHT - 8)
    step = lanes.tick_step(end, 12)
    for number in range(end // step + 1):
        x = _x(number * step, end)
        picture.text("time", x, HEIGHT + 16, f"{number * step / SECOND:g} s", "middle")
    if report.violation_ns is not None:
        x = _x(report.violation_ns, end)
        picture.line("violation", x, 8, x, HEIGHT)


def _steps(report: Report, figures: Figures, heights: list[float | None]) -> str:
    """A stepped line; a straight one between buckets would claim what nobody measured."""
    end = _end(report)
    parts: list[str] = []
    drawn = False
    for bucket, y in zip(figures.buckets, heights, strict=True):
        if y is None:
            drawn = False
            continue
        left, right = _x(bucket.start, end), _x(bucket.end, end)
        parts.append(f"{'L' if drawn else 'M'}{left:.1f} {y:.1f}H{right:.1f}")
        drawn = True
    return "".join(parts) or "M0 0"


def _end(report: Report) -> int:
    return max(report.record.duration_ns, 1)


def _x(at_ns: int, end: int) -> float:
    return LEFT + min(max(at_ns, 0), end) / end * (RIGHT - LEFT)
