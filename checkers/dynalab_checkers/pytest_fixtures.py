"""Fixtures for tests that record histories. Load them with `pytest_plugins = ["dynalab_checkers.pytest_fixtures"]`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dynalab_checkers.recorder import Recorder


@pytest.fixture
def history_recorder(tmp_path: Path) -> Iterator[Recorder]:
    """A recorder that writes `history.jsonl` into the test's own directory."""
    with Recorder(tmp_path / "history.jsonl") as recorder:
        yield recorder
