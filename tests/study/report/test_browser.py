"""A report in a real browser, on a phone and on wide screens: wide tables say so, and labels do not overlap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from caser.study.report.write import write_report
from tests.service.page_served import CHROMIUM, browser
from tests.skips import without_browser
from tests.study.report import studies

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=without_browser(CHROMIUM)),
]

OVERLAPS = """() => [...document.querySelectorAll(".plot")].flatMap((plot) => {
  const texts = [...plot.querySelectorAll(".textpoint text")];
  const boxes = texts.map((one) => [one.textContent, one.getBoundingClientRect()]);
  return boxes.flatMap(([name, a], i) => boxes.slice(i + 1)
    .filter(([, b]) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
    .map(([other]) => `${name} over ${other}`));
})"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(studies.compare(), tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def opened(chromium: Browser, report: Path, width: int) -> Page:
    """The page of the report, drawn."""
    page = chromium.new_page(viewport={"width": width, "height": 900})
    page.goto(report.as_uri())
    page.wait_for_selector("#cost-0 .textpoint text", state="attached")
    return page


@pytest.mark.parametrize(("width", "is_wide"), [(390, True), (1280, False)])
def test_a_table_that_is_wider_than_the_screen_says_so_and_keeps_its_names_in_place(
    chromium: Browser, report: Path, width: int, is_wide: bool
) -> None:
    page = opened(chromium, report, width)
    assert page.evaluate("document.documentElement.scrollWidth") == width  # the page itself never scrolls sideways
    assert page.locator("main .hint").first.is_visible() is is_wide
    frame, name = page.locator("main .frame").first, page.locator("main tbody th").first
    before = name.bounding_box()
    frame.evaluate("frame => { frame.scrollLeft = 120; }")
    assert frame.evaluate("frame => frame.scrollLeft > 0") is is_wide
    assert name.bounding_box() == before
    page.close()


@pytest.mark.parametrize("width", [320, 390, 640, 700, 820, 1024, 1280])
def test_no_label_lies_over_another(chromium: Browser, report: Path, width: int) -> None:
    page = opened(chromium, report, width)
    assert page.locator("#cost-0 .textpoint text").count() > 5
    assert page.evaluate(OVERLAPS) == []
    page.set_viewport_size({"width": width - 60, "height": 900})
    page.wait_for_timeout(400)  # the plots are drawn again
    assert page.evaluate(OVERLAPS) == []
    page.close()
