"""The comparison itself: fair, without a difference, and able to find one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dynalab_checkers import differential
from dynalab_checkers.differential import KINDS, Comparison, compare, main
from dynalab_checkers.generate_small import TASTES, small_history
from dynalab_checkers.linearizability import KeyJudgement, judge_key
from dynalab_checkers.operation import Operation
from dynalab_checkers.oracle import linearizable


@pytest.mark.claim("S24")
def test_two_thousand_histories_of_every_kind_are_judged_as_the_oracle_judges_them() -> None:
    result = compare(2_000, seed=7)
    assert result.differences == []
    assert result.shortfalls() == []
    assert result.histories == 2_000
    assert all(result.kinds[kind] >= 200 for kind in KINDS)


def test_the_table_of_the_page_is_one_that_this_comparison_prints_and_holds_enough_of_every_kind() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "checkers-exactness.md"
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    told = {name: (int(count.replace(",", "")), share) for name, count, share in map(cells, rows[1:])}
    shown = compare(50, seed=1).table().splitlines()
    assert rows[0] == shown[0]
    fixed = [name for name in told if not name.startswith("decided by")]
    assert fixed == [cells(row)[0] for row in shown[2:] if "decided by" not in row]
    assert told["histories"][0] == 100_000 and told["differences"][0] == 0
    whole = Comparison(histories=100_000, kinds=Counter({kind: told[kind][0] for kind in KINDS}))
    assert whole.shortfalls() == []
    assert sum(count for name, (count, _) in told.items() if name.startswith("decided by")) == 100_000


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_a_checker_that_errs_is_found_and_so_is_one_that_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    def never_sure(operations: list[Operation], model: object, budget: int, *, general: bool = False) -> KeyJudgement:
        right = judge_key(operations, model, budget)  # type: ignore[arg-type]
        if right.method == "blocks" and not general:
            return KeyJudgement("unknown", "blocks", 0)
        if right.method == "open" and general:
            return KeyJudgement("valid", "general", 0)
        return right

    monkeypatch.setattr(differential, "judge_key", never_sure)
    found = compare(300, seed=1).differences
    assert {verdict for _, _, _, verdict, _ in found} >= {"unknown", "invalid"}
    assert all(expected != judged or expected != searched for _, _, expected, judged, searched in found)


def test_too_few_of_a_kind_is_no_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = {"no deletes": TASTES["no deletes"]}
    assert any("deletes" in shortfall for shortfall in compare(100, 1, quiet).shortfalls())
    assert main(["--histories", "20", "--seed", "3"]) in (0, 2)
    assert "differences" in capsys.readouterr().out


def test_the_oracle_knows_the_textbook_cases() -> None:
    write, late = Operation(0, "write", "k", 0, 5, "ok", 1), Operation(0, "write", "k", 10, None, "info", 2)
    late.call_index = 2

    def read(value: int | None, call: int) -> Operation:
        return Operation(1, "read", "k", call, call + 1, "ok", result=value, call_index=call)

    assert linearizable([write, read(1, 6)])
    assert not linearizable([write, read(None, 6)])
    assert linearizable([write, read(None, 5)])  # touching is concurrent
    assert linearizable([write, late, read(2, 20), read(2, 30)])
    assert not linearizable([write, late, read(2, 20), read(1, 30)])


def test_a_small_history_depends_on_its_seed_alone() -> None:
    for taste in TASTES.values():
        assert small_history(5, taste) == small_history(5, taste)
        assert small_history(5, taste) != small_history(6, taste)
