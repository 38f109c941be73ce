"""Checker against brute force, on random small histories.

The whole run, with its table: python -m tests.checkers.isolation.differential
"""

from __future__ import annotations

import pytest

from tests.checkers.isolation.differential import ORACLES, compare, small_history, table
from tests.checkers.isolation.notation import history
from tests.checkers.isolation.oracles import serializable, snapshot_isolated

SEEDS = range(2000)


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


@pytest.mark.parametrize("model", ["serializable", "strong-snapshot-isolation"])
def test_what_registers_without_old_values_or_with_deletes_miss_is_called_unknown_never_valid(model: str) -> None:
    for old_values, deletes in ((False, False), (True, True)):
        tally = compare(SEEDS, "rw-register", model, old_values=old_values, deletes=deletes)
        assert tally.wrongly_rejected == []
        assert tally.by_anomaly["missed (valid)"] == 0
        assert 100 * len(tally.missed) <= 10 * tally.rejected


def test_the_same_seed_gives_the_same_small_history() -> None:
    for seed in range(20):
        one, other = (small_history(seed, "rw-register", old_values=True, deletes=True) for _ in range(2))
        assert one.events() == other.events()


def test_the_table_of_the_whole_run_has_a_row_for_every_kind_and_model() -> None:
    rows = table(20).splitlines()
    assert len(rows) == 2 + 5 * len(ORACLES)
    assert all(row.count("|") == rows[0].count("|") for row in rows)
