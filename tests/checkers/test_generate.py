"""Histories by seed are valid, repeatable, and as their recipe says."""

from __future__ import annotations

import pytest

from dynalab_checkers.generate import Recipe, plant_stale_read, register_history
from dynalab_checkers.history import MISSING, History
from dynalab_checkers.linearizability import check_register


def test_a_generated_history_is_valid_and_the_same_for_the_same_seed() -> None:
    for seed in range(30):
        recipe = Recipe(
            operations=150, keys=2, processes=6, deletes=25, indeterminate_per_mille=50, old_values=seed % 3 > 0
        )
        history = register_history(seed, recipe)
        assert history.operations == register_history(seed, recipe).operations
        assert history.operations != register_history(seed + 1, recipe).operations
        assert check_register(history).verdict == "valid"
        assert History.from_events(history.events()).operations == history.operations


def test_the_shares_of_the_recipe_are_kept() -> None:
    recipe = Recipe(
        operations=4000, reads=30, conditional=40, deletes=20, indeterminate_per_mille=100, old_values=False
    )
    operations = register_history(1, recipe).operations
    assert 1000 < sum(o.f == "read" for o in operations) < 1400
    assert 1400 < sum(o.f == "cas" for o in operations) < 1800
    assert 180 < sum(o.f == "delete" for o in operations) < 310
    assert 200 < sum(o.outcome == "info" for o in operations) < 360
    assert all(o.old is MISSING and o.found is MISSING for o in operations)


def test_a_planted_stale_read_changes_one_read_and_makes_the_history_invalid() -> None:
    history = register_history(2, Recipe(operations=500))
    broken = plant_stale_read(history, 3)
    assert sum(o != p for o, p in zip(history, broken, strict=True)) == 1
    assert check_register(broken).verdict == "invalid"


def test_no_stale_read_can_be_planted_where_nothing_was_replaced() -> None:
    with pytest.raises(ValueError, match="no read"):
        plant_stale_read(register_history(1, Recipe(operations=3)), 1)
