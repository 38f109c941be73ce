"""Every row has a test, every marker has a row, and the page says how many."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynalab.site.conformance import Row, collect, load_rows, mistakes, page, summary
from dynalab_model.offered import OFFERED

ROOT = Path(__file__).resolve().parents[2]
ROWS = load_rows(ROOT / "tests" / "conformance" / "rows.toml")


@pytest.fixture(scope="module")
def tests() -> dict[str, list[str]]:
    return collect(ROOT / "tests")


def test_every_row_has_a_test_and_every_marker_a_row(tests: dict[str, list[str]]) -> None:
    assert mistakes(ROWS, tests) == []


def test_a_row_without_a_test_and_an_unknown_marker_are_mistakes() -> None:
    rows = {
        "a:bare": Row("a:bare", "A", "measured", "nobody asks"),
        "a:asked": Row("a:asked", "A", "documented", "somebody asks"),
        "a:refused": Row("a:refused", "A", "documented", "nobody sees it refused", "backups"),
    }
    tests = {"a:asked": ["t.py::test_a"], "a:typo": ["t.py::test_t"]}
    assert mistakes(rows, tests) == [
        "a:bare: no test carries this row (nobody asks)",
        "a:refused: no test carries this row (nobody sees it refused)",
        "a:typo: no such row (t.py::test_t)",
    ]
    seen = {"a:asked": ["t.py::test_a", "t.py::test_b"], "a:refused": ["t.py::test_r"]}
    assert summary(rows, seen) == (
        "1 of 3 rows are asked by 3 tests; 1 is of an operation that is refused so far, and asked for the refusal"
    ), "a refusal is no answer"


def test_the_page_lists_what_is_refused_apart_with_the_tests_of_the_refusal() -> None:
    rows = {
        "a:asked": Row("a:asked", "A", "documented", "a | b"),
        "a:refused": Row("a:refused", "A", "documented", "it does much", "backups"),
    }
    asked = [f"tests/conformance/t.py::test_a[{number}]" for number in (1, 2)]
    text = page(rows, {"a:asked": asked, "a:refused": ["tests/conformance/r.py::test_r"]})
    assert "| `a:refused` | documented | it does much | backups | `r.py` |" in text
    assert "| `a:asked` | documented | a \\| b | `t.py` (2) |" in text
    assert '??? warning "Refused so far: 1"' in text and '??? abstract "A: 1"' in text
    assert text.index("a:refused") < text.index("a:asked"), "they are not among those that the service is asked"


def test_a_row_is_refused_where_the_page_of_operations_says_so_and_for_the_same_reason(tmp_path: Path) -> None:
    refused = {f"operation:{name}": offer.note for name, offer in OFFERED.items() if offer.status == "refused"}
    assert {row.id: row.refused for row in ROWS.values() if row.refused} == refused != {}
    table = tmp_path / "rows.toml"
    table.write_text('[a]\ntitle = "A"\n[a.rows]\nb = ["documented", "words", "refused: backups"]\n')
    assert load_rows(table) == {"a:b": Row("a:b", "A", "documented", "words", "backups")}


def test_a_row_that_is_not_well_formed_is_an_error(tmp_path: Path) -> None:
    table = tmp_path / "rows.toml"
    for parts in ('["guessed", "words"]', '["documented", ""]', '["documented", "words", "later"]'):
        table.write_text(f'[a]\ntitle = "A"\n[a.rows]\nb = {parts}\n')
        with pytest.raises(ValueError, match=r"rows\.toml: a:b is not"):
            load_rows(table)


def test_the_rows_are_those_of_operations_errors_and_expressions() -> None:
    operations = [row for row in ROWS if row.startswith("operation:")]
    assert len(operations) == len([row for row in ROWS if row.startswith("parameters:")]) == 66
    assert len(ROWS) > 500
