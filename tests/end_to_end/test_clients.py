"""Unmodified clients that others made, on a tour each (`clients/`), in environments of their own (`make clients`)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.serving import serve

HERE = Path(__file__).parent / "clients"
TOOLS = Path(__file__).parents[2] / ".tools" / "clients"
TOUR_SECONDS_MAX = 120


def tour(*command: str | Path) -> list[str]:
    """Run a tour against a service of its own; gives the parts that it went through. `URL` stands for the endpoint."""
    with serve() as served:
        words = [served.url if word == "URL" else str(word) for word in command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=TOUR_SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


@pytest.mark.needs("pynamodb")
def test_pynamodb_keeps_models_conditions_indexes_batches_and_versions() -> None:
    python = TOOLS / "pynamodb" / "bin" / "python"
    assert tour(python, HERE / "pynamodb_tour.py", "URL") == [
        "tables",
        "items",
        "queries",
        "versions",
        "transactions",
        "gone",
    ]


@pytest.mark.needs("aiodynamo")
def test_aiodynamo_reads_what_it_wrote_over_its_own_http_client() -> None:
    python = TOOLS / "aiodynamo" / "bin" / "python"
    assert tour(python, HERE / "aiodynamo_tour.py", "URL") == ["items", "pages", "gone"]


@pytest.mark.needs("node", "javascript-sdk")
def test_the_javascript_sdk_sends_commands_documents_paginators_and_waiters() -> None:
    words = ("node", HERE / "javascript_tour.mjs", "URL", TOOLS / "javascript")
    assert tour(*words) == ["tables", "items", "pages", "transactions", "gone"]
