"""Tests of the page in a real browser, on a real service: it shows what the service answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from caser.artefact.folder import load, save
from tests.service.page_served import CHROMIUM, IMAGE, OVERRIDE, SCRIPT, Tab, ask, browser, save_run, serving
from tests.skips import without_browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CHROMIUM.exists(),
        reason=without_browser(CHROMIUM),
    ),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    run, items = save_run(tmp_path_factory.mktemp("page"))
    with serving(run, "--items", str(items)) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture
def tab(chromium: Browser, address: str) -> Iterator[Tab]:
    """The page after its first answer. The test fails if the page has reported an error."""
    context = chromium.new_context(reduced_motion="reduce")
    tab = Tab(context.new_page(), address)
    tab.open()
    yield tab
    assert tab.trouble == []
    context.close()


def test_an_empty_page_shows_popular_titles_to_start_with(tab: Tab) -> None:
    popular = ask(tab.address, "/v1/items?k=3")["items"]
    assert tab.page.locator("#popular button").all_text_contents() == [item["title"] for item in popular]
    assert "Nothing is known about them yet" in tab.page.inner_text("#source")
    assert len(tab.shown()) == 10
    tab.after(tab.page.locator("#popular button").last.click)
    assert tab.taken() == [OVERRIDE]
    assert not tab.page.is_visible("#popular")


def test_each_click_shows_the_answer_to_all_clicks_so_far(tab: Tab) -> None:
    tab.take("Title 7")
    first = tab.shown()
    tab.take("Title 12")
    assert tab.taken() == ["Title 12", "Title 7"]
    expected = ask(tab.address, "/v1/recommend", {"history": [7, 12], "k": 10, "explain": True})
    assert tab.shown() == [item["title"] or str(item["item_id"]) for item in expected["items"]]
    assert tab.shown() != first
    changes = [text for text in tab.page.locator("#answers .change .hidden").all_text_contents() if text]
    assert changes
    tab.after(tab.page.locator("#answers .take").first.click)
    assert tab.taken()[0] == (expected["items"][0]["title"] or str(expected["items"][0]["item_id"]))


def test_each_recommendation_shows_the_parts_of_its_score_and_its_strongest_click(tab: Tab) -> None:
    tab.take("Title 7")
    tab.take("Title 12")
    for place, item in enumerate(tab.answered[-1]["items"]):
        row = tab.page.locator("#answers > li").nth(place)
        texts = row.locator(".values li").all_text_contents()
        parts = item["why"]["parts"]
        assert [text.rsplit(" ", 1)[0] for text in texts] == list(parts)
        shown = [float(text.rsplit(" ", 1)[1].replace("\u2212", "-")) for text in texts]
        assert shown == pytest.approx(list(parts.values()), abs=0.005)
        strongest = max(item["why"]["history"], key=lambda one: one["effect"])
        if strongest["effect"] > 0:
            assert f" = {strongest['title']} " in row.locator(".because").inner_text()


def signed(text: str) -> float:
    """The number at the end of a text."""
    return float(text.rsplit(" ", 1)[-1].replace("\u2212", "-"))


def test_the_numbers_below_a_title_add_up_to_the_part_that_is_shown_beside_it(tab: Tab) -> None:
    for title in ("Title 7", "Title 12", "Title 9"):
        tab.take(title)
    assert "would be without it" in tab.page.inner_text("#sums-help")
    for place, item in enumerate(tab.answered[-1]["items"]):
        row = tab.page.locator("#answers > li").nth(place)
        total, *terms = row.locator(".because .number").all_text_contents()
        assert sum(map(signed, terms)) == pytest.approx(signed(total), abs=1e-9)
        assert row.locator(".because").inner_text().startswith(f"{item['why']['effects_of']} ")
        values = dict(text.rsplit(" ", 1) for text in row.locator(".values li").all_text_contents())
        assert values[item["why"]["effects_of"]] == total.strip()


def test_the_effects_of_all_clicks_and_the_rest_add_up_below_the_history(tab: Tab) -> None:
    for title in ("Title 7", "Title 12", "Title 9", "Title 11"):
        tab.take(title)
    assert tab.page.inner_text("#sum-title") == "Point at a recommendation to see the effect of each click."
    tab.page.locator("#answers > li").nth(1).hover()
    tab.page.wait_for_timeout(100)
    item = tab.answered[-1]["items"][1]
    assert tab.page.inner_text("#sum-title") == f"Effect of each click on short-term of {item['title']}"
    effects = [signed(text) for text in tab.page.locator("#history .effect").all_text_contents() if text]
    assert len(effects) == 3  # the model has L = 3
    rest, total = map(signed, tab.page.locator("#sum dd").all_text_contents())
    assert tab.page.locator("#sum dt").all_text_contents() == ["Beyond single clicks", "= short-term"]
    assert sum(effects) + rest == pytest.approx(total, abs=1e-9)
    assert total == pytest.approx(item["why"]["parts"]["short-term"], abs=0.005)


def test_without_titles_the_page_speaks_of_items(chromium: Browser, tmp_path: Path) -> None:
    run, _ = save_run(tmp_path)
    save(replace(load(run), titles=None), run)
    context = chromium.new_context(reduced_motion="reduce")
    with serving(run) as address:
        tab = Tab(context.new_page(), address)
        tab.open()
        assert tab.page.get_attribute("#search", "placeholder") == "Search items to add"
        tab.take("12")
        tab.page.locator("#answers .like").first.click()
        tab.page.wait_for_selector(".similar button")
        assert tab.page.inner_text(".similar p") == "Similar items. Click one to take it:"
        shown = tab.page.inner_text("body").lower()
        assert "40 items" in shown
        assert "title" not in shown
    context.close()


def test_bars_share_one_scale_and_start_at_a_common_zero(tab: Tab) -> None:
    tab.take("Title 7")
    values = [value for item in tab.answered[-1]["items"] for value in item["why"]["parts"].values()]
    span = max(0, *values) - min(0, *values)
    zero = 100 * -min(0, *values) / span
    bars = tab.page.locator("#answers rect").evaluate_all(
        "bars => bars.map(bar => [Number(bar.getAttribute('x')), Number(bar.getAttribute('width'))])"
    )
    for value, (x, width) in zip(values, bars, strict=True):
        assert width == pytest.approx(max(0.4, 100 * abs(value) / span), abs=0.01)
        assert (x if value >= 0 else x + 100 * abs(value) / span) == pytest.approx(zero, abs=0.01)


def test_pointing_at_a_recommendation_shows_the_effect_of_each_click(tab: Tab) -> None:
    tab.take("Title 7")
    tab.take("Title 12")
    item = tab.answered[-1]["items"][1]
    for look in (tab.page.locator("#answers > li").nth(1).hover, tab.page.locator("#answers .take").nth(1).focus):
        tab.page.mouse.move(0, 0)
        look()
        tab.page.wait_for_timeout(100)
        shown = tab.page.locator("#history .effect").all_text_contents()
        effects = [one["effect"] for one in reversed(item["why"]["history"])]
        assert [float(text.replace("\u2212", "-")) for text in shown] == pytest.approx(effects, abs=0.005)


def test_history_rows_that_the_model_does_not_read_look_different(tab: Tab) -> None:
    for number in (7, 12, 13, 14):
        tab.take(f"Title {number}")
    classes = tab.page.locator("#history .taken").evaluate_all(
        "rows => rows.map(row => row.classList.contains('unread'))"
    )
    assert classes == [False, False, False, True]  # the model has L = 3


def test_a_known_user_is_asked_for_with_the_stored_history(tab: Tab) -> None:
    tab.page.get_by_role("radio", name="A user").check(force=True)
    tab.page.fill("#user-id", "a/b <i>?")
    tab.after(lambda: tab.page.keyboard.press("Enter"))
    assert tab.taken() == [IMAGE, SCRIPT, "Title 11"]
    assert tab.asked[-1]["user_id"] == "a/b <i>?"
    assert "history" not in tab.asked[-1]
    assert "whose lasting taste the model has learned" in tab.page.inner_text("#source")
    as_user = tab.shown()
    tab.after(lambda: tab.page.get_by_role("radio", name="Somebody new").check(force=True))
    assert tab.asked[-1]["history"] == [11, 1, 2]
    assert "user_id" not in tab.asked[-1]
    assert tab.shown() != as_user


def test_a_model_without_user_vectors_is_not_said_to_know_the_taste_of_a_user(tab: Tab) -> None:
    def without_taste(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        for item in answer["items"]:
            item["why"]["parts"].pop("lasting taste")
        route.fulfill(response=response, json=answer)

    tab.page.route("**/v1/recommend", without_taste)
    tab.page.get_by_role("radio", name="A user").check(force=True)
    tab.page.fill("#user-id", "a/b <i>?")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_function("() => document.querySelector('#source').textContent.startsWith('For user')")
    assert "from what they took: this model learns no taste of a user" in tab.page.inner_text("#source")


def test_remembered_clicks_are_stored_as_events(tab: Tab) -> None:
    tab.page.get_by_role("radio", name="A user").check(force=True)
    tab.page.fill("#user-id", "somebody")
    tab.after(lambda: tab.page.keyboard.press("Enter"))
    tab.page.check("#remember")
    tab.take("Title 20")
    assert "history" not in tab.asked[-1]
    known = ask(tab.address, "/v1/users/somebody/history")["interactions"]
    assert [event["item_id"] for event in known] == [20]
    expected = ask(tab.address, "/v1/recommend", {"history": [20], "k": 10})
    assert tab.shown() == [item["title"] or str(item["item_id"]) for item in expected["items"]]
    tab.page.uncheck("#remember")
    tab.take("Title 21")
    assert tab.asked[-1]["history"] == [20, 21]
    assert len(ask(tab.address, "/v1/users/somebody/history")["interactions"]) == 1


def test_rules_change_the_request_and_the_answer_obeys_them(tab: Tab) -> None:
    page = tab.page
    tab.take("Title 7")
    tab.after(lambda: page.fill("#k", "6"))
    assert len(tab.shown()) == 6
    tab.after(lambda: page.uncheck("#exclude-seen"))
    assert tab.asked[-1]["exclude_seen"] is False
    page.fill("#value", "odd")
    tab.after(page.get_by_role("button", name="Leave out").click)
    assert all(item["item_id"] % 2 == 0 for item in tab.answered[-1]["items"])
    assert "Rules removed" in page.inner_text("#notes")
    page.select_option("#at-most-column", "shelf")
    tab.after(lambda: page.fill("#at-most", "1"))
    assert tab.asked[-1]["rules"]["at_most"] == {"shelf": 1}
    shelves = [item["item_id"] % 5 for item in tab.answered[-1]["items"]]
    assert len(shelves) == len(set(shelves)) == 5
    page.select_option("#column", "shelf")
    page.fill("#value", "3")
    tab.after(page.get_by_role("button", name="Boost").click)
    (boost,) = tab.asked[-1]["rules"]["boosts"]
    assert boost["where"] == {"shelf": ["3"]}
    assert boost["amount"] > 0
    assert "boost your rules" in page.locator("#legend li").all_text_contents()
    tab.after(page.get_by_role("button", name="Remove the rule on genre odd").click)
    assert "without" not in tab.asked[-1]["rules"]
    assert {item["item_id"] % 2 for item in tab.answered[-1]["items"]} == {0, 1}


def test_everything_can_be_done_from_the_keyboard(tab: Tab) -> None:
    page = tab.page
    page.focus("#search")
    page.keyboard.type("title 1")
    page.wait_for_selector("#found [aria-selected=true]")
    options = page.locator("#found [role=option]").all_text_contents()
    page.keyboard.press("ArrowDown")
    active = page.get_attribute("#search", "aria-activedescendant")
    assert page.inner_text(f"#{active}") == options[1]
    page.keyboard.press("Escape")
    assert page.get_attribute("#search", "aria-expanded") == "false"
    assert page.input_value("#search") == "title 1"
    page.keyboard.press("Escape")
    assert page.input_value("#search") == ""
    for words in ("Title 7", "Title 12", "Title 13"):
        tab.take(words)
    _tab_to(tab, "#history [tabindex='0']")
    tab.after(lambda: page.keyboard.press("Alt+ArrowDown"))
    assert tab.taken() == ["Title 12", "Title 13", "Title 7"]
    assert tab.asked[-1]["history"] == [7, 13, 12]
    page.keyboard.press("ArrowUp")
    tab.after(lambda: page.keyboard.press("Delete"))
    assert tab.taken() == ["Title 13", "Title 7"]
    for key in ("ArrowDown", "End"):
        page.keyboard.press(key)
    assert "Remove" in (page.evaluate("document.activeElement.ariaLabel") or "")
    tab.after(lambda: page.keyboard.press("Enter"))
    assert tab.taken() == ["Title 13"]
    _tab_to(tab, "#answers .take")
    page.keyboard.press("ArrowDown")
    second = tab.shown()[1]
    tab.after(lambda: page.keyboard.press("Enter"))
    assert tab.taken()[0] == second
    assert page.evaluate("document.activeElement.matches('.take')")  # the row is gone, the focus is not


def test_markup_in_titles_stays_text(tab: Tab) -> None:
    page = tab.page
    for words in ("script", "onerror", "quoted"):
        tab.take(words)
    assert tab.taken() == [OVERRIDE, IMAGE, SCRIPT]
    tab.after(lambda: page.uncheck("#exclude-seen"))
    tab.after(lambda: page.fill("#k", "30"))
    page.wait_for_timeout(100)
    assert page.title() == "caser: what comes next"
    assert page.locator("main img, main script, main i").count() == 0
    isolated = page.locator("#history .title").evaluate_all("all => all.map(one => [one.tagName, one.dir])")
    assert isolated == [["BDI", "auto"]] * 3


def test_a_late_answer_to_an_older_question_is_not_shown(tab: Tab) -> None:
    page = tab.page
    held: list[Route] = []
    page.route("**/v1/recommend", lambda route: held.append(route), times=1)
    page.locator("#popular button").nth(0).click()
    page.wait_for_timeout(150)
    assert len(held) == 1
    tab.take("Title 12")
    newest = tab.shown()
    held[0].fulfill(json=tab.answered[0])  # late, and of another history
    page.wait_for_timeout(150)
    assert tab.shown() == newest
    assert tab.asked[-1]["history"] == [1, 12]


def test_similar_titles_open_on_demand_and_can_be_clicked(tab: Tab) -> None:
    tab.take("Title 7")
    item = tab.answered[-1]["items"][0]["item_id"]
    tab.page.locator("#answers .like").first.click()
    tab.page.wait_for_selector(".similar button")
    found = ask(tab.address, f"/v1/items/{item}/similar?k=5")["items"]
    titles = [one["title"] or str(one["item_id"]) for one in found]
    assert tab.page.locator(".similar button").all_text_contents() == titles
    tab.after(tab.page.locator(".similar button").first.click)
    assert tab.taken()[0] == titles[0]


def test_the_curl_command_sends_the_same_request_as_the_page(tab: Tab) -> None:
    tab.take("Title 7")
    tab.page.fill("#value", 'it\'s "odd"')
    tab.after(tab.page.get_by_role("button", name="Leave out").click)
    tab.page.get_by_text("Send this question from a program").click()
    command = tab.page.inner_text("#curl")
    done = subprocess.run(
        ["bash", "-c", f"curl() {{ printf '%s\\n' \"${{@: -1}}\"; }}; {command}"], capture_output=True, check=True
    )
    assert json.loads(done.stdout) == tab.asked[-1]


def test_an_error_is_shown_as_one_sentence_until_the_next_answer(tab: Tab) -> None:
    page = tab.page
    page.route("**/v1/recommend", lambda route: route.fulfill(status=503, json={"error": "too busy."}), times=1)
    page.locator("#popular button").nth(0).click()
    page.wait_for_selector("#problem:not([hidden])")
    assert page.inner_text("#problem") == "The service is too busy. Try again in a moment."
    tab.take("Title 12")
    assert not page.is_visible("#problem")
    assert [text for text in tab.trouble if "503" not in text] == []
    tab.trouble.clear()


def test_a_service_with_tokens_asks_for_one_and_the_tab_keeps_it(chromium: Browser, tmp_path: Path) -> None:
    run, _ = save_run(tmp_path)
    file = tmp_path / "tokens"
    made = subprocess.run(
        [sys.executable, "-m", "caser", "token", "--token-file", str(file)], capture_output=True, text=True, check=True
    )
    token = made.stdout.strip()
    with serving(run, "--token-file", str(file)) as address:
        context = chromium.new_context(reduced_motion="reduce")
        tab = Tab(context.new_page(), address)
        page = tab.page
        page.goto(address)
        for text, is_wrong in (("wrong", False), (token, True)):
            page.wait_for_selector("#token[open]")
            assert page.is_visible("#token-problem") is is_wrong
            page.fill("#token-text", text)
            page.keyboard.press("Enter")
            page.wait_for_load_state()
        tab.settle(1)
        assert len(tab.shown()) == 10
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        assert token not in page.content()
        assert "Bearer $CASER_TOKEN" in (page.text_content("#curl") or "")
        context.close()


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_the_page_never_scrolls_sideways(chromium: Browser, address: str, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 800}, reduced_motion="reduce")
    tab = Tab(context.new_page(), address)
    tab.open()
    tab.take("quoted")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_every_control_has_a_name_and_every_id_is_unique(tab: Tab) -> None:
    tab.take("Title 7")
    tree: list[Any] = tab.page.locator("body").aria_snapshot().splitlines()
    nameless = [line for line in tree if line.strip().rstrip(":") in {f"- {role}" for role in _CONTROLS}]
    assert nameless == []
    ids = tab.page.locator("[id]").evaluate_all("all => all.map(one => one.id)")
    assert len(ids) == len(set(ids))
    references = tab.page.locator("[aria-labelledby],[aria-controls],[aria-describedby],label[for]").evaluate_all(
        "all => all.flatMap(one => ['aria-labelledby', 'aria-controls', 'aria-describedby', 'for']"
        ".map(name => one.getAttribute(name)).filter(Boolean))"
    )
    assert set(references) <= set(ids)
    assert tab.page.locator("h1").count() == 1


_CONTROLS = ("button", "textbox", "combobox", "checkbox", "radio", "slider", "listbox", "grid", "dialog")


def _tab_to(tab: Tab, selector: str) -> None:
    """Press Tab until a control has the focus."""
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the Tab key does not reach {selector}")
