"""The comparison of hashes compares what it says, counts it, and notices a difference."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dynalab import determinism
from dynalab.determinism import CannotRun, Comparison, Python, find_cpythons, make_bundle, parse_seeds, run_seeds

WORKER = """
import json, os, sys
for seed in json.loads(sys.argv[1])["seeds"]:
    print(json.dumps([seed, f"h{seed}-{os.environ['PYTHONHASHSEED'] if seed == UNSTABLE else 0}", 9]))
"""


def python(tmp_path: Path, unstable: int) -> Python:
    worker = tmp_path / "worker.py"
    worker.write_text(f"UNSTABLE = {unstable}\n{WORKER}")
    return Python("this", (sys.executable, "-S", str(worker)))


def test_a_run_that_depends_on_the_hash_seed_is_found(tmp_path: Path) -> None:
    comparison = Comparison()
    for hash_seed in ("0", "1", "4242"):
        for seed, trace_hash in run_seeds(python(tmp_path, 8), hash_seed, tmp_path, [7, 8], "register", []):
            comparison.add(seed, trace_hash, hash_seed)
    assert comparison.compared == 6
    assert comparison.differing == [8]


def test_a_python_that_stops_in_the_middle_is_an_error_and_no_pass(tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("print('[1, \"h\", 9]')\n")
    with pytest.raises(CannotRun, match="this ended with code 0"):
        run_seeds(Python("this", (sys.executable, str(worker))), "0", tmp_path, [1, 2], "register", [])


def test_the_bundle_holds_sources_of_the_rooms_and_nothing_compiled(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    assert sorted(path.name for path in bundle.iterdir()) == sorted(determinism.BUNDLE)
    assert (bundle / "dynalab_fault_injection" / "simulator" / "__init__.py").is_file()
    assert not [path for path in bundle.rglob("*") if path.suffix in (".so", ".pyd", ".pyc")]


def test_only_cpythons_from_3_11_on_are_taken_and_each_version_once(tmp_path: Path) -> None:
    for name, prints in (("python3.10", "CPython 3 10"), ("python3.98", "CPython 3 98"), ("python3.99", "PyPy 3 99")):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho {prints}\n")
        path.chmod(0o755)
    own = (sys.version_info[0], sys.version_info[1])
    assert find_cpythons([tmp_path, tmp_path]) == {own: Path(sys.executable), (3, 98): tmp_path / "python3.98"}


@pytest.mark.parametrize("text", ["5:5", "7:3", "x:2", ""])
def test_seeds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_seeds(text)
