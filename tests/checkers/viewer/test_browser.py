"""The page in a real browser: fast at a hundred thousand operations, usable by keyboard, silent on the network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dynalab_checkers.explain import linearizable_prefixes
from dynalab_checkers.generate import Recipe, plant_stale_read, register_history
from dynalab_checkers.history import History, Operation
from dynalab_checkers.linearizability import check_register
from dynalab_checkers.picture import Band
from dynalab_checkers.verdict import Verdict
from dynalab_checkers.viewer import judge, write_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.needs("chromium")

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    program = next(found for name in PROGRAMS if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small broken history with a fault band, and one of a hundred thousand operations."""
    folder = tmp_path_factory.mktemp("pages")
    small = plant_stale_read(register_history(5, Recipe(operations=300, keys=2, processes=5)), 3)
    end = max(o.call for o in small)
    judged = judge(small)
    write_html(folder / "small.html", small, judged, bands=[Band(end // 4, end // 2, "kill leader")], title="small")
    big = plant_stale_read(register_history(5, Recipe(operations=100_000, keys=10)), 3)
    prefixes = linearizable_prefixes(big)
    write_html(folder / "big.html", big, [check_register(big)], prefix=prefixes, title="big")
    return {"small": folder / "small.html", "big": folder / "big.html"}


class Opened:
    """A page with what it asked for and what went wrong in it."""

    def __init__(self, page: Page, path: Path, fragment: str = "") -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text))
        self.address = path.as_uri()
        page.goto(self.address + fragment)
        self.wait("window.dynalabViewer !== undefined")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def value(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def wait(self, expression: str) -> None:
        """Until it holds. Playwright's own waiting evaluates text inside the page, which the page's policy forbids."""
        for _ in range(500):
            if self.value(expression):
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"not within ten seconds: {expression}")

    def status(self) -> str:
        return self.page.inner_text("#status")

    def chosen(self) -> int:
        """The index of the chosen operation's invocation, -1 if none is chosen."""
        return int(self.value("dynalabViewer.chosen.op < 0 ? -1 : dynalabViewer.ops.index[dynalabViewer.chosen.op]"))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, color_scheme="light")
    yield context.new_page()
    context.close()


@pytest.fixture
def small(page: Page, pages: dict[str, Path]) -> Iterator[Opened]:
    opened = Opened(page, pages["small"])
    yield opened
    assert opened.errors == []
    assert set(opened.requests) == {opened.address}


@pytest.fixture
def big(page: Page, pages: dict[str, Path]) -> Iterator[Opened]:
    opened = Opened(page, pages["big"])
    yield opened
    assert opened.errors == []
    assert set(opened.requests) == {opened.address}


def test_a_hundred_thousand_operations_load_in_two_seconds(page: Page, pages: dict[str, Path]) -> None:
    # The best of three: other work on the machine must not decide.
    loads = []
    for _ in range(3):
        opened = Opened(page, pages["big"])
        loads.append(opened.value("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        assert opened.value("dynalabViewer.ops.count") == 100_000
    assert min(loads) < 2000


def test_zooming_and_moving_draw_only_what_is_visible(big: Opened) -> None:
    boxes = big.value(
        """async () => {
          const viewer = dynalabViewer, counts = [];
          viewer.show(0, 1e12);
          for (let step = 0; step < 60; step++) {
            viewer.zoom(0.8);
            viewer.draw();
            counts.push(viewer.measured.boxes);
          }
          return counts;
        }"""
    )
    # 20 rows of 1,100 pixels: never more than a box for every third pixel, and few where one looks closely.
    assert max(boxes) < 20 * 1100 // 3
    assert boxes[-1] < 100


def test_frames_follow_each_other_without_stutter(big: Opened) -> None:
    medians = big.value(
        """async () => {
          const viewer = dynalabViewer, medians = [];
          for (let attempt = 0; attempt < 3; attempt++) {
            viewer.show(0, 1e12);
            const frames = [];
            let last = await new Promise(requestAnimationFrame);
            for (let step = 0; step < 60; step++) {
              viewer.zoom(step < 30 ? 0.8 : 1.25);
              viewer.camera.from += viewer.camera.perPixel * 15;
              viewer.draw();
              const now = await new Promise(requestAnimationFrame);
              frames.push(now - last);
              last = now;
            }
            medians.push(frames.sort((a, b) => a - b)[30]);
          }
          return medians;
        }"""
    )
    assert min(medians) < 34  # two frames of a 60 Hz screen, on a machine without a graphics card


def test_the_table_holds_a_hundred_thousand_rows_with_a_few_elements(big: Opened) -> None:
    assert big.page.get_attribute("#table", "aria-rowcount") == "100001"
    assert big.page.locator("#table-body [role=row]").count() < 30
    big.page.focus("#table")
    big.press("End")
    assert big.value("dynalabViewer.shown().list.indexOf(dynalabViewer.chosen.op)") == 99_999
    last = big.page.locator("#table-body [role=row][aria-selected=true]")
    assert last.get_attribute("aria-rowindex") == "100001"
    assert big.page.get_attribute("#table", "aria-activedescendant") == last.get_attribute("id")
    assert big.value("document.querySelectorAll('*').length") < 1500


def test_a_table_taller_than_a_browser_allows_still_reaches_every_row(big: Opened) -> None:
    big.value("dynalabViewer.limits.tall = 50_000; dynalabViewer.refilter()")
    assert big.value("document.getElementById('table-body').offsetHeight") == 50_000
    big.page.focus("#table")
    for key, row in (("End", 100_001), ("ArrowUp", 100_000), ("Home", 2), ("PageDown", 14)):
        big.press(key)
        chosen = big.page.locator("#table-body [role=row][aria-selected=true]")
        assert int(chosen.get_attribute("aria-rowindex") or 0) == pytest.approx(row, abs=4)
        assert chosen.is_visible()


def test_e_goes_to_the_violation_and_says_it(big: Opened) -> None:
    big.press("e")
    assert re.match(r"operation: r → \d+; client: client \d+; key: k\d", big.status())
    assert "marked: see the sentence above" in big.status()
    assert "no order explains its return" in big.status()
    assert big.value("document.activeElement.id") == "timeline"
    # Both the marked operation and what contradicts it are on the screen.
    inside = big.value(
        """dynalabViewer.views[0].part.every((n) => {
          const x = dynalabViewer.toX(dynalabViewer.ops.call[n]);
          return x > 0 && x < dynalabViewer.camera.width;
        })"""
    )
    assert inside


def test_the_whole_path_works_by_keyboard(small: Opened) -> None:
    small.press("Tab")
    assert small.value("document.activeElement.className") == "skip"
    small.press("Enter")
    assert small.value("document.activeElement.id") == "timeline"
    small.press("Home")
    first = small.chosen()
    assert first == 0
    small.press("ArrowRight", "ArrowRight", "ArrowLeft")
    row = small.value("dynalabViewer.ops.row[dynalabViewer.chosen.op]")
    assert small.chosen() > first
    small.press("ArrowDown" if row == 0 else "ArrowUp")
    assert abs(small.value("dynalabViewer.ops.row[dynalabViewer.chosen.op]") - row) == 1
    before = small.value("dynalabViewer.camera.perPixel")
    small.press("Enter")
    assert small.value("dynalabViewer.camera.perPixel") < before
    small.press("0")
    small.press("+", "+")
    zoomed = small.value("dynalabViewer.camera.perPixel")
    small.press("-")
    assert small.value("dynalabViewer.camera.perPixel") > zoomed
    here = small.value("dynalabViewer.camera.from")
    small.press("Shift+ArrowRight")
    assert small.value("dynalabViewer.camera.from") > here
    small.press("t", "ArrowDown")
    assert small.value("document.activeElement.id") == "table"
    small.press("Enter")
    assert small.value("document.activeElement.id") == "timeline"
    small.press("Escape")
    assert small.chosen() == -1


def test_times_are_those_of_the_sentence(small: Opened) -> None:
    small.press("e")
    said = re.search(r"the read at 0\.(\d{3})(\d*) s returned", small.page.inner_text("#panel0 .why"))
    assert said is not None
    assert f"from: {int(said[1])}.{said[2]} ms;" in small.status()


def test_times_since_1970_count_from_the_first_call_to_the_nanosecond(page: Page, tmp_path: Path) -> None:
    start = 1_700_000_000_123_456_789
    write_html(
        tmp_path / "page.html",
        History(
            [Operation(0, "write", "k", start + n * 2, start + n * 2 + 1, "ok", n, call_index=n) for n in range(3)]
        ),
        [],
    )
    opened = Opened(page, tmp_path / "page.html", "#op=2")
    assert "from: 4 ns; to: 5 ns" in opened.status()
    assert f"at {start} ns of the history's clock" in opened.page.inner_text("#timeline-hint")


def test_question_mark_lists_every_key_and_escape_closes_the_list(small: Opened) -> None:
    small.press("?")
    assert small.page.is_visible("#help")
    listed = small.page.inner_text("#help-keys")
    for word in ("zoom in", "next operation that shows the error", "filter by key", "next verdict", "dark or light"):
        assert word in listed
    small.press("Escape")
    assert not small.page.is_visible("#help")


def test_n_and_p_walk_along_the_order_with_the_value_before_and_after(small: Opened) -> None:
    small.page.focus("#timeline")
    small.press("Home")
    place = "dynalabViewer.views[0].order.place[dynalabViewer.chosen.op]"
    start = small.value(place)
    assert start >= 0
    after = re.search(r"value after: ([^;]+)", small.status())
    assert after is not None
    small.press("n")
    assert small.value(place) == start + 1
    assert f"value before: {after[1]};" in small.status()
    small.press("p")
    assert small.value(place) == start


def test_filters_leave_one_key_or_one_client(small: Opened) -> None:
    small.page.focus("#timeline")
    small.press("k")
    small.page.keyboard.type("k1")
    keys = "[...new Set([...dynalabViewer.shown().list].map((n) => dynalabViewer.ops.key[n]))].length"
    assert small.value(keys) == 1
    assert re.fullmatch(r"\(\d+ of 300\)", small.page.inner_text("#table-count"))
    small.press("Escape")
    small.press("c")
    small.page.keyboard.type("client 3")
    assert small.value("dynalabViewer.shown().rows.length") == 1
    small.page.click("#clear")
    assert small.value("dynalabViewer.shown().list.length") == 300
    small.page.check("#part-filter")
    assert small.value("dynalabViewer.shown().list.length") == small.value("dynalabViewer.views[0].part.length")


def test_hovering_shows_the_value_before_and_after(small: Opened) -> None:
    small.press("e", "p")
    spot = small.value(
        """(() => {
          const viewer = dynalabViewer, n = viewer.views[0].order.keys.values().next().value.members[3];
          viewer.show(viewer.ops.call[n], viewer.ops.end[n]);
          viewer.draw();
          const box = document.getElementById('timeline').getBoundingClientRect();
          const middle = (viewer.ops.call[n] + viewer.ops.end[n]) / 2;
          return [box.left + viewer.toX(middle), box.top + viewer.rowY(viewer.placeOf(n)) + 14, n];
        })()"""
    )
    small.page.mouse.move(spot[0], spot[1])
    tip = small.page.inner_text("#tip")
    assert "value before: " in tip and "value after: " in tip and "place in the order: 4 of " in tip
    small.page.mouse.click(spot[0], spot[1])
    assert small.value("dynalabViewer.chosen.op") == spot[2]


def test_wheel_drag_and_minimap_move_the_picture(small: Opened) -> None:
    box = small.page.locator("#timeline").bounding_box()
    assert box is not None
    x, y = box["x"] + 600, box["y"] + 120
    small.page.mouse.move(x, y)
    before = small.value("dynalabViewer.camera.perPixel")
    under = "dynalabViewer.camera.from + (600 - 1 - 164) * dynalabViewer.camera.perPixel"
    still = small.value(under)
    small.page.mouse.wheel(0, -400)
    small.wait(f"dynalabViewer.camera.perPixel < {before}")
    assert abs(small.value(under) - still) < before * 3  # what was under the pointer stays there
    here = small.value("dynalabViewer.camera.from")
    small.page.mouse.down()
    small.page.mouse.move(x - 80, y, steps=4)
    small.page.mouse.up()
    assert small.value("dynalabViewer.camera.from") > here
    small_map = small.page.locator("#minimap").bounding_box()
    assert small_map is not None
    small.page.mouse.click(small_map["x"] + 5, small_map["y"] + 10)
    assert small.value("dynalabViewer.camera.from") < here


def test_verdicts_stand_side_by_side_and_each_shows_its_own_marks(small: Opened) -> None:
    tabs = small.page.get_by_role("tab")
    assert [tab.inner_text() for tab in tabs.all()] == [
        "✗ linearizability (register): invalid",
        "✗ sessions: invalid",
        "✓ committed: valid",
    ]
    assert small.page.locator("#panel0").is_visible() and not small.page.locator("#panel1").is_visible()
    tabs.nth(1).click()
    assert small.page.locator("#panel1").is_visible() and not small.page.locator("#panel0").is_visible()
    small.press("ArrowRight")
    assert small.page.get_attribute("#tab2", "aria-selected") == "true"
    assert small.page.inner_text("#panel2").startswith("Nothing is wrong")
    small.press("v")
    assert small.page.get_attribute("#tab0", "aria-selected") == "true"


def test_a_link_opens_at_its_operation(page: Page, pages: dict[str, Path]) -> None:
    assert Opened(page, pages["small"], "#op=0").chosen() == 0
    opened = Opened(page, pages["small"], "#op=100000")
    assert (opened.chosen(), opened.status()) == (-1, "this history has no invocation with the index 100000")
    linked = opened.page.locator("#panel0 td a").first
    opened.page.locator("#panel0 summary").click()
    wanted = int(linked.inner_text())
    linked.click()
    opened.wait(f"dynalabViewer.ops.index[dynalabViewer.chosen.op] === {wanted}")
    opened.page.focus("#timeline")
    opened.press("Home")
    assert opened.page.url.endswith("#op=0")
    assert opened.errors == []


def test_dark_and_light_follow_the_system_and_the_switch(browser: Browser, pages: dict[str, Path]) -> None:
    context = browser.new_context(color_scheme="dark")
    opened = Opened(context.new_page(), pages["small"])
    ground = "getComputedStyle(document.body).backgroundColor"
    pixel = "[...document.getElementById('timeline').getContext('2d').getImageData(3, 8, 1, 1).data]"
    assert opened.value(ground) == "rgb(13, 17, 23)"
    assert opened.value(pixel) == [13, 17, 23, 255]
    bad = "getComputedStyle(document.querySelector('.dl rect.bad')).stroke"
    assert opened.value(bad) == "rgb(255, 123, 114)"
    opened.press("d")
    opened.wait(f"{ground} === 'rgb(255, 255, 255)'")
    opened.value("dynalabViewer.draw()")
    assert opened.value(pixel) == [255, 255, 255, 255]
    assert opened.value(bad) == "rgb(198, 40, 40)"
    context.close()


def test_hostile_text_is_shown_and_never_run(page: Page, tmp_path: Path) -> None:
    text = "</script><img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    operation = Operation(0, "write", text, 0, 9, "ok", text, session=text, extra={"note": text})
    verdict = Verdict("invalid", text, text, text, [operation], [operation])
    write_html(tmp_path / "page.html", History([operation]), [verdict], title=text, bands=[Band(0, None, text)])
    opened = Opened(page, tmp_path / "page.html")
    opened.press("e", "Enter")
    assert opened.page.title() == text
    assert opened.page.locator("img").count() == 0
    assert text in opened.page.inner_text("#detail")
    assert text in opened.page.inner_text("#panel0 .why")
    assert opened.errors == []
    assert opened.requests == [opened.address]


def test_an_empty_history_opens_without_an_error(page: Page, tmp_path: Path) -> None:
    write_html(tmp_path / "page.html", History([]), [])
    opened = Opened(page, tmp_path / "page.html")
    opened.press("e", "v", "n", "0", "+", "t", "ArrowDown", "End", "g", "Home", "ArrowUp", "Enter", "Escape")
    assert opened.errors == []


def test_without_script_the_sentence_the_picture_and_the_table_are_there(
    browser: Browser, pages: dict[str, Path]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["small"].as_uri())
    assert "had been acknowledged" in page.inner_text("#panel0 .why")
    assert page.locator("#panel0 svg").is_visible()
    page.locator("#panel0 summary").click()
    assert page.locator("#panel0 tbody tr").count() >= 2
    context.close()
