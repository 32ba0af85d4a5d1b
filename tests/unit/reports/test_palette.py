"""Every colour on every ground it can meet: 4.5 to 1, tints blended, light and dark."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import product

import pytest

from reports.palette import (
    BOX,
    COLOURS,
    FAULTS,
    MARK,
    ON_TINTS,
    PAIRS,
    TINT,
    blend,
    contrast,
    fault_colour,
    properties,
)

THEMES = (0, 1)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_on_its_ground(text: str, ground: str, theme: int) -> None:
    assert contrast(COLOURS[text][theme], COLOURS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", ["bg", "panel"])
@pytest.mark.parametrize(("first", "second"), list(product(FAULTS, FAULTS)))
def test_text_on_tints(first: str, second: str, ground: str, theme: int) -> None:
    def of(name: str) -> str:
        return COLOURS[name][theme]

    once = blend(of(first), of(ground), TINT)
    twice = blend(of(second), once, TINT)
    for text in ON_TINTS:
        # A fault's own words lie on its own tint and at most one more.
        if text not in FAULTS or text == "process" or text in (first, second):
            assert contrast(of(text), once if text in FAULTS and text != second else twice) >= 4.5
    assert contrast(of("fg"), blend(of(second), twice, BOX)) >= 4.5
    for mark in ("ok", "fail", "info"):
        assert contrast(of("fg"), blend(of(mark), once, MARK)) >= 4.5


def test_contrast_is_the_published_formula() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert blend("#ff0000", "#0000ff", 0.5) == "#800080"


def test_every_colour_used_is_defined() -> None:
    style = (files("reports") / "assets" / "report.css").read_text(encoding="utf-8")
    used = set(re.findall(r"var\(--([a-z]+)\)", style))
    assert used <= {*COLOURS, "tint", "box"}
    assert all(f"--{name}:" in properties() for name in used)
    # No colour may bypass the table; the selection of a drag lies under no text.
    kept = "\n".join(line for line in style.splitlines() if not line.startswith(".u-select"))
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;,)}])|rgba?\(", kept) == []


def test_unknown_kinds_have_a_colour() -> None:
    assert fault_colour("kill:leader") == "process"
    assert fault_colour("meteor") == "other"
    assert {fault_colour(kind) for kind in ("partition", "clock", "slow", "pause")} <= set(FAULTS)
