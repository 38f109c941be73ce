"""The benchmarks run, and what they measure grows in proportion to the history, by counted steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dynalab_checkers.bench import Cell, compiled_path, grid, main, measure, run_here, table
from dynalab_checkers.general import search
from dynalab_checkers.generate import Recipe, plant_stale_read, register_history
from dynalab_checkers.linearizability import check_register
from dynalab_checkers.models import REGISTER

LOGS = Path(__file__).parents[1] / "data" / "histories" / "porcupine"

RECIPES = {
    "old values": Recipe(keys=2),
    "deletes, old values": Recipe(keys=2, deletes=30, indeterminate_per_mille=20),
    "blind": Recipe(keys=2, old_values=False),
    "blind, deletes": Recipe(keys=2, deletes=20, old_values=False, indeterminate_per_mille=10),
    "refused conditions": Recipe(keys=2, deletes=20, old_values=False, conditional=40, near_misses=True),
    "many clients": Recipe(keys=2, processes=80, deletes=10, old_values=False),
}


def steps(recipe: Recipe, operations: int, *, valid: bool = True) -> int:
    history = register_history(3, replace(recipe, operations=operations))
    verdict = check_register(history if valid else plant_stale_read(history, 3))
    assert verdict.verdict == ("valid" if valid else "invalid"), verdict.why
    counted = verdict.details["steps"]
    assert isinstance(counted, int)
    return counted


@pytest.mark.parametrize("name", RECIPES)
def test_twice_the_operations_take_about_twice_the_steps(name: str) -> None:
    # Shorter histories with refused conditions often need no search, and longer ones do.
    least = 16_000 if name == "refused conditions" else 4_000
    small, middle, large = (steps(RECIPES[name], operations) for operations in (least, 2 * least, 4 * least))
    assert small >= least  # every operation is looked at
    assert large < 2.5 * middle < 2.5 * 2.5 * small
    # Over both doublings too: a quadratic step would make it sixteen.
    assert large < 5 * small


def test_the_general_search_of_a_history_with_few_clients_takes_steps_in_proportion() -> None:
    def searched(operations: int) -> int:
        recipe = Recipe(operations, processes=3, old_values=False)
        found = search(REGISTER, register_history(3, recipe).operations, None, 10_000_000)
        assert found.order is not None
        return found.steps

    small, large = searched(1_000), searched(8_000)
    assert large < 10 * small


def test_a_cell_is_measured_in_a_process_of_its_own() -> None:
    measured = measure(Cell(2_000, 3, deletes=10))
    assert (measured.operations, measured.verdict, measured.path) == (2_000, "valid", compiled_path())
    assert measured.steps >= 2_000
    assert measured.peak_bytes > 5_000_000
    assert measured.rate > 0


def test_every_kind_of_cell_runs_and_shows_in_the_table() -> None:
    cells = [Cell(500, 2, valid=False), Cell(500, 2, kind="sessions"), Cell(500, kind="parse")]
    cells.append(Cell(kind="etcd", logs=str(LOGS)))
    rows = [run_here(cell) for cell in cells]
    assert [row.verdict for row in rows] == ["invalid", "valid", "read", "10 valid, 40 invalid, 0 unknown"]
    shown = table(rows).splitlines()
    assert len(shown) == 6
    assert all(row.count("|") == shown[0].count("|") for row in shown)


def test_the_grid_covers_size_keys_clients_and_unknown_outcomes() -> None:
    cells = grid(large=True, logs="somewhere")
    assert {cell.keys for cell in cells} >= {1, 10, 1_000}
    assert len({cell.clients for cell in cells}) >= 3
    assert {cell.indeterminate_per_mille for cell in cells} >= {0, 10, 100}
    assert max(cell.operations for cell in cells) == 10_000_000
    assert {cell.kind for cell in cells} == {"register", "sessions", "parse", "etcd", "list-append"}


def test_the_command_writes_a_history_for_others_to_read(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    assert main(["--cell", '{"operations": 20}', "--write", str(path)]) == 0
    assert path.read_text().count('"invoke"') == 20
