"""A missing outside program skips with its reason, and fails where DYNALAB_REQUIRE names it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SUITE = """
import pytest

@pytest.mark.needs("chromium")
def test_in_a_browser():
    assert True

@pytest.mark.needs("no-such-tool")
def test_of_a_misspelt_tool():
    assert True
"""


def run_suite(folder: Path, require: str) -> subprocess.CompletedProcess[str]:
    """A suite with this project's conftest, in a process whose PATH is empty."""
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    needs(tool): a tool\n")
    (folder / "test_suite.py").write_text(SUITE)
    environment = {**os.environ, "PATH": str(folder), "DYNALAB_REQUIRE": require}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-p", "no:dynalab", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


def test_a_missing_program_skips_and_says_which(tmp_path: Path) -> None:
    output = run_suite(tmp_path, "").stdout
    assert "1 skipped, 1 error" in output
    assert "needs chromium: none of chromium, chromium-browser, google-chrome is on the PATH" in output
    assert "needs('no-such-tool'): no such tool" in output


def test_a_required_program_that_is_missing_fails(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "node,chromium")
    assert "2 errors" in done.stdout
    assert "and DYNALAB_REQUIRE asks for it" in done.stdout


def test_a_requirement_that_nobody_knows_is_an_error_and_not_ignored(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "crhomium")
    assert done.returncode == 4
    assert "DYNALAB_REQUIRE names unknown tools: crhomium" in done.stderr
