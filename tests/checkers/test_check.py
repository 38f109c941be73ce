"""Checking files: known verdicts of recorded histories, and what the command line gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynalab_checkers.check import check_files, overall
from dynalab_checkers.formats import read_history
from dynalab_checkers.generate import Recipe, plant_stale_read, register_history
from dynalab_checkers.history import MalformedHistory, write_jsonl
from dynalab_checkers.linearizability import check_model
from dynalab_checkers.models import REGISTER

RECORDED = Path(__file__).parents[1] / "data" / "histories" / "porcupine"
LINEARIZABLE = {2, 5, 7, 18, 25, 31, 38, 45, 48, 49}


@pytest.mark.parametrize("number", range(50))
def test_every_recorded_etcd_log_gets_its_known_verdict(number: int) -> None:
    path = RECORDED / f"etcd_{number:03}.log"
    (result,) = check_files([path], format="etcd-log")
    assert result.verdict == ("valid" if number in LINEARIZABLE else "invalid"), result.why
    assert bool(result.why) == (result.verdict != "valid")
    if result.verdict == "invalid":
        assert len(result.detail.operations) <= 40
        assert result.detail.highlight
    # The general search alone comes to the same verdict.
    assert check_model(read_history(path, "etcd-log"), REGISTER).verdict == result.verdict


@pytest.mark.parametrize(
    ("name", "expected"), [("c01-ok", "valid"), ("c01-bad", "invalid"), ("c10-ok", "valid"), ("c10-bad", "invalid")]
)
def test_every_recorded_key_value_log_gets_its_known_verdict(name: str, expected: str) -> None:
    (result,) = check_files([RECORDED / f"{name}.txt"], model="kv", format="kv-log")
    assert result.verdict == expected, result.why


def test_a_file_verdict_has_the_five_stable_fields(tmp_path: Path) -> None:
    history = register_history(4, Recipe(operations=300))
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    write_jsonl(good, history.events())
    write_jsonl(bad, plant_stale_read(history, 1).events())
    results = check_files([good, str(bad)])
    assert [result.verdict for result in results] == ["valid", "invalid"]
    assert overall(results) == "invalid"
    for result, path in zip(results, (good, bad), strict=True):
        told = result.as_json()
        assert list(told) == ["file", "model", "verdict", "seconds", "why"]
        assert (told["file"], told["model"]) == (str(path), "register")
        assert json.loads(json.dumps(told)) == told
        assert isinstance(told["seconds"], float)


def test_nothing_is_judged_if_one_file_is_malformed(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    write_jsonl(good, register_history(4, Recipe(operations=30)).events())
    bad.write_text(good.read_text() + "{}\n")
    with pytest.raises(MalformedHistory) as caught:
        check_files([good, bad])
    assert caught.value.line == len(good.read_text().splitlines()) + 1
    assert str(bad) in caught.value.__notes__[0]


def test_an_unknown_model_or_format_is_a_key_error(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("")
    with pytest.raises(KeyError):
        check_files([path], model="stack")
    with pytest.raises(KeyError):
        check_files([path], format="yaml")
    (result,) = check_files([path])
    assert result.verdict == "valid"
