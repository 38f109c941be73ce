"""The page of transactions in a real browser: levels, cycles, keys, colours, and a hundred thousand transactions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dynalab_checkers.isolation import check_transactions
from dynalab_checkers.isolation.generate import TransactionRecipe, plant, transactions_history
from dynalab_checkers.viewer import Judged, judge, write_html
from tests.checkers.viewer.test_browser import Opened, browser, page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.needs("chromium")
__all__ = ["browser", "page"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A few hundred transactions with write skew, and a hundred thousand."""
    folder = tmp_path_factory.mktemp("transactions")
    small = plant(transactions_history(7, TransactionRecipe(transactions=300, processes=6)), 3, "G2-item")
    write_html(folder / "small.html", small, judge(small, "list-append"))
    big = plant(transactions_history(7, TransactionRecipe(transactions=100_000, micros_max=1)), 3, "G2-item")
    verdict = check_transactions(big)
    write_html(folder / "big.html", big, [Judged(verdict, name="strict", level="strict-serializable")])
    return {"small": folder / "small.html", "big": folder / "big.html"}


def test_both_members_of_a_cycle_are_marked_and_visited_by_keyboard(page: Page, pages: dict[str, Path]) -> None:
    opened = Opened(page, pages["small"])
    opened.press("e")
    first = opened.value("dynalabViewer.chosen.op")
    opened.press("e")
    second = opened.value("dynalabViewer.chosen.op")
    assert sorted([first, second]) == opened.value("dynalabViewer.views[0].marked")
    assert "planted-x" in opened.page.inner_text("#detail")
    opened.press("x")
    assert opened.value("dynalabViewer.shown().list.length") == 2
    assert opened.errors == []


def test_a_key_finds_every_transaction_that_touches_it(page: Page, pages: dict[str, Path]) -> None:
    opened = Opened(page, pages["small"])
    opened.page.fill("#key-filter", "planted-y")
    opened.wait("dynalabViewer.shown().list.length === 2")
    assert "planted-x, planted-y" in opened.page.inner_text("#table-body")
    assert opened.errors == []


def test_a_level_that_allows_the_cycle_shows_it_when_it_is_opened(page: Page, pages: dict[str, Path]) -> None:
    opened = Opened(page, pages["small"])
    opened.page.locator("#tab2").click()
    panel = opened.page.locator("#panel2")
    assert "at the level snapshot-isolation" in panel.inner_text()
    graph = panel.locator("svg.dl-cycle")
    assert not graph.is_visible()
    panel.locator("summary", has_text="allowed at this level").click()
    assert graph.is_visible()
    assert opened.errors == []


def test_the_graph_follows_the_switch_between_dark_and_light(browser: Browser, pages: dict[str, Path]) -> None:
    context = browser.new_context(color_scheme="light")
    opened = Opened(context.new_page(), pages["small"])
    arrow = "getComputedStyle(document.querySelector('.dl-cycle .rw path')).stroke"
    box = "getComputedStyle(document.querySelector('.dl-cycle rect')).fill"
    assert opened.value(arrow) == "rgb(198, 40, 40)"
    assert opened.value(box) == "rgb(255, 255, 255)"
    opened.press("d")
    opened.wait(f"{arrow} === 'rgb(255, 123, 114)'")
    assert opened.value(box) == "rgb(13, 17, 23)"
    context.close()


def test_a_graph_fits_a_narrow_screen(browser: Browser, pages: dict[str, Path]) -> None:
    context = browser.new_context(viewport={"width": 420, "height": 800})
    opened = Opened(context.new_page(), pages["small"])
    assert opened.value("document.documentElement.scrollWidth") <= 420
    assert opened.value("document.querySelector('.dl-cycle').getBoundingClientRect().width") <= 420
    context.close()


def test_without_script_the_cycle_stands_there_as_graph_words_and_table(
    browser: Browser, pages: dict[str, Path]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["small"].as_uri())
    assert page.locator("#panel0 svg.dl-cycle").is_visible()
    assert "a contradiction!" in page.inner_text("#panel0 pre")
    assert page.locator("#panel0 details.cycle tbody tr").count() == 2
    context.close()


def test_a_hundred_thousand_transactions_are_filtered_and_drawn(page: Page, pages: dict[str, Path]) -> None:
    opened = Opened(page, pages["big"])
    assert opened.value("dynalabViewer.ops.count") == 100_002
    opened.page.fill("#key-filter", "planted-x")
    opened.wait("dynalabViewer.shown().list.length === 2")
    opened.page.click("#clear")
    opened.wait("dynalabViewer.shown().list.length === 100002")
    opened.press("e")
    assert "planted" in opened.page.inner_text("#detail")
    assert opened.errors == []
    assert opened.requests == [opened.address]
