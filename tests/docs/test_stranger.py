"""The example of a stranger's database: short, run as the chapter prints it, right about the race and its repair."""

from __future__ import annotations

import importlib.util
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import Barrier
from types import ModuleType

import pytest

from dynalab_checkers.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "stranger.py"
CHAPTER = ROOT / "docs" / "chapters" / "consistent-history.md"
ROUNDS = 20
PATIENCE_SECONDS = 20  # a race that does not happen must not hang the suite


@pytest.fixture(scope="module")
def stranger() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_examples_stranger", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hits(tmp_path: Path) -> str:
    path = str(tmp_path / "hits.db")
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE hits (n INTEGER)")
        database.execute("INSERT INTO hits VALUES (0)")
    return path


def counted(path: str) -> int:
    (n,) = sqlite3.connect(path).execute("SELECT n FROM hits").fetchone()
    assert isinstance(n, int)
    return n


def test_the_example_has_fewer_than_thirty_lines() -> None:
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) < 30
    assert "dynalab_model" not in "".join(lines) and "dynalab_impl" not in "".join(lines)


def test_two_clients_that_read_before_either_writes_lose_a_hit_and_the_checker_says_so(
    stranger: ModuleType, hits: str
) -> None:
    verdict: Verdict = stranger.judge(hits, between=Barrier(2, timeout=PATIENCE_SECONDS).wait)
    assert counted(hits) == 1, "two hits were acknowledged"
    assert verdict.verdict == "invalid"
    assert [operation.f for operation in verdict.operations] == ["add", "add", "read"]
    assert [(operation.f, operation.result) for operation in verdict.highlight] == [("read", 1)]
    assert re.search(r"the read at \S+ s returned 1", verdict.why)


def test_the_same_clients_in_transactions_count_every_hit(stranger: ModuleType, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        path = str(tmp_path / f"{number}.db")
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE hits (n INTEGER)")
            database.execute("INSERT INTO hits VALUES (0)")
        verdict: Verdict = stranger.judge(path, "BEGIN IMMEDIATE")
        assert (verdict.verdict, counted(path)) == ("valid", 2)


def test_the_command_of_the_chapter_prints_both_verdicts() -> None:
    done = subprocess.run(
        [sys.executable, "docs/examples/race.py"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    lost, kept = done.stdout.splitlines()
    assert lost.split("  ")[0] == "read, then write" and " invalid " in lost and "returned 1" in lost
    assert kept.split() == ["BEGIN", "IMMEDIATE", "valid"]


def test_the_chapter_shows_the_example_and_its_command() -> None:
    text = CHAPTER.read_text(encoding="utf-8")
    assert '--8<-- "examples/stranger.py"' in text
    assert "$ python docs/examples/race.py" in text
