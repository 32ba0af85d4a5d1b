"""The report in a real browser: policy, linked zoom, search, themes, no script, paper."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from reports import library
from tests.browser.conftest import Open
from tests.unit.reports import records

pytestmark = pytest.mark.browser
WIDE = {"width": 1240, "height": 900}


def drag(page: Page, plot: str, start: float, end: float) -> None:
    """Drags over a plot from one share of its width to another."""
    over = page.locator(f"{plot} .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (start + end) / 2, y)
    page.mouse.move(box["x"] + box["width"] * end, y)
    page.mouse.up()


def about(start: float, end: float) -> Any:
    return [pytest.approx([start, end], abs=0.2)] * 5


def test_one_request_and_a_silent_console(open_report: Open) -> None:
    opened = open_report(records.stale_read(), viewport=WIDE)
    expect(opened.page.locator("svg.ce .bar.bad").first).to_be_visible()
    expect(opened.page.locator("#plot-latency canvas")).to_be_visible()
    assert opened.said == []
    assert opened.asked == [opened.address]


def test_the_proof_is_on_the_first_screen(open_report: Open) -> None:
    page = open_report(records.stale_read(), viewport=WIDE).page
    for wanted in ("h1", ".commands code", "svg.ce .bar.bad", "svg.ce .held"):
        for item in page.locator(wanted).all():
            box = item.bounding_box()
            if item.is_visible():
                assert box is not None
                assert box["y"] + box["height"] <= WIDE["height"], wanted


def test_hostile_values_do_nothing(open_report: Open) -> None:
    opened = open_report(records.hostile(), viewport=WIDE)
    dialogs: list[str] = []
    opened.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    opened.page.get_by_role("button", name="Later rows").click()
    opened.page.locator("#search").fill("onerror")
    expect(opened.page.locator("#hits")).to_contain_text("3 of 123")
    assert opened.page.locator("img").count() == 0
    assert opened.page.locator("#table td", has_text="<img src=x").count() > 0
    assert dialogs == []
    assert opened.said == []
    assert opened.asked == [opened.address]


def test_a_drag_on_one_plot_zooms_all(open_report: Open) -> None:
    opened = open_report(records.stale_read(), viewport=WIDE)
    page = opened.page
    assert opened.windows() == about(0, 60)
    drag(page, "#plot-latency", 0.25, 0.5)
    assert opened.windows() == about(15, 30)
    assert re.search(r"#t=1[45]\.\d{3}-(29|30)\.\d{3}$", page.url)
    drag(page, "#plot-nodes", 0.0, 0.5)
    assert opened.windows() == about(15, 22.5)
    page.locator("#plot-rate .u-over").dblclick()
    assert opened.windows() == about(0, 60)
    assert "#" not in page.url


def test_keys_and_buttons(open_report: Open) -> None:
    opened = open_report(records.stale_read(), viewport=WIDE)
    page = opened.page
    page.keyboard.press("v")
    assert opened.windows() == about(21.745, 24.245)
    page.keyboard.press("0")
    page.keyboard.press("+")
    assert opened.windows() == about(15, 45)
    page.keyboard.press("ArrowRight")
    assert opened.windows() == about(22.5, 52.5)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("-")
    assert opened.windows() == about(0, 60)
    for name, window in (("in", (15, 45)), ("all", (0, 60)), ("violation", (21.745, 24.245))):
        page.locator(f"[data-zoom={name}]").click()
        assert opened.windows() == about(*window)
    page.keyboard.press("/")
    page.keyboard.type("v0+")
    assert page.locator("#search").input_value() == "v0+"
    assert opened.windows() == about(21.745, 24.245)
    assert opened.said == []


def test_a_link_carries_the_window(open_report: Open) -> None:
    opened = open_report(records.stale_read(), link="#t=21.7-24.2")
    assert opened.windows() == about(21.7, 24.2)
    expect(opened.page.locator("#window")).to_have_text("21.7 – 24.2 s")
    assert open_report(records.stale_read(), link="#t=9-1").windows() == about(0, 60)


def test_a_history_without_times_counts_events(open_report: Open) -> None:
    opened = open_report(records.untimed(), viewport=WIDE)
    assert opened.windows() == [[0, 12]]
    expect(opened.page.locator("#window")).to_have_text("events 0 – 12")
    expect(opened.page.locator("#table tr.bad td").first).to_have_text("event 8")
    expect(opened.page.locator("#plot-latency")).to_have_count(0)
    opened.page.locator("#table tr.bad button").click()
    assert opened.windows() == [[0, 12]]
    assert opened.said == []


def test_search_finds_whole_words(open_report: Open) -> None:
    page = open_report(records.stale_read(), viewport=WIDE).page
    rows = page.locator("#table tbody tr")
    expect(rows).to_have_count(25)
    expect(page.locator("#table tr.bad")).to_contain_text("✕ impossible")
    page.locator("#search").fill("k7 read p7")
    expect(page.locator("#hits")).to_have_text("1 of 2,592")
    expect(rows).to_have_count(1)
    page.locator("#search").fill("unknown")
    expect(page.locator("#hits")).to_have_text("47 of 2,592, 1 to 25 shown")
    page.get_by_role("button", name="Later rows").click()
    expect(page.locator("#hits")).to_have_text("47 of 2,592, 23 to 47 shown")
    page.locator("#search").fill("no such thing")
    expect(rows).to_have_count(0)
    page.locator("#search").fill("k7")
    page.get_by_role("button", name="return").click()
    first = rows.first.locator("td").nth(1)
    expect(first).to_have_text("21.918 s")
    page.get_by_role("button", name="return").click()
    expect(first).to_have_text("23.345 s")


def test_a_row_zooms_the_plots(open_report: Open) -> None:
    opened = open_report(records.stale_read(), viewport=WIDE)
    opened.page.locator("#table tr.bad button").click()
    assert opened.windows() == about(23.143, 23.545)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["stale_read", "two_leaders", "inadequate", "environment"])
def test_axe_finds_nothing(open_report: Open, name: str, scheme: str) -> None:
    page = open_report(getattr(records, name)(), viewport=WIDE, color_scheme=scheme).page
    for details in page.locator("details").all():
        details.evaluate("item => { item.open = true; }")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_themes(open_report: Open) -> None:
    page = open_report(records.stale_read(), color_scheme="light").page

    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert ground() == "rgb(255, 255, 255)"
    button = page.locator("#theme")
    page.keyboard.press("t")
    expect(button).to_have_text("Theme: light")
    button.click()
    expect(button).to_have_text("Theme: dark")
    assert ground() == "rgb(19, 21, 26)"
    pixel = "(() => { const c = document.querySelector('#plot-nodes canvas');"
    pixel += " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
    pixel += " const seen = new Set(); for (let i = 0; i < d.length; i += 4)"
    pixel += " if (d[i + 3] === 255) seen.add([d[i], d[i + 1], d[i + 2]].join());"
    pixel += " return seen.has('130,180,255'); })()"
    assert page.evaluate(pixel), "a leader is drawn in the dark theme's colour"


def test_without_script_it_is_all_still_there(open_report: Open) -> None:
    opened = open_report(records.stale_read(), java_script_enabled=False, viewport=WIDE)
    page = opened.page
    expect(page.locator("h1")).to_have_text(records.STALE.sentence)
    expect(page.locator("svg.ce .bar.bad").first).to_be_visible()
    expect(page.locator(".still svg")).to_have_count(3)
    expect(page.locator(".still svg").first).to_be_visible()
    expect(page.locator("#table tr.bad")).to_contain_text("✕ impossible")
    expect(page.get_by_text("need JavaScript")).to_be_visible()
    for control in ("#search", ".tools", "#theme", "[data-copy]"):
        expect(page.locator(control).first).not_to_be_visible()
    page.locator("summary", has_text="n2: the end of its log").click()
    expect(page.get_by_text("served locally, lease valid")).to_be_visible()
    assert opened.asked == [opened.address]


def test_without_the_library_there_are_still_pictures(
    open_report: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = library.Library(missing="uPlot was not found: pip install youplot")
    monkeypatch.setattr(library, "load", lambda: missing)
    opened = open_report(records.stale_read(), viewport=WIDE)
    page = opened.page
    expect(page.locator(".still svg").first).to_be_visible()
    expect(page.get_by_text("pip install youplot")).to_be_visible()
    page.keyboard.press("v")
    page.locator("#search").fill("p7 k7")
    expect(page.locator("#hits")).to_contain_text("of 2,592")
    assert opened.said == []


def test_narrow_screens_scroll_only_the_figures(open_report: Open) -> None:
    page = open_report(records.stale_read(), viewport={"width": 400, "height": 860}).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    figure = page.locator("#why figure").first
    assert figure.evaluate("item => item.scrollWidth > item.clientWidth")
    expect(page.locator("h1")).to_be_in_viewport()


def test_paper(open_report: Open, tmp_path: Path) -> None:
    opened = open_report(records.stale_read(), color_scheme="dark", viewport=WIDE)
    page = opened.page
    sheets = page.pdf(format="A4")
    assert 2 <= len(re.findall(rb"/Type\s*/Page[^s]", sheets)) <= 6
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    expect(page.locator(".still svg").first).to_be_visible()
    expect(page.locator(".plots")).not_to_be_visible()
    expect(page.locator(".tools")).not_to_be_visible()
    assert opened.said == []


def test_copying_a_command(open_report: Open) -> None:
    page = open_report(records.stale_read(), viewport=WIDE).page
    button = page.get_by_role("button", name="Copy: Run again")
    button.click()
    # From a file there is no clipboard for scripts: then the command is selected.
    expect(button).to_have_text(re.compile("Copied|Selected"))
