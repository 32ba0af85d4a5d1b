"""A very small SVG writer: classes instead of styles, everything escaped here."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from markupsafe import Markup, escape

from reports.words import clean


def number(value: float) -> str:
    """``162``, ``243.2``: one decimal, no trailing zero, so that pictures can be compared."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """An upper guess of how wide ``text`` is, in units of the picture.

    Fonts differ from reader to reader, so labels get the room of a wide one.
    """
    each = 0.66 if bold else 0.6
    cells = sum(1.6 if unicodedata.east_asian_width(letter) in "WF" else 1.0 for letter in text)
    return cells * each * size


class Picture:
    """Collects elements; :meth:`markup` wraps them. ``name`` makes ids unique on the page."""

    def __init__(self, name: str, css: str) -> None:
        self.name = name
        self.css = css
        self._parts: list[str] = []

    def add(self, tag: str, attributes: Mapping[str, str | float], text: str | None = None) -> None:
        """One element."""
        said = "".join(f' {key}="{_value(value)}"' for key, value in attributes.items())
        body = "/>" if text is None else f">{escape(clean(text))}</{tag}>"
        self._parts.append(f"<{tag}{said}{body}")

    def rect(
        self, css: str, x: float, y: float, width: float, height: float, rx: float = 0
    ) -> None:
        """A rectangle; never of negative size."""
        size = {"x": x, "y": y, "width": max(width, 0.0), "height": height}
        self.add("rect", {"class": css, **size, **({"rx": rx} if rx else {})})

    def line(self, css: str, x1: float, y1: float, x2: float, y2: float) -> None:
        """A straight line."""
        self.add("line", {"class": css, "x1": x1, "y1": y1, "x2": x2, "y2": y2})

    def text(self, css: str, x: float, y: float, words: str, anchor: str = "start") -> None:
        """One line of text; ``anchor`` is start, middle or end."""
        place: dict[str, str | float] = {"class": css, "x": x, "y": y}
        if anchor != "start":
            place["text-anchor"] = anchor
        self.add("text", place, words)

    def path(self, css: str, data: str, more: Mapping[str, str | float] | None = None) -> None:
        """A path."""
        self.add("path", {"class": css, "d": data, **(more or {})})

    def raw(self, markup: str) -> None:
        """Constant markup of our own (definitions)."""
        self._parts.append(markup)

    def markup(self, width: float, height: float, title: str, description: str) -> Markup:
        """The whole picture, with a title and a description for those who do not see it."""
        head = (
            f'<svg class="{self.css}" viewBox="0 0 {number(width)} {number(height)}" role="img" '
            f'aria-labelledby="{self.name}-t {self.name}-d">'
            f'<title id="{self.name}-t">{escape(clean(title))}</title>'
            f'<desc id="{self.name}-d">{escape(clean(description))}</desc>'
        )
        return Markup("\n".join([head, *self._parts, "</svg>"]))


def _value(value: str | float) -> str:
    return str(escape(value)) if isinstance(value, str) else number(value)
