"""Checker against brute force, on random small histories.

The whole run, with its table: python -m tests.checkers.isolation.differential
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checkers.isolation.anomalies import name_anomaly
from tests.checkers.isolation.differential import ORACLES, SORTS, compare, small_history, table
from tests.checkers.isolation.notation import history
from tests.checkers.isolation.oracles import serializable, snapshot_isolated

SEEDS = range(2000)
ROOT = Path(__file__).resolve().parents[3]


def test_the_oracles_know_the_histories_of_the_textbooks() -> None:
    known = {
        "ax1; rx1": (True, True),
        "rxay1 || ryax1": (False, True),  # write skew
        "ax1ay1 || rx1ry": (False, False),  # read skew
        "rxax1 || rxax2; rx12": (False, False),  # lost update
        "ax1 || ay1 || rx1ry || rxry1": (False, False),  # long fork
        "?ax1; rx1": (True, True),
        "?ax1; rx": (True, True),
        "!ax1; rx1": (False, False),
    }
    for text, expected in known.items():
        assert (serializable(history(text)), snapshot_isolated(history(text))) == expected, text
    assert serializable(history("ax1; rx"))
    assert not serializable(history("ax1; rx"), realtime=True)
    assert not snapshot_isolated(history("ax1; rx"), realtime=True)


@pytest.mark.parametrize("model", ORACLES)
def test_list_append_rejects_nothing_that_the_oracle_accepts_and_misses_nothing(model: str) -> None:
    tally = compare(SEEDS, "list-append", model)
    assert tally.wrongly_rejected == []
    assert tally.missed == []
    assert min(tally.accepted, tally.rejected) > 250


def test_old_values_of_appends_are_reads_just_before() -> None:
    tally = compare(SEEDS, "list-append", "serializable", old_values=True)
    assert (tally.wrongly_rejected, tally.missed) == ([], [])
    assert tally.rejected > 450


@pytest.mark.parametrize("model", ORACLES)
def test_registers_with_old_values_reject_nothing_right_and_miss_at_most_5_percent(model: str) -> None:
    tally = compare(SEEDS, "rw-register", model, old_values=True)
    assert tally.wrongly_rejected == []
    assert 100 * len(tally.missed) <= 5 * tally.rejected
    assert min(tally.accepted, tally.rejected) > 400


@pytest.mark.parametrize(("old_values", "deletes"), [(True, True), (False, False), (False, True)])
@pytest.mark.parametrize("model", ["serializable", "strong-snapshot-isolation"])
def test_registers_with_blind_writes_or_deletes_reject_nothing_right_and_miss_hardly_anything(
    model: str, old_values: bool, deletes: bool
) -> None:
    tally = compare(SEEDS, "rw-register", model, old_values=old_values, deletes=deletes)
    assert tally.wrongly_rejected == []
    # Under snapshot isolation a delete that told nothing may have changed nothing; nowhere else is anything missed.
    assert 200 * len(tally.missed) <= (tally.rejected if deletes and model == "strong-snapshot-isolation" else 0)
    assert tally.by_anomaly["missed (valid)"] == 0
    assert min(tally.accepted, tally.rejected) > 150


@pytest.mark.parametrize("deletes", [False, True])
@pytest.mark.parametrize("model", ["serializable", "strong-snapshot-isolation"])
def test_windows_of_two_or_three_transactions_are_never_wrong_and_seldom_in_doubt(
    monkeypatch: pytest.MonkeyPatch, model: str, deletes: bool
) -> None:
    monkeypatch.setattr("dynalab_checkers.isolation.unordered.WHOLE_MAX", 1)
    monkeypatch.setattr("dynalab_checkers.isolation.unordered.WINDOW", 3)
    monkeypatch.setattr("dynalab_checkers.isolation.rolling.WINDOW", 2)
    monkeypatch.setattr("dynalab_checkers.isolation.rolling.WINDOW_MAX", 4)
    tally = compare(range(1200), "rw-register", model, deletes=deletes)
    assert tally.wrongly_rejected == []
    assert tally.by_anomaly["missed (valid)"] == 0
    assert 50 * len(tally.missed) < tally.rejected


def test_the_same_seed_gives_the_same_small_history() -> None:
    for seed in range(20):
        one, other = (small_history(seed, "rw-register", old_values=True, deletes=True) for _ in range(2))
        assert one.events() == other.events()


def test_brute_force_names_the_anomalies_of_the_textbooks() -> None:
    known = {
        "p0:ax1ay1 || p1:ax2ay2 || p2:rx12ry21": "G0",
        "!ax1; rx1": "G1a",
        "p0:ax1ax2 || p1:rx1 || p2:rx12": "G1b",
        "p0:ax1ry1 || p1:ay1rx1": "G1c",
        "p0:ax1ay1 || p1:rx1ry": "G-single",
        "p0:rxax1 || p1:rxax2 || p2:rx12": "lost update",
        "p0:ax1 || p1:ay1 || p2:rx1ry || p3:rxry1": "long fork",
        "p0:rxay1 || p1:ryax1": "write skew",
        "p0:rx1ax1": "internal, future read",
        "p0:ax1; p1:rx": "G-single-realtime",
        "p0:ax1; p0:rx": "G-single-process",
    }
    assert {text: name_anomaly(history(text)) for text in known} == known


def test_the_table_of_the_docs_has_no_history_that_was_wrongly_rejected_and_hardly_one_that_was_missed() -> None:
    text = (ROOT / "docs" / "assets" / "isolation-misses.md").read_text(encoding="utf-8")
    tables = text.split("**: 20,000 histories")
    assert len(tables) == 1 + len(SORTS)
    for table_text, (title, *_) in zip(tables[1:], SORTS, strict=True):
        rows = {
            row.split("|")[1].strip(): [cell.strip().split(" of ") for cell in row.split("|")[2:-1] if cell.strip()]
            for row in table_text.splitlines()
            if " of " in row and "by anomaly" not in row
        }
        assert [wrong for wrong, _ in rows["*right, called invalid*"]] == ["0"] * len(ORACLES)
        for missed, rejected in rows["*all*"]:
            assert 500 * int(missed) <= (int(rejected.replace(",", "")) if "deletes" in title else 0) * 5
    # The same rows come out of a shorter run.
    rows_now = table(150, SORTS[3:4]).splitlines()
    assert {row.split("|")[1] for row in rows_now[5:]} <= {row.split("|")[1] for row in text.splitlines() if "|" in row}
