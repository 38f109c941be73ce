"""The compiled path: the same verdicts, used only if it was made from these sources, and never needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dynalab_checkers import compile as compiling
from dynalab_checkers.compile import CannotCompile, compile_modules, default_cache, digest, is_current, main
from dynalab_checkers.compiled import use


def test_what_was_compiled_from_other_sources_is_not_used(tmp_path: Path) -> None:
    search_path = ["package"]
    with pytest.warns(UserWarning, match="does not hold what these sources compile to"):
        assert not use(search_path, str(tmp_path))
    (tmp_path / "digest").write_text("0" * 16)
    with pytest.warns(UserWarning):
        assert not use(search_path, str(tmp_path))
    assert search_path == ["package"]
    (tmp_path / "digest").write_text(digest())
    assert is_current(tmp_path)
    before = sys.path.copy()
    try:
        assert use(search_path, str(tmp_path))
        assert search_path == [str(tmp_path / "modules"), "package"]
        assert sys.path == [*before, str(tmp_path / "shared")]
    finally:
        sys.path[:] = before


def test_the_cache_lies_outside_the_package_and_belongs_to_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache() == Path("/somewhere/dynalab") / f"compiled-{digest()}"


def test_without_a_compiler_one_sentence_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(CannotCompile, match=r"compiling needs the C compiler|compiling needs mypyc"):
        compile_modules(tmp_path / "cache")
    assert main(["--cache", str(tmp_path / "cache")]) == 1
    assert "compiling needs" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


def test_every_hot_module_exists_and_the_one_change_to_the_copies_still_fits() -> None:
    for name in compiling.MODULES:
        assert (compiling.PACKAGE / f"{name}.py").is_file()
    assert (compiling.PACKAGE / "operation.py").read_text().count(compiling._SLOTS[0]) == 1


def test_a_directory_that_holds_nothing_fitting_leaves_the_checkers_in_python(tmp_path: Path) -> None:
    script = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from dynalab_checkers.bench import Cell, run_here\n"
        "print(run_here(Cell(300)).path, run_here(Cell(300)).verdict)"
    )
    environment = os.environ | {"DYNALAB_COMPILED": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["python", "valid"]


@pytest.mark.skipif("DYNALAB_TEST_COMPILED" not in os.environ, reason="takes half a minute: DYNALAB_TEST_COMPILED=1")
def test_the_compiled_path_gives_the_same_verdicts_and_counts(tmp_path: Path) -> None:
    cache = compile_modules(tmp_path / "cache")
    script = (
        "import json; from dynalab_checkers.bench import Cell, compiled_path, run_here\n"
        "from dynalab_checkers.differential import compare\n"
        "hard = Cell(3000, 2, deletes=30, old_values=False, near_misses=True)\n"
        "cells = [Cell(3000, 3), hard, Cell(3000, valid=False)]\n"
        "result = compare(1500, 3)\n"
        "told = [[one.verdict, one.steps] for one in map(run_here, cells)]\n"
        "print(json.dumps([compiled_path(), told, result.differences, dict(result.methods)]))"
    )
    told = []
    for environment in (os.environ | {"DYNALAB_COMPILED": str(cache)}, os.environ | {"DYNALAB_COMPILED": ""}):
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        told.append(json.loads(done.stdout))
    assert [one[0] for one in told] == ["compiled", "python"]
    assert told[0][1:] == told[1][1:]
    assert told[0][2] == []
