"""Checking files: known verdicts of recorded histories, and what the command line gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynalab_checkers.check import check_files, check_history, check_in_parts, overall
from dynalab_checkers.formats import read_history
from dynalab_checkers.generate import Recipe, plant_stale_read, register_history
from dynalab_checkers.history import History, MalformedHistory, write_jsonl
from dynalab_checkers.linearizability import check_model
from dynalab_checkers.models import REGISTER, register

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


def test_a_file_judged_in_parts_gets_the_same_verdict_and_the_same_counts(tmp_path: Path) -> None:
    history = register_history(4, Recipe(operations=2_000, keys=9, deletes=20, indeterminate_per_mille=20))
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    write_jsonl(good, history.events())
    write_jsonl(bad, plant_stale_read(history, 1).events())
    for path, expected in ((good, "valid"), (bad, "invalid")):
        (whole,) = check_files([path])
        for parts in (1, 2, 7):
            partly = check_in_parts(path, parts)
            assert (partly.verdict, partly.why) == (whole.verdict, whole.why) or expected == "invalid"
            assert partly.verdict == expected
            if expected == "valid":
                assert partly.detail.details == whole.detail.details | {"parts": parts}
    (limited,) = check_files([good], memory_max_bytes=good.stat().st_size)
    assert limited.detail.details["parts"] == 4


def test_a_malformed_line_of_another_part_is_an_error_before_anything_is_judged(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    history = plant_stale_read(register_history(4, Recipe(operations=200, keys=5)), 1)
    write_jsonl(path, history.events())
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(MalformedHistory):
        check_in_parts(path, 3)


def test_a_model_may_be_handed_over_instead_of_its_name() -> None:
    events = register_history(4, Recipe(operations=100)).events()
    history = History.from_events(events)
    assert check_history(history, register(None)).verdict == check_history(history).verdict == "valid"
    first = next(o for o in history if o.f == "read" and o.result is None)
    assert check_history(history, register("other")).verdict == "invalid", first


def test_foreign_names_of_a_model_are_understood_where_the_format_is_foreign(tmp_path: Path) -> None:
    path = tmp_path / "set.edn"
    path.write_text(
        "{:process 0 :type :invoke :f :add :value 1}\n{:process 0 :type :ok :f :add :value 1}\n"
        "{:process 1 :type :invoke :f :read :value nil}\n{:process 1 :type :ok :f :read :value #{1}}\n"
    )
    (result,) = check_files([path], model="set", format="edn")
    assert result.verdict == "valid", result.why
