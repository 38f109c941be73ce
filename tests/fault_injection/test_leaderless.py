"""A partition that any two replicas answer for, beside one with a leader: the same history is judged differently."""

from __future__ import annotations

import pytest

from dynalab_checkers.history import History
from dynalab_checkers.linearizability import check_register
from dynalab_fault_injection.experiments import leaderless
from dynalab_fault_injection.shrink import smallest


@pytest.fixture(scope="module")
def pairs() -> list[leaderless.Pair]:
    return leaderless.measured()


@pytest.mark.claim("S129", "S143")
def test_any_two_of_three_replicas_are_not_enough_without_a_leader(pairs: list[leaderless.Pair]) -> None:
    assert [leaderless.verdict_of(pair.led) for pair in pairs] == ["valid"] * len(pairs)
    # It takes two requests that meet: most runs have such a pair, not every one.
    assert [leaderless.verdict_of(pair.leaderless) for pair in pairs].count("invalid") > len(pairs) // 2


def test_it_is_no_worse_than_it_must_be(pairs: list[leaderless.Pair]) -> None:
    """It answers as much as the other, loses nothing of what only one client wrote, and its replicas end up equal."""
    for pair in pairs:
        assert pair.leaderless.operations > pair.led.operations * 3 // 4
        kept = {judged.checker: judged.verdict for judged in pair.leaderless.verdicts}
        assert kept["liveness"] == kept["convergence"] == "valid"


def test_the_smallest_part_that_shows_it_is_itself_a_violation_and_is_told(pairs: list[leaderless.Pair]) -> None:
    sentence, svg = leaderless.story(pairs)
    assert sentence and svg.startswith("<svg") and sentence.split()[0] in svg
    wrong = next(pair.leaderless for pair in pairs if leaderless.verdict_of(pair.leaderless) == "invalid")
    found = smallest(wrong, leaderless.CHECKER)
    assert len(found.events) <= 12
    assert check_register(History.from_events(found.events)).verdict == "invalid"


def test_the_table_puts_the_verdicts_side_by_side(pairs: list[leaderless.Pair]) -> None:
    lines = leaderless.table(pairs)
    assert len(lines) == 2 + len(pairs)
    for pair, line in zip(pairs, lines[2:], strict=True):
        assert line.startswith(f"| {pair.seed} | valid, {pair.led.operations:,} operations | ")
        assert f"| {leaderless.verdict_of(pair.leaderless)}, {pair.leaderless.operations:,} operations |" in line
    with pytest.raises(ValueError, match="none of these seeds"):
        leaderless.story([])
