"""The shapes of text pictures, and their poor relations for terminals that are not UTF-8."""

from __future__ import annotations

from dataclasses import dataclass

from reports.words import clean, numeral


@dataclass(frozen=True, slots=True)
class Glyphs:
    """``bar_left`` and ``bar_right`` enclose an operation, ``wall`` divides the lane."""

    bar_left: str
    bar_right: str
    bar_open: str
    wall: str
    utf8: bool

    def numeral(self, number: int) -> str:
        """``①``, or ``(1)``."""
        return numeral(number) if self.utf8 else f"({number})"

    def fit(self, text: str) -> str:
        """``text`` in letters this terminal has."""
        if self.utf8:
            return text
        return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii")

    def cut(self, text: str, limit: int) -> str:
        """:meth:`fit`, and at most ``limit`` columns."""
        text = self.fit(clean(text))
        dots = self.fit("…")
        return text if len(text) <= limit else text[: max(0, limit - len(dots))] + dots


UNICODE = Glyphs("├", "┤", "╌", "│", utf8=True)
ASCII = Glyphs("|--", "--|", "...", "|", utf8=False)

_PLAIN = str.maketrans(
    {
        "✕": "X",
        "✓": "ok",
        "▲": "!",
        "→": "->",
        "·": "-",
        "…": "...",
        "–": "-",
        "—": "-",
        "−": "-",
        "“": '"',
        "”": '"',
        "’": "'",
        **{numeral(number): f"({number})" for number in range(1, 51)},
    }
)


def glyphs_for(encoding: str | None) -> Glyphs:
    """The shapes that a stream of this encoding can show."""
    return UNICODE if (encoding or "").lower().replace("-", "") == "utf8" else ASCII
