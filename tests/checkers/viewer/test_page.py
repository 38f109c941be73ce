"""The page as a file: nothing gets out of its data, nothing is asked for, nothing is lost on the way."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from io import StringIO
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab_checkers.check import check_files
from dynalab_checkers.explain import linearizable_prefixes
from dynalab_checkers.generate import Recipe, plant_stale_read, register_history
from dynalab_checkers.history import History, MalformedHistory, Operation, write_jsonl
from dynalab_checkers.linearizability import check_register
from dynalab_checkers.picture import Band
from dynalab_checkers.verdict import Verdict
from dynalab_checkers.viewer import Judged, judge, report_html, write_html
from dynalab_checkers.viewer.data import TEXT_MAX, page_data

HOSTILE = ["</script><script>alert(1)</script>", "<!--", "<img src=x onerror=alert(1)>", "\ud800", "\u2028", "'\"&{0}"]


class _Scripts(HTMLParser):
    """Elements as a browser splits them: the text of every script, and every attribute that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.loading: list[str] = []
        self.tags: list[str] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
            self._open = True
        self.loading += [f"{tag} {name}" for name, _ in attrs if name in ("src", "srcset", "data", "action", "style")]
        self.loading += [f"{tag} {name}" for name, _ in attrs if name.startswith("on")]
        self.loading += [
            f"{tag} {value}" for name, value in attrs if name == "href" and not (value or "").startswith("#")
        ]

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "script"

    def handle_data(self, text: str) -> None:
        if self._open:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + text)


def page_of(history: History, verdicts: list[Verdict | Judged], **options: Any) -> str:
    out = StringIO()
    write_html(out, history, verdicts, **options)
    return out.getvalue()


def parsed(page: str) -> _Scripts:
    parser = _Scripts()
    parser.feed(page)
    return parser


def data_of(page: str) -> dict[str, Any]:
    ((_, text),) = [one for one in parsed(page).scripts if one[0].get("type") == "application/json"]
    result = json.loads(text)
    assert isinstance(result, dict)
    return result


@pytest.fixture(scope="module")
def broken() -> tuple[History, Verdict]:
    history = plant_stale_read(register_history(5, Recipe(operations=600, keys=3, indeterminate_per_mille=20)), 3)
    return history, check_register(history)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_key_session_or_sentence_gets_out_of_its_place(text: str) -> None:
    operation = Operation(0, "write", text, 0, 9, "ok", text, old=text, session=text, extra={text: text})
    verdict = Verdict("invalid", text or "x", text, text, [operation], [operation])
    page = page_of(History([operation]), [verdict], title=text, bands=[Band(0, None, text)])
    assert page.encode("utf-8")
    found = parsed(page)
    assert [attributes.get("type") for attributes, _ in found.scripts] == ["application/json", None]
    assert found.loading == []
    assert "img" not in found.tags
    assert text in data_of(page)["texts"]


@given(st.text(max_size=40))
def test_any_text_comes_back_out_of_the_data(text: str) -> None:
    page = page_of(History([Operation(0, "write", "k", 0, 9, "ok", "v", extra={"note": text})]), [])
    texts = data_of(page)["texts"]
    assert f"note: {text}" in texts


def test_the_only_script_that_may_run_is_ours_and_nothing_may_be_loaded(broken: tuple[History, Verdict]) -> None:
    page = page_of(broken[0], [broken[1]])
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    (script,) = [text for attributes, text in parsed(page).scripts if attributes.get("type") is None]
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert policy.replace("&#x27;", "'") == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    addresses = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"'<)]*", page))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|\bimport\s*\(", page)


def test_the_smallest_wrong_part_stands_in_the_page_without_any_script(broken: tuple[History, Verdict]) -> None:
    history, verdict = broken
    page = page_of(history, [verdict])
    before_script = page[: page.index("<script")]
    assert f'<p class="why invalid">{verdict.why}</p>' in before_script
    assert "<svg" in before_script
    assert before_script.count("<td><a href=") == len(verdict.operations)
    assert before_script.count("(marked)") == len(verdict.highlight)


def test_times_indices_and_outcomes_come_back_exactly(broken: tuple[History, Verdict]) -> None:
    history, _ = broken
    data = page_data(history, [])
    columns: Any = data["operations"]
    start = int(str(data["start"]))
    assert [start + call for call in accumulate(columns["call"])] == [o.call for o in history]
    assert list(accumulate(columns["index"])) == [o.call_index for o in history]
    ends = [
        None if length < 0 else call + length
        for call, length in zip(accumulate(columns["call"]), columns["length"], strict=True)
    ]
    assert ends == [None if o.ret is None else o.ret - start for o in history]
    assert [("ok", "fail", "info")[n] for n in columns["outcome"]] == [o.outcome for o in history]


def test_the_order_in_the_page_is_the_order_that_was_verified(broken: tuple[History, Verdict]) -> None:
    history, verdict = broken
    prefixes = linearizable_prefixes(history)
    data: Any = page_data(history, [Judged(verdict, prefixes)])
    view = data["views"][0]
    assert view["marked"] == [history.operations.index(o) for o in verdict.highlight]
    for one in view["order"]["keys"]:
        prefix = prefixes[data["texts"][one["key"]]]
        assert [history.operations[n] for n in one["members"]] == prefix.order
        assert [at + int(data["start"]) for at in accumulate(one["at"])] == prefix.at_ns
        shown = [data["texts"][n] for n in one["after"]]
        assert shown == ["absent" if after is None else str(after) for _, after in prefix.states()]


@pytest.mark.parametrize("sessions", [0, 4])
def test_boxes_of_one_row_never_meet(sessions: int) -> None:
    history = register_history(9, Recipe(operations=3000, indeterminate_per_mille=60, processes=25))
    for operation in history:
        if sessions:
            operation.session = f"s{operation.process % sessions}"
    data: Any = page_data(history, [])
    rows: dict[int, list[Operation]] = {}
    for row, operation in zip(data["operations"]["row"], history, strict=True):
        rows.setdefault(row, []).append(operation)
    assert set(rows) == set(range(len(data["rows"])))
    for members in rows.values():
        members.sort(key=lambda o: (o.call, o.call_index))
        for one, other in pairwise(members):
            end = one.ret if one.ret is not None else one.info_time
            assert end is not None and end <= other.call
    if sessions:
        assert sum(row["first"] for row in data["rows"]) == sessions
    else:
        # Over a hundred process ids were used up, but no more than 25 clients were there at any time.
        assert len({o.process for o in history}) > 100
        assert len(rows) == 25


def test_values_of_any_length_make_a_page_of_bounded_size() -> None:
    history = History([Operation(0, "write", "k", 0, 9, "ok", "x" * 3_000_000)])
    page = page_of(history, [])
    assert len(page) < 200_000
    assert max(map(len, data_of(page)["texts"])) == TEXT_MAX


def test_an_operation_costs_the_page_no_more_than_a_hundred_bytes() -> None:
    small, large = (register_history(5, Recipe(operations=count, keys=10)) for count in (1000, 11_000))
    sizes = [len(page_of(history, [*judge(history)[:1]])) for history in (small, large)]
    assert (sizes[1] - sizes[0]) / 10_000 < 100


def test_an_empty_history_gives_a_page() -> None:
    assert data_of(page_of(History([]), []))["operations"]["call"] == []


def test_transactions_show_what_is_in_them() -> None:
    transaction = Operation(0, "txn", "", 0, 5, "ok", [["append", "x", 1], ["r", "y", [1, 2]]])
    assert "append x 1, r y [1, 2]" in data_of(page_of(History([transaction]), []))["texts"]


def test_verdicts_name_operations_by_index_where_they_are_copies() -> None:
    history = register_history(2, Recipe(operations=20))
    copy = History.from_events(history.events()).operations[7]
    data: Any = page_data(history, [Judged(Verdict("invalid", "mine", "it is wrong", None, [copy], [copy]))])
    assert data["views"][0]["marked"] == [7]


def test_one_file_becomes_one_page(tmp_path: Path, broken: tuple[History, Verdict]) -> None:
    source, out = tmp_path / "one.jsonl", tmp_path / "out.html"
    write_jsonl(source, broken[0].events())
    assert report_html(out, [source]) == [out]
    names = [view["name"] for view in data_of(out.read_text())["views"]]
    assert names == ["linearizability (register)", "sessions", "committed"]


def test_several_files_become_a_directory_with_an_index_the_worst_first(
    tmp_path: Path, broken: tuple[History, Verdict]
) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    write_jsonl(good, register_history(1).events())
    write_jsonl(bad, broken[0].events())
    results = check_files([good, bad])
    written = report_html(tmp_path / "out", [good, bad], results=results)
    assert [path.name for path in written] == ["index.html", "1-good.html", "2-bad.html"]
    index = written[0].read_text()
    assert index.index('href="2-bad.html"') < index.index('href="1-good.html"')
    assert "1 invalid, 0 unknown, 1 valid" in index
    assert broken[1].why in index


def test_a_malformed_file_is_named_and_gets_no_page(tmp_path: Path) -> None:
    source = tmp_path / "bad.jsonl"
    source.write_text("{}\n")
    with pytest.raises(MalformedHistory) as raised:
        report_html(tmp_path / "out.html", [source])
    assert raised.value.__notes__ == [f"in {source}"]
    assert not (tmp_path / "out.html").exists()
