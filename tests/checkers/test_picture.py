"""Pictures: what is in the SVG, read back with an XML parser; no picture is compared byte by byte."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from dynalab_checkers.history import MISSING, History, Missing, Operation, Scalar
from dynalab_checkers.picture import Band, as_table, label, milliseconds, render
from dynalab_checkers.sessions import check_sessions

SVG = "{http://www.w3.org/2000/svg}"
MS = 1_000_000


def op(
    f: str,
    process: int,
    call: int,
    ret: int | None,
    value: Scalar | list[Scalar] = None,
    *,
    key: str = "k",
    old: Scalar | Missing = MISSING,
    outcome: str | None = None,
    session: str | None = None,
) -> Operation:
    reads = f == "read"
    return Operation(
        process,
        f,
        key,
        call,
        ret,
        outcome or ("info" if ret is None else "ok"),
        None if reads else list(value) if isinstance(value, list) else value,
        value if reads and not isinstance(value, list) else None,
        old,
        session=session,
        call_index=call,
    )


VIOLATION = [
    op("write", 1, 0, 10 * MS, 1, old=None),
    op("write", 0, 20 * MS, 30 * MS, 2, old=1),
    op("read", 0, 40 * MS, 50 * MS, 1),
]


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def boxes(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [element for element in root.iter() if "op" in element.get("class", "").split()]


def spans(root: ElementTree.Element) -> dict[str, tuple[int, int]]:
    """From label to the left and right edge of its box; labels are unique in the histories that use this."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        shape, text = group.find(f"{SVG}rect"), group.find(f"{SVG}text")
        if shape is not None and text is not None:
            x = int(shape.get("x", ""))
            found[text.text or ""] = (x, x + int(shape.get("width", "")))
    return found


def test_a_row_per_client_a_box_per_operation_and_a_mark_on_the_violation() -> None:
    verdict = check_sessions(History(VIOLATION))
    root = parsed(render(verdict.operations, highlight=verdict.highlight, title="broken", sentence=verdict.why))
    assert root.tag == f"{SVG}svg"
    assert len(boxes(root)) == 3
    assert [element.get("class") for element in boxes(root) if "bad" in element.get("class", "")] == ["op read bad"]
    rows = [group for group in root.iter(f"{SVG}g") if group.get("class") == "client"]
    assert [row.findtext(f"{SVG}text") for row in rows] == ["client 0", "client 1"]
    assert {"w 1", "w 2", "r → 1", "broken"} <= set(texts(root))
    sentence = [element.text for element in root.iter(f"{SVG}text") if "sentence" in element.get("class", "")]
    assert " ".join(text or "" for text in sentence) == verdict.why


def test_those_who_cannot_see_get_a_title_and_a_description() -> None:
    root = parsed(render(VIOLATION, highlight=VIOLATION[2:], title="broken", sentence="It read too old a value."))
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "broken"
    described = root.findtext(f"{SVG}desc") or ""
    assert described.startswith(
        "It read too old a value. Marked: client 0, k: r → 1, ok, from 40000000 to 50000000 ns."
    )
    assert described.endswith("3 operations of 2 clients.")


def test_time_runs_to_the_right_in_the_order_of_the_history() -> None:
    root = parsed(render(VIOLATION))
    found = spans(root)
    assert found["w 1"][1] < found["w 2"][0]
    assert found["w 2"][1] < found["r → 1"][0]
    overlapping = spans(parsed(render([op("write", 0, 0, 20, 1), op("write", 1, 10, 30, 2)])))
    assert overlapping["w 1"][0] < overlapping["w 2"][0] < overlapping["w 1"][1] < overlapping["w 2"][1]


@pytest.mark.parametrize("value", ["value {:04}", "{}"])
def test_every_label_fits_its_box_however_short_the_operation(value: str) -> None:
    hour = 3_600_000 * MS
    history = [op("write", n % 4, n * hour // 7, n * hour // 7 + 1 + n, value.format(n)) for n in range(60)]
    root = parsed(render(history))
    found = spans(root)
    assert len(found) == 60
    for text, (left, right) in found.items():
        assert right - left >= 7.3 * len(text), text
    edges = [found[f"w {value.format(n)}"] for n in range(60)]
    assert edges == sorted(edges)
    assert max(right for _, right in edges) <= int(root.get("width", "0"))


def test_what_never_returned_is_dashed_and_open_to_the_right_edge() -> None:
    root = parsed(render([op("write", 0, 0, 10, 1), op("write", 1, 5, None, 2), op("read", 2, 20, 30, 2)]))
    (pending,) = [element for element in boxes(root) if "info" in element.get("class", "").split()]
    assert pending.tag == f"{SVG}path"
    shape = re.fullmatch(r"M(\d+) (\d+)H(\d+)v\d+H(\d+)", pending.get("d", ""))
    assert shape is not None
    assert shape[1] == shape[4]
    assert int(shape[1]) > max(right for _, right in spans(root).values())
    assert ".dl .info{stroke-dasharray" in (root.findtext(f"{SVG}style") or "")


def test_a_failed_operation_says_so() -> None:
    root = parsed(render([op("cas", 0, 0, 10, [3, 4], outcome="fail")]))
    assert "cas 3→4 ✗" in texts(root)
    assert boxes(root)[0].get("class") == "op write fail"


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (op("write", 0, 0, 1, 7), "w 7"),
        (op("write", 0, 0, 1, "seven"), "w seven"),
        (op("read", 0, 0, 1, None), "r → ∅"),
        (op("read", 0, 0, 1, True), "r → true"),
        (op("read", 0, 0, None), "r → ?"),
        (op("cas", 0, 0, 1, [None, 4]), "cas ∅→4"),
        (op("delete", 0, 0, 1), "del"),
        (op("scan", 0, 0, 1), "scan"),
    ],
)
def test_labels(operation: Operation, text: str) -> None:
    assert label(operation) == text


def test_keys_are_named_only_where_there_are_several() -> None:
    assert "w 1" in texts(parsed(render(VIOLATION)))
    both = texts(parsed(render([op("write", 0, 0, 1, 1, key="a"), op("write", 1, 0, 1, 1, key="b")])))
    assert {"a w 1", "b w 1"} <= set(both)


def test_overlapping_operations_of_one_session_get_lines_of_their_own() -> None:
    history = [op("write", 0, 0, None, 1, session="s"), op("write", 7, 20, 30, 2, session="s")]
    root = parsed(render(history))
    rows = [group for group in root.iter(f"{SVG}g") if group.get("class") == "client"]
    assert [row.findtext(f"{SVG}text") for row in rows] == ["session s"]
    heights = {element.get("y") for element in root.iter(f"{SVG}text") if element.text in ("w 1", "w 2")}
    assert len(heights) == 2


def test_clients_are_sorted_as_numbers() -> None:
    root = parsed(render([op("read", process, 0, 1, 1) for process in (10, 9, 2)]))
    assert [text for text in texts(root) if text.startswith("client")] == ["client 2", "client 9", "client 10"]


def test_fault_bands_lie_on_the_same_axis() -> None:
    bands = [
        Band(20 * MS, 30 * MS, "leader n1 killed"),
        Band(25 * MS, None, "zone z2 lost"),
        Band(900 * MS, None, "later"),
    ]
    root = parsed(render(VIOLATION, bands=bands))
    drawn = [element for element in root.iter(f"{SVG}rect") if element.get("class") == "band"]
    edges = [(int(it.get("x", "")), int(it.get("x", "")) + int(it.get("width", ""))) for it in drawn]
    assert edges[0] == spans(root)["w 2"]
    left, right = spans(root)["w 2"]
    assert left < edges[1][0] < right
    assert edges[1][1] > spans(root)["r → 1"][1]
    assert {"leader n1 killed", "zone z2 lost"} <= set(texts(root))
    assert "later" not in texts(root)
    heights = [element.get("y") for element in root.iter(f"{SVG}text") if element.get("class") == "band small"]
    assert len(set(heights)) == 2, "labels that would overlap stand on lines of their own"


def test_a_band_that_began_before_the_history_is_cut_to_it() -> None:
    root = parsed(render(VIOLATION, bands=[Band(-5 * MS, 5 * MS, "clock offset")]))
    (band,) = [element for element in root.iter(f"{SVG}rect") if element.get("class") == "band"]
    assert int(band.get("x", "")) == spans(root)["w 1"][0]


def test_the_axis_counts_milliseconds_from_the_first_call() -> None:
    shifted = [op("write", 0, 5_000 * MS, 5_010 * MS, 1), op("read", 0, 5_500 * MS, 5_510 * MS, 1)]
    found = texts(parsed(render(shifted)))
    assert {"0.0", "500.0", "ms"} <= set(found)
    fine = texts(parsed(render([op("write", 0, 0, 1_500, 1), op("read", 0, 3_000, 4_500, 1)])))
    assert {"0.000", "0.003"} <= set(fine)


@pytest.mark.parametrize(
    "hostile", ["</text><script>alert(1)</script>", "a&b<c>\"d'e", "\x00\x1b[31m", "\ud800", "]]>"]
)
def test_everything_from_outside_is_escaped(hostile: str) -> None:
    history = [op("write", 0, 0, 10, hostile, key=hostile, session=hostile), op("read", 1, 0, 10, hostile, key="k")]
    picture = render(history, highlight=history, bands=[Band(0, 5, hostile)], title=hostile, sentence=hostile)
    root = parsed(picture)
    picture.encode()
    assert not list(root.iter(f"{SVG}script"))
    assert "<script" not in picture
    assert len(boxes(root)) == 2
    if hostile.isprintable():
        assert root.findtext(f"{SVG}title") == hostile
    table = as_table(history, highlight=history)
    assert "<" not in table
    assert [line.count(" | ") for line in table.splitlines()] == [5, 5, 5, 5]


def test_nothing_is_loaded_from_outside_and_no_ground_is_painted() -> None:
    picture = render(VIOLATION, highlight=VIOLATION[2:], bands=[Band(0, None, "x")], title="t", sentence="s")
    assert re.findall(r"https?://[^\"' ]+", picture) == ["http://www.w3.org/2000/svg"]
    for word in ("@import", "url(", "href", "<image", "background"):
        assert word not in picture
    assert "currentColor" in picture
    assert "prefers-color-scheme:dark" in picture
    assert "var(--bad)" in picture


def test_a_picture_of_nothing_is_still_a_picture() -> None:
    root = parsed(render([]))
    assert root.findtext(f"{SVG}title") == "A history"
    assert boxes(root) == []


def test_the_same_history_gives_the_same_bytes_in_any_order() -> None:
    assert render(VIOLATION) == render(VIOLATION[::-1])


def test_the_table_says_the_same_in_text() -> None:
    history = [*VIOLATION, op("write", 2, 45 * MS, None, "a|b")]
    assert as_table(history, highlight=VIOLATION[2:]) == (
        "| client | key | operation | from (ms) | to (ms) | outcome |\n"
        "| --- | --- | --- | ---: | ---: | --- |\n"
        "| 1 | k | w 1 | 0.000 | 10.000 | ok |\n"
        "| 0 | k | w 2 | 20.000 | 30.000 | ok |\n"
        "| 0 | k | **r → 1** | 40.000 | 50.000 | ok |\n"
        "| 2 | k | w a\\|b | 45.000 | never | unknown |"
    )


def test_milliseconds_are_cut_and_never_rounded_up() -> None:
    assert [milliseconds(999_999, digits) for digits in (0, 1, 3, 6)] == ["0", "0.9", "0.999", "0.999999"]
    assert milliseconds(-1_500_000, 3) == "-1.500"
