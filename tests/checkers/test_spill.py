"""Histories laid aside on disk: nothing is lost or changed, nothing is left behind, and memory has a bound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from dynalab_checkers import check, pairing, spill
from dynalab_checkers.check import check_in_parts
from dynalab_checkers.formats import read_history
from dynalab_checkers.generate import Recipe, register_history
from dynalab_checkers.history import MISSING, NO_FIELDS, History, MalformedHistory, Operation, write_jsonl
from dynalab_checkers.spill import Spill


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go during a test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_every_operation_comes_back_as_it_was_in_the_part_of_its_key() -> None:
    plain = register_history(2, Recipe(operations=5_000, keys=7, deletes=20, indeterminate_per_mille=50)).operations
    odd = [
        Operation(90_000, "read", "k1", 5, None, "info", call_index=90_001),
        Operation(90_001, "cas", "k\ud800", 5, 7, "fail", [None, 1.5], found=None, call_index=90_002, ret_index=90_003),
        Operation(90_002, "write", "k2", 5, 7, "ok", True, None, False, call_index=90_004, ret_index=90_005),
        Operation(
            90_003, "members", "", 5, 7, "ok", None, call_index=90_006, ret_index=90_007, ret_extra={"value": [1]}
        ),
        Operation(90_004, "read", "k3", 5, 7, "ok", None, -0.0, MISSING, MISSING, "eventual", "me", 90_008, 90_009),
        Operation(90_005, "write", "k3", 5, None, "info", 10**40, info_time=9, call_index=90_010, ret_index=90_011),
    ]
    with Spill(5) as aside:
        aside.take(plain[:3_000])
        aside.take([*plain[3_000:], *odd])
        parts = [aside.part(number) for number in range(5)]
    back = sorted((operation for part in parts for operation in part), key=lambda operation: operation.call_index)
    assert back == History([*plain, *odd]).operations
    assert repr(next(o for o in back if o.process == 90_004).result) == "-0.0"
    assert next(o for o in back if o.process == 90_000).extra is NO_FIELDS
    homes: dict[str, set[int]] = {}
    for number, part in enumerate(parts):
        for operation in part:
            homes.setdefault(operation.key, set()).add(number)
    assert all(len(numbers) == 1 for numbers in homes.values())
    assert len({number for numbers in homes.values() for number in numbers}) > 1


def test_transactions_stand_in_every_part_since_they_may_have_written_any_key() -> None:
    transaction = Operation(0, "txn", "", 0, 5, "ok", [["w", "k", 1]], call_index=0, ret_index=1)
    scan = Operation(1, "scan", "", 0, 5, "ok", call_index=2, ret_index=3)
    with Spill(3) as aside:
        aside.take([transaction, scan])
        parts = [aside.part(number).operations for number in range(3)]
    assert parts == [[transaction, scan], [transaction], [transaction]]


def test_a_file_is_read_once_whatever_the_number_of_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.jsonl"
    write_jsonl(path, register_history(2, Recipe(operations=400, keys=9)).events())
    reads = 0

    def counted(*arguments: object, **named: object) -> History:
        nonlocal reads
        reads += 1
        return read_history(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(check, "read_history", counted)
    assert check_in_parts(path, 9).verdict == "valid"
    assert reads == 1


def test_nothing_is_left_behind_when_it_ends_well_when_a_line_is_malformed_and_when_the_judge_breaks(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.jsonl"
    write_jsonl(path, register_history(2, Recipe(operations=400, keys=9)).events())
    assert check_in_parts(path, 3).verdict == "valid"
    assert list(temporary.iterdir()) == []
    with monkeypatch.context() as patch:
        patch.setattr(check, "check_history", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            check_in_parts(path, 3)
    assert list(temporary.iterdir()) == []
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(MalformedHistory, match="line 801"):
        check_in_parts(path, 3)
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file without a name may not exist")
def test_a_killed_process_leaves_nothing_behind(temporary: Path) -> None:
    program = (
        "import os, signal\n"
        "from dynalab_checkers.generate import Recipe, register_history\n"
        "from dynalab_checkers.spill import Spill\n"
        "with Spill(3) as spill:\n"
        "    spill.take(register_history(1, Recipe(operations=20_000, keys=5)).operations)\n"
        "    assert sum(os.fstat(file.fileno()).st_size for file in spill._files) > 100_000\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(temporary)}, timeout=60)
    assert done.returncode == -9
    assert list(temporary.iterdir()) == []


def test_what_is_held_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file four times as long, read in four times as many parts, no more is held at a time."""
    monkeypatch.setattr(pairing, "DRAIN_AT", 256)  # buffers as small as the files are for a test
    monkeypatch.setattr(spill, "WAITING_MAX", 256)

    def peak_bytes(operations: int, parts: int) -> int:
        path = tmp_path / f"{operations}.jsonl"
        with path.open("w") as file:
            for n in range(operations):
                head = {"process": n % 7, "f": "write", "key": f"k{n % 64}", "value": n}
                for place, kind in enumerate(("invoke", "ok")):
                    file.write(json.dumps({"index": 2 * n + place, "time": 10 * n + place, "type": kind} | head) + "\n")
        tracemalloc.start()
        assert check_in_parts(path, parts).verdict == "valid"
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    small, large = peak_bytes(6_000, 2), peak_bytes(24_000, 8)
    assert large < 1.3 * small, (small, large)
