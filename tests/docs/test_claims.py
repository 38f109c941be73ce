"""The page of claims is written from the markers, and a marker that names nothing is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynalab.site.claims import KINDS, collect, load_claims, page, unknown_items

ROOT = Path(__file__).resolve().parents[2]

SUITE = """
import pytest
pytestmark = [pytest.mark.slow, pytest.mark.claim("S20")]

@pytest.mark.claim("S23", "S24")
@pytest.mark.parametrize("n", [1])
def test_a_write_survives(n): ...

class TestReads:
    pytestmark = pytest.mark.claim("S25")
    @pytest.mark.claim("one seed, one run")
    async def test_a_read_may_be_old(self): ...

def helper(): ...
"""


def test_markers_of_functions_classes_and_modules_are_found(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    (tests / "impl").mkdir(parents=True)
    (tests / "impl" / "test_group.py").write_text(SUITE)
    found = [(s.claim, s.test, s.file) for s in collect(tests)]
    file = "tests/impl/test_group.py"
    assert found == [
        ("S20", "test_a_write_survives", file),
        ("S23", "test_a_write_survives", file),
        ("S24", "test_a_write_survives", file),
        ("S20", "TestReads.test_a_read_may_be_old", file),
        ("S25", "TestReads.test_a_read_may_be_old", file),
        ("one seed, one run", "TestReads.test_a_read_may_be_old", file),
    ]
    text = page(load_claims(), collect(tests))
    assert "**4 of 184** items are shown by **2** marked tests" in text
    assert "| S25 | behaviour | eventual read from any replica (2/3 chance fresh) | a read may be old (`tests/" in text
    assert "| one seed, one run |" in text
    assert "- S26 (behaviour)" in text


def test_a_marker_that_is_not_literal_is_an_error(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_x.py").write_text("import pytest\nN = 'S1'\n@pytest.mark.claim(N)\ndef test_x(): ...\n")
    with pytest.raises(ValueError, match=r"tests/test_x\.py:3: a claim marker must name its items literally"):
        collect(tests)


def test_every_marker_of_this_suite_names_an_item_that_exists() -> None:
    assert unknown_items(collect(ROOT / "tests"), load_claims()) == []


def test_all_184_items_are_listed_in_order_with_a_known_kind() -> None:
    claims = load_claims()
    assert list(claims) == [f"S{n}" for n in range(1, 185)]
    assert all(claim.kind in KINDS and claim.says and claim.topic for claim in claims.values())
