"""The histories that a page shows are what the search finds today."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynalab_fault_injection.experiments.half_seen import main

SHOWN = Path(__file__).resolve().parents[2] / "docs/assets/half-seen.txt"


def test_the_page_shows_what_the_search_for_what_is_not_promised_finds(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    cure = f"python -m dynalab_fault_injection.experiments.half_seen > {SHOWN.name}"
    assert capsys.readouterr().out == SHOWN.read_text(encoding="utf-8"), cure
