"""Takes the screenshots of the page in docs/images, from the run of the demo.

    make demo
    python -m tests.service.screenshots runs/demo

Look at the pictures before you commit them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import polars as pl
from playwright.sync_api import Browser

from caser.data.datasets import cache_folder
from tests.service.page_served import Tab, browser, serving

OUT = Path(__file__).parents[2] / "docs" / "images"
GENRES = (
    "unknown Action Adventure Animation Children Comedy Crime Documentary Drama Fantasy Film-Noir Horror Musical "
    "Mystery Romance Sci-Fi Thriller War Western"
)


def main(run: Path) -> None:
    """Serve the run and take each screenshot."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "items.parquet"
        movies(cache_folder() / "ml-100k" / "u.item").write_parquet(table)
        with serving(run, "--items", str(table)) as address, browser() as opened:
            wide(opened, address)
            dark(opened, address)
            phone(opened, address)


def movies(path: Path) -> pl.DataFrame:
    """Read the genres and years of the movies of MovieLens-100K."""
    rows = [line.split("|") for line in path.read_text(encoding="latin-1").splitlines()]
    genres = GENRES.split(" ")
    return pl.DataFrame(
        {
            "item_id": [int(row[0]) for row in rows],
            "genre": [[name for name, flag in zip(genres, row[5:], strict=False) if flag == "1"] for row in rows],
            "year": [row[2][-4:] or None for row in rows],
        }
    )


def wide(opened: Browser, address: str) -> None:
    """A known user; the pointer is on the third recommendation."""
    context = opened.new_context(viewport={"width": 1400, "height": 1036})
    tab = Tab(context.new_page(), address)
    tab.open()
    tab.page.get_by_role("radio", name="A user").check(force=True)
    tab.page.fill("#user-id", "124")
    tab.after(lambda: tab.page.keyboard.press("Enter"))
    tab.after(tab.page.locator("#answers .take").nth(1).click)
    tab.page.evaluate("document.activeElement.blur()")
    _take(tab, "page.png", look=2)
    context.close()


def dark(opened: Browser, address: str) -> None:
    """A new user, with rules and similar titles; dark colours."""
    context = opened.new_context(viewport={"width": 1400, "height": 1264}, color_scheme="dark")
    tab = Tab(context.new_page(), address)
    tab.open()
    for title in ("star wars", "alien (1979)", "blade runner", "holy grail"):
        tab.take(title)
    tab.page.fill("#value", "War")
    tab.after(tab.page.get_by_role("button", name="Leave out").click)
    tab.page.fill("#value", "Comedy")
    tab.after(tab.page.get_by_role("button", name="Boost").click)
    tab.page.locator("#answers .like").nth(1).click()
    tab.page.wait_for_selector(".similar button")
    tab.page.evaluate("document.activeElement.blur()")
    _take(tab, "page-dark.png", look=1)
    context.close()


def phone(opened: Browser, address: str) -> None:
    """Two clicks on a phone."""
    context = opened.new_context(
        viewport={"width": 360, "height": 1186}, device_scale_factor=2, has_touch=True, is_mobile=True
    )
    tab = Tab(context.new_page(), address)
    tab.open()
    tab.after(tab.page.locator("#popular button").first.tap)
    tab.after(tab.page.locator("#answers .take").nth(2).tap)
    tab.page.evaluate("document.activeElement.blur()")
    tab.page.evaluate("scrollTo(0, 0)")
    _take(tab, "page-phone.png")
    context.close()


def _take(tab: Tab, name: str, look: int | None = None) -> None:
    if look is not None:
        tab.page.locator("#answers > li").nth(look).locator(".because").hover()
    tab.page.wait_for_timeout(700)  # until the animations end
    tab.page.screenshot(path=OUT / name)
    if tab.trouble:
        raise SystemExit(f"{name}: {tab.trouble}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
