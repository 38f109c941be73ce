"""The site builds strictly, shows what the campaign found, and asks for nothing from outside."""

from __future__ import annotations

import functools
import html
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynalab.site import drawing, plots, results
from dynalab.site.claims import page
from dynalab_checkers.staleness import Staleness
from dynalab_fault_injection.campaign import campaign
from dynalab_fault_injection.results import Results, RunKey, StoredBug, StoredRun
from dynalab_impl.inheritance import INHERITED
from dynalab_impl.path import PATHS

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PICTURE = (
    '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" class="dl" width="9" height="9">\n\n<g/></svg>'
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site of a two-seed campaign and one planted bug, built strictly in a copy."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("results", "generated", "claims.md"))
    for room in ("model", "impl", "checkers", "fault_injection", "dynalab"):
        (folder / room).symlink_to(ROOT / room)
    shutil.copy(ROOT / "mkdocs.yml", folder)
    store = folder / "store.sqlite"
    with Results.open(store) as opened:
        assert len(list(campaign(range(2), processes=1, store=opened))) == 4
        bug = StoredBug("a-bug", "v", "a rule", True, "linearizability", 3, 2, "dynalab replay 2", "It lied | twice.")
        bug.svg = PICTURE
        opened.add_planted_bug(bug)
        opened.add_planted_bug(replace(bug, name="b-bug", svg="", sentence="It never had a picture."))
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [
        sys.executable,
        "-m",
        "dynalab.site",
        "--tests",
        str(ROOT / "tests"),
        "--store",
        str(store),
        "--no-smoke",
    ]
    for step in (command, [sys.executable, "-m", "mkdocs", "build", "--strict"]):
        done = subprocess.run(step, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def address(built: Path) -> Iterator[str]:
    """The built site on a free port of loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    handler = functools.partial(Quiet, directory=str(built / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def text_of(built: Path, page_path: str) -> str:
    return (built / "site" / page_path / "index.html").read_text(encoding="utf-8")


def test_every_page_of_the_navigation_is_built(built: Path) -> None:
    configured = re.findall(r": ([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(configured) >= 30
    for source in configured:
        path = source.removesuffix(".md").removesuffix("index")
        assert (built / "site" / path / "index.html").is_file(), source


def test_solutions_tests_and_sources_stay_out_of_the_site(built: Path) -> None:
    names = [path.relative_to(built / "site").as_posix() for path in (built / "site").rglob("*")]
    assert not [
        name for name in names if re.search(r"solution|cases|\.py$|exercise\.toml|__pycache__|generated/", name)
    ]


def test_the_results_page_shows_the_campaign_that_was_run(built: Path) -> None:
    text = text_of(built, "results")
    assert "4 runs" in text
    assert "elections" in text and "leases-that-ran-out" in text
    assert 'href="#a-bug"' in text
    assert "It never had a picture." in text
    assert "dynalab replay 2" in re.sub(r"<[^>]*>", "", text)
    assert '<svg xmlns="http://www.w3.org/2000/svg" class="dl"' in text


@pytest.mark.parametrize("name", PATHS)
def test_a_chapter_shows_the_hops_of_the_code(built: Path, name: str) -> None:
    picture = f"generated/path-{name.replace(' ', '-')}.svg"
    shown = [path.stem for path in (ROOT / "docs" / "chapters").glob("*.md") if picture in path.read_text("utf-8")]
    assert len(shown) == 1, "each path is told once"
    text = text_of(built, f"chapters/{shown[0]}")
    for hop in PATHS[name]:
        assert hop.message in text, hop
    assert f"<title>{name}</title>" in text


def plain(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", text))


def test_the_chapter_on_splits_shows_what_children_inherit_and_what_a_split_does(built: Path) -> None:
    text = text_of(built, "chapters/partitions-and-splits")
    assert "<title>inheritance</title>" in text
    for row in INHERITED:
        assert row.place in text and row.what in html.unescape(text) and row.bug in text, row
    assert "four keys: carried out" in text and "split-applied" in text
    assert re.search(r"dynalab replay \d+ --workload register .*--planted-bug split-loses-the-tail", plain(text))
    assert plain(text).count("linearizability: ") == 1


def test_the_chapter_on_leaders_shows_the_same_seeds_without_one(built: Path) -> None:
    text = text_of(built, "chapters/leases-and-leaders")
    rows = re.findall(r"<td>(valid|invalid), [\d,]+ operations</td>", text)
    assert rows[::2] == ["valid"] * 5 and rows[1::2].count("invalid") >= 3
    assert len(re.findall("<svg[^>]*>", text)) >= 1 and "both" in text


def test_no_picture_and_no_page_names_a_resource_from_outside(built: Path) -> None:
    loading = re.compile(r"""(?:src|srcset|href)=["']?(https?:)?//(?!www\.w3\.org)[^"' >]+""")
    for path in (built / "site").rglob("*.html"):
        text = re.sub(r"<a [^>]*>", "", path.read_text(encoding="utf-8"))
        assert loading.findall(text) == [], path
    for path in (built / "site").rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:", path.read_text(encoding="utf-8")), path


@pytest.mark.needs("chromium")
def test_a_real_browser_asks_loopback_alone_and_meets_no_error(built: Path, address: str) -> None:
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    errors: list[str] = []
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(CHROMIUM_ARGUMENTS))
        for scheme in ("light", "dark"):
            context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
            tab = context.new_page()
            tab.on("request", lambda request: asked.append(request.url))
            tab.on("pageerror", lambda error: errors.append(str(error)))
            tab.on("response", lambda r: errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
            for path in ("/", "/five-minutes/", "/chapters/a-write-that-survives/", "/results/", "/claims/"):
                tab.goto(address + path, wait_until="networkidle")
                # A picture must have a size in both schemes, and no page may scroll sideways as a whole.
                assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1"), path
            tab.goto(f"{address}/chapters/a-write-that-survives/", wait_until="networkidle")
            box = tab.locator("figure.picture svg").first.bounding_box()
            assert box is not None and box["width"] > 300 and box["height"] > 60
            ink = tab.evaluate("getComputedStyle(document.querySelector('figure.picture svg text')).fill")
            ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
            assert ink != ground
            tab.goto(f"{address}/", wait_until="networkidle")
            tab.click("[data-md-component=search-query]")
            tab.keyboard.type("lease")
            tab.wait_for_selector("article.md-search-result__article")
            context.close()
        browser.close()
    assert [url for url in asked if not url.startswith(address)] == []
    assert len(asked) > 20
    assert errors == []


def run_of(verdict: str, seed: int = 1, why: str = "") -> StoredRun:
    key = RunKey("v", seed, "register", ("node-crash",), "")
    return StoredRun(key, verdict, why, "hash", 400, {}, [], [])


def test_a_failed_run_is_told_with_its_sentence_and_the_line_that_repeats_it() -> None:
    runs = [run_of("valid"), run_of("invalid", 7, "linearizability: a <lost> write | at 3 s")]
    text = "\n".join(results.page(runs, {"crashes": 3}, "v"))
    assert "2 runs, 800 operations" in text
    assert "a &lt;lost&gt; write \\| at 3 s" in text
    assert "`dynalab replay 7 --workload register --faults node-crash`" in text


def test_an_empty_store_gives_pages_that_say_so(tmp_path: Path) -> None:
    results.write_pages(tmp_path, tmp_path / "store.sqlite")
    text = (tmp_path / "results" / "index.md").read_text(encoding="utf-8")
    assert "There has been none: `make campaign`." in text
    assert "None has been hunted yet" in text


def test_every_counter_of_a_campaign_has_a_meaning() -> None:
    names: set[str] = set()
    for result in campaign(range(8), processes=1):
        names |= {name for name in result.sometimes if not name.startswith("fault:")}
    assert len(names) > 30
    assert sorted(name for name in names if not results.meaning(name)) == []


def test_the_plot_is_the_same_bytes_each_time_and_asks_for_no_font() -> None:
    measured = Staleness(reads=400, stale=60, since_ack_ns={0: [200, 50], 1_000_000: [180, 10], 5_000_000: [3, 3]})
    first = plots.staleness_svg(measured, "light", bound=True)
    assert first == plots.staleness_svg(measured, "light", bound=True)
    assert first != plots.staleness_svg(measured, "dark", bound=True)
    assert 'class="only-light"' in first and "1/3" in first
    assert "<metadata" not in first and "@import" not in first
    ElementTree.fromstring(first)
    assert [reads for _, _, reads in plots.points(measured)] == [200, 180]  # three reads are no share


@pytest.mark.parametrize("name", list(PATHS))
def test_a_drawn_path_has_every_node_and_every_hop_once(name: str) -> None:
    svg = drawing.draw(drawing.path_source(PATHS[name], name))
    root = ElementTree.fromstring(svg)
    words = [element.text for element in root.iter() if element.tag.endswith("text") and element.text]
    for number, hop in enumerate(PATHS[name], start=1):
        assert words.count(f"{number} {hop.message}") == 1
        assert hop.source in words and hop.target in words
    assert '"black"' not in svg


@pytest.mark.needs("dot")
def test_the_system_dot_draws_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    dot = shutil.which("dot")
    assert dot is not None
    monkeypatch.setattr(drawing, "find_program", lambda: dot)
    assert "1 request" in drawing.draw(drawing.path_source(PATHS["write"], "write"))


def test_the_page_of_claims_survives_an_empty_suite() -> None:
    assert "**0 of 0** items" in page({}, [])


def test_the_picture_of_the_readme_is_a_planted_bugs_and_tells_its_sentence() -> None:
    root = ElementTree.fromstring((ROOT / "docs" / "assets" / "violation.svg").read_text(encoding="utf-8"))
    text = " ".join(element.text or "" for element in root.iter() if element.tag.endswith("text"))
    assert "linearizability" in text
    assert re.search(r"at \d+\.\d+ s", text)
    marked = [element for element in root.iter() if "bad" in (element.get("class") or "").split()]
    assert marked


def test_a_picture_of_a_violation_is_only_taken_from_a_bug_that_was_caught(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    store = tmp_path / "store.sqlite"
    with Results.open(store) as opened:
        bug = StoredBug(results.VIOLATION, "v", "a rule", False, "linearizability", 200, None, "", svg=PICTURE)
        opened.add_planted_bug(bug)
        with pytest.raises(ValueError, match="holds no picture of acknowledge-before-quorum"):
            results.write_violation(tmp_path, store)
        bug.caught = True
        opened.add_planted_bug(bug)
    results.write_violation(tmp_path, store)
    assert (tmp_path / "assets" / "violation.svg").read_text(encoding="utf-8").startswith("<svg xmlns")
