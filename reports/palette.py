"""The colours, light and dark, and which of them ever lie on which.

One source: the style sheet's custom properties are written from here, and a test computes the
contrast of every pair that is declared here, tints blended.
"""

from __future__ import annotations

COLOURS: dict[str, tuple[str, str]] = {
    "bg": ("#ffffff", "#13151a"),
    "panel": ("#f5f6f8", "#1c1f27"),
    "line": ("#d5d9e0", "#373d4a"),
    "fg": ("#15181e", "#e9ebf1"),
    "mut": ("#4b525f", "#adb5c4"),
    "ok": ("#1c5bb8", "#82b4ff"),
    "fail": ("#7d4a00", "#f2b552"),
    "info": ("#7a35b5", "#d3a2ff"),
    "bad": ("#a8101a", "#ff9499"),
    "badbg": ("#fdecec", "#3a171b"),
    "good": ("#0f6b39", "#6ad3a1"),
    "goodbg": ("#e9f6ee", "#12291d"),
    "warn": ("#7d4a00", "#f2b552"),
    "warnbg": ("#fdf3e0", "#33260f"),
    "write": ("#cfe0fa", "#1f3d6b"),
    "partition": ("#7c3f00", "#eba549"),
    "process": ("#9a0f2b", "#ff9aaa"),
    "clock": ("#085f66", "#4cc3cc"),
    "packet": ("#4c5b00", "#b9c957"),
    "other": ("#4b525f", "#adb5c4"),
}
"""Name → (light, dark)."""

TINT = 0.11
"""How strongly a fault colours what happened during it."""

BOX = 0.2
"""How strongly it colours its own box."""

FAULTS = ("partition", "process", "clock", "packet", "other")

PAIRS: tuple[tuple[str, str], ...] = tuple(
    (text, ground)
    for text, grounds in {
        "fg": ("bg", "panel", "badbg", "goodbg", "warnbg", "write"),
        "mut": ("bg", "panel", "badbg", "goodbg", "warnbg"),
        "ok": ("bg", "panel", "badbg"),
        "fail": ("bg", "badbg"),
        "info": ("bg", "badbg"),
        "bad": ("bg", "panel", "badbg"),
        "good": ("bg", "panel", "goodbg"),
        "warn": ("bg", "panel", "warnbg"),
        "bg": ("ok",),
        **dict.fromkeys(FAULTS, ("bg", "panel")),
    }.items()
    for ground in grounds
)
"""(text colour, ground) that occur together."""

ON_TINTS = ("fg", "mut", "bad", "process", *FAULTS)
"""Texts that can lie on the tint of a fault, or of two that overlapped (each on its own tint)."""

MARK = 0.4
"""How strongly a bar of the processes' plot is filled."""


def fault_colour(kind: str) -> str:
    """The colour of a family of faults; kinds nobody told us of are grey, never an error."""
    match kind.split(":", maxsplit=1)[0]:
        case "partition":
            return "partition"
        case "kill" | "pause" | "power":
            return "process"
        case "clock":
            return "clock"
        case "slow" | "loss":
            return "packet"
        case _:
            return "other"


def properties() -> str:
    """The colours as custom properties of the style sheet."""
    lines = "".join(
        f"--{name}:light-dark({light},{dark});" for name, (light, dark) in COLOURS.items()
    )
    return f":root{{color-scheme:light dark;--tint:{TINT};--box:{BOX};{lines}}}\n"


def blend(colour: str, ground: str, alpha: float) -> str:
    """``colour`` laid over ``ground`` with opacity ``alpha``; all ``#rrggbb``."""
    mixed = (
        round(alpha * above + (1 - alpha) * below)
        for above, below in zip(_channels(colour), _channels(ground), strict=True)
    )
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in _channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
