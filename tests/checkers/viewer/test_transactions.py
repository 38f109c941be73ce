"""What the page says of transactions: levels side by side, each cycle as a graph, in words and as a table."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from dynalab_checkers.check import check_files
from dynalab_checkers.history import History, Operation, write_jsonl
from dynalab_checkers.isolation.generate import PLANTS, TransactionRecipe, plant, transactions_history
from dynalab_checkers.judges import Question
from dynalab_checkers.viewer import judge, report_html, write_html
from tests.checkers.isolation.notation import history as noted
from tests.checkers.viewer.test_page import HOSTILE, data_of, parsed

WITHOUT_CYCLE = (
    "G1a",
    "G1b",
    "garbage-read",
    "dirty-update",
    "duplicate-elements",
    "future-read",
    "incompatible-order",
    "internal",
)


def page_of(history: History, model: str = "list-append", level: str = "strict-serializable") -> str:
    out = StringIO()
    write_html(out, history, judge(history, model, question=Question(level=level)))
    return out.getvalue()


def planted(name: str) -> History:
    return plant(transactions_history(7, TransactionRecipe(transactions=60)), 3, name)


def test_a_page_of_transactions_shows_the_level_that_was_asked_for_and_the_known_ones_beside_it() -> None:
    page = page_of(planted("G2-item"), level="snapshot-isolation")
    tabs = re.findall(r'role="tab" .*?</span> ([^<]*)</button>', page)
    assert tabs == [
        "snapshot-isolation: valid",
        "read-committed: valid",
        "serializable: invalid",
        "strict-serializable: invalid",
    ]
    assert "Nothing is wrong with this history, at the level snapshot-isolation." in page
    assert page.count("G2-item (write skew): allowed at this level") == 2  # read-committed allows it, too


@pytest.mark.parametrize("name", sorted(set(PLANTS) - set(WITHOUT_CYCLE)))
def test_every_cycle_stands_there_as_a_graph_in_words_and_as_a_table_without_any_script(name: str) -> None:
    history = planted(name)
    (first, *_) = judge(history, "list-append")
    cycles: Any = first.verdict.details["cycles"]
    page = page_of(history)
    panel = page[page.index('id="panel0"') : page.index('id="panel1"')]
    assert panel.count('class="dl-cycle"') == len({cycle.name for cycle in cycles}) > 0
    assert panel.count(": a contradiction!") == len(cycles)
    for cycle in cycles:
        for place, edge in enumerate(cycle.edges, 1):
            index = history.operations[edge.source].call_index
            assert f'<td>T{place}</td><td><a href="#op={index}">{index}</a></td>' in panel


@pytest.mark.parametrize("name", WITHOUT_CYCLE)
def test_what_needs_no_cycle_stands_there_as_a_sentence_with_links(name: str) -> None:
    page = page_of(planted(name))
    assert "Seen without a cycle (" in page
    row = page[page.index(f"<td>{name}</td>") :].partition("</tr>")[0]
    assert row.count('href="#op=') >= 1


def test_all_members_of_a_cycle_are_marked_in_the_timeline_and_only_they() -> None:
    history = planted("G-nonadjacent-item")
    data = data_of(page_of(history))
    marked = data["views"][0]["marked"]
    assert len(marked) == 4
    assert all("planted" in str(history.operations[number].value) for number in marked)
    assert data["views"][1]["marked"] == []  # read committed allows it


def test_versions_without_any_order_are_drawn_with_every_circle() -> None:
    page = page_of(noted("p0:wx1wy1 || p1:wx2wy2 || p2:rx1ry2", kind="rw-register"), "rw-register")
    panel = page[page.index('id="panel0"') : page.index('id="panel1"')]
    assert "no order of the versions fits" in panel
    (svg,) = re.findall(r'<svg [^>]*class="dl-cycle".*?</svg>', panel, re.S)
    assert svg.count("<polygon") == 6
    assert svg.count('class="ww"') == 2


def test_a_transaction_is_found_by_each_of_its_keys() -> None:
    data = data_of(page_of(noted("ax1ry; az2")))
    texts, keys = data["texts"], data["operations"]["keys"]
    assert [[texts[key] for key in each] for each in keys] == [["x", "y"], ["z"]]


def test_a_long_list_is_shown_by_its_end() -> None:
    history = History([Operation(0, "txn", "", 0, 9, "ok", [["r", "x", list(range(100))]])])
    assert "r x [… 94, 95, 96, 97, 98, 99]" in data_of(page_of(history))["texts"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_key_or_value_of_a_transaction_gets_out_of_its_place(text: str) -> None:
    value: Any = [[["append", text, text], ["r", "y", []]], [["append", "y", text], ["r", text, []]]]
    operations = [Operation(n, "txn", "", n, n + 5, "ok", value[n], call_index=n, ret_index=n + 2) for n in (0, 1)]
    page = page_of(History(operations))
    assert page.encode("utf-8")
    found = parsed(page)
    assert [attributes.get("type") for attributes, _ in found.scripts] == ["application/json", None]
    assert found.loading == []
    assert "img" not in found.tags
    assert "G2-item" in page


def test_files_of_transactions_become_pages(tmp_path: Path) -> None:
    file = tmp_path / "skew.jsonl"
    write_jsonl(file, planted("G2-item").events())
    question = Question(level="serializable")
    results = check_files([file], "list-append", question=question)
    (page,) = report_html(tmp_path / "skew.html", [file], model="list-append", results=results, question=question)
    shown = page.read_text(encoding="utf-8")
    assert shown.index("serializable: invalid") < shown.index("snapshot-isolation: valid")
