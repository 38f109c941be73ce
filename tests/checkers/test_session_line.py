"""Sessions on a line: the fast way agrees with the general one, and takes as many steps as there are operations."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from dynalab_checkers import sessions
from dynalab_checkers.generate import Recipe, register_history
from dynalab_checkers.generate_small import TASTES, small_history
from dynalab_checkers.history import History, Scalar
from dynalab_checkers.session_chains import chain_up
from dynalab_checkers.session_line import Line, StepBack, Walk, a_line_holds, line_up, walk
from dynalab_checkers.sessions import check_sessions
from dynalab_checkers.verdict import Verdict
from tests.checkers.counting import lines_run
from tests.checkers.operations import judged, op


def generally(history: History, **options: object) -> Verdict:
    """The verdict without the line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "chain_up", lambda *_, **__: None)
        return check_sessions(history, **options)  # type: ignore[arg-type]


def swapped_reads(history: History, random: Random) -> History:
    """The same history, but two reads of one key have exchanged their results."""
    key = random.choice(sorted(history.by_key()))
    reads = [one for one in history if one.key == key and one.f == "read" and one.outcome == "ok"]
    one, other = random.sample(reads, 2)
    new = {id(one): replace(one, result=other.result), id(other): replace(other, result=one.result)}
    return History([new.get(id(operation), operation) for operation in history])


# Each with what makes the order of the writes hard to know, and of how many of its 120 keys a line must have decided.
RECIPES = {
    "kept": (Recipe(operations=60, keys=2, processes=12, indeterminate_per_mille=20), 80),
    "deleted": (Recipe(operations=60, keys=2, processes=3, deletes=15, indeterminate_per_mille=20), 80),
    "deleted by many": (Recipe(operations=80, keys=2, processes=12, deletes=40, indeterminate_per_mille=60), 80),
    "blind": (Recipe(operations=60, keys=2, processes=6, old_values=False, indeterminate_per_mille=20), 80),
    "blind and deleted": (Recipe(operations=60, keys=2, processes=6, old_values=False, deletes=30), 60),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("real_time", [True, False], ids=["real time", "clocks"])
def test_the_line_and_the_general_way_agree(name: str, real_time: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where versions stand in a line, it may know more of absence than the general way, and never less."""
    recipe, least = RECIPES[name]
    random, counts, decided = Random(12), {"valid": 0, "invalid": 0, "unknown": 0, "more": 0}, 0

    def counted(*arguments: object, **named: object) -> bool:
        nonlocal decided
        held = a_line_holds(*arguments, **named)  # type: ignore[arg-type]
        decided += held
        return held

    monkeypatch.setattr(sessions, "a_line_holds", counted)
    for seed in range(60):
        history = register_history(seed, recipe)
        for judged_history in (history, swapped_reads(history, random)):
            lines = [chain_up(operations, real_time=real_time) for operations in judged_history.by_key().values()]
            decided += sum(chains is not None and chains.only_order() for chains in lines)
            fast, slow = (way(judged_history, real_time=real_time) for way in (check_sessions, generally))
            counts[fast.verdict] += 1
            if fast.verdict != slow.verdict:
                assert recipe.deletes and (fast.verdict, slow.verdict) == ("invalid", "valid"), (seed, fast, slow)
                counts["more"] += 1
    assert counts["valid"] >= 60, counts
    assert counts["invalid"] > 10, counts
    assert decided > least, "the line was hardly tried"


@pytest.mark.parametrize("taste", TASTES)
def test_small_wrong_histories_are_judged_on_a_line_as_in_the_general_way(taste: str) -> None:
    initial = None if TASTES[taste].initial is None else {"k": TASTES[taste].initial}
    told: set[tuple[str, str]] = set()
    for seed in range(80):
        history = History(small_history(seed, TASTES[taste]))
        for real_time in (True, False):
            fast, slow = (way(history, real_time=real_time, initial=initial) for way in (check_sessions, generally))
            told.add((fast.verdict, slow.verdict))
            # The line may know more of absence; and it need not believe in a second write that nobody has seen.
            more = (fast.verdict, slow.verdict) == ("invalid", "valid") and "absent" in fast.why
            less = (fast.verdict, slow.verdict) == ("valid", "unknown") and "was written twice" in slow.why
            assert fast.verdict == slow.verdict or more or less, (seed, real_time, fast, slow)
    assert ("valid", "valid") in told and len(told) > 1, "nothing was wrong in any of them"


def test_a_delete_that_may_have_happened_kept_the_order_of_its_session_if_it_did() -> None:
    """Whoever saw the absence saw it after 1, and 3 replaced 1: one of them must have gone back."""
    history = [
        op("write", 0, 0, 10, 1),
        op("delete", 0, 20, None, outcome="info"),
        op("read", 1, 30, 40, None),
        op("cas", 1, 50, 60, (1, 3)),
    ]
    verdict = judged(*history, initial={"k": 900}, real_time=False)
    assert verdict.verdict == "invalid"
    assert "made the delete to k after its write of 1" in verdict.why


def test_a_step_back_on_the_line_names_the_same_guarantee_and_reason_as_the_general_way() -> None:
    for step in (1, 2):
        history = History(
            [
                op("write", 0, 0, 10, 1, old=None),
                op("write", 0, 20, 30, 2, old=1),
                op("write", 0, 32, 35, 3, old=2),
                op("read", 7, 40, 50, 3),
                op("read", 7, 60, 70, 3 - step),
            ]
        )
        fast, slow = check_sessions(history), generally(history)
        assert (fast.why, fast.operations, fast.highlight) == (slow.why, slow.operations, slow.highlight)


def test_on_a_line_an_absence_is_placed_as_early_as_the_session_allows() -> None:
    history = [
        op("write", 0, 0, 10, 1, old=None),
        op("delete", 0, 20, 30, old=1),
        op("write", 0, 40, 50, 2, old=None),
        op("delete", 0, 60, 70, old=2),
        op("read", 7, 80, 90, 1),
        op("read", 7, 100, 110, None),
        op("read", 7, 120, 130, 2),
        op("read", 7, 140, 150, None),
    ]
    line = line_up(history)
    assert line is not None
    assert line.absences == [0, 2, 4]
    assert walk(line, history, [None], ["read"], ["read"]) is Walk.KEPT
    back = walk(line, [*history, op("read", 7, 160, 170, 2)], [None], ["read"], ["read"])
    assert isinstance(back, StepBack)
    assert (back.earlier, back.known, back.to) == (history[-1], 4, 3)


def test_a_session_whose_processes_overlap_is_left_to_the_general_way() -> None:
    history = [
        op("write", 0, 0, 10, 1, old=None, session="s"),
        op("write", 0, 20, 60, 2, old=1, session="s"),
        op("read", 1, 40, 50, 1, session="s"),
    ]
    line = line_up(history)
    assert isinstance(line, Line)
    assert walk(line, history, [None], ["read", "write"], ["read", "write"]) is Walk.DOUBT


def test_blind_writes_in_real_time_stand_in_a_line_and_concurrent_ones_do_not() -> None:
    apart = [op("write", 0, 0, 10, 1), op("write", 1, 20, 30, 2)]
    line = line_up(apart)
    assert line is not None
    assert (line.rank_of[1], line.rank_of[2]) == (1, 2)
    assert line_up([op("write", 0, 0, 30, 1), op("write", 1, 20, 40, 2)]) is None
    assert line_up(apart, real_time=False) is None


@pytest.mark.parametrize("odd", [True, 1.0], ids=["true", "float"])
def test_a_truth_value_is_no_number_on_the_line(odd: Scalar) -> None:
    history = [op("write", 0, 0, 10, 1, old=None), op("write", 0, 20, 30, 2, old=1), op("read", 0, 40, 50, odd)]
    # 1.0 is 1, which had been replaced; true was written by nobody, which `committed` judges.
    assert judged(*history).verdict == ("valid" if odd is True else "invalid")


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(deletes=20),
        Recipe(deletes=90),
        Recipe(deletes=20, old_values=False),
        Recipe(deletes=20, indeterminate_per_mille=20),
        Recipe(keys=10, old_values=False),
    ],
    ids=["old values", "deletes", "mostly deletes", "blind deletes", "deletes of unknown outcome", "blind"],
)
def test_an_operation_takes_no_more_steps_in_a_long_history_than_in_a_short_one(recipe: Recipe) -> None:
    """Three passes at most on a line, where the general way takes more; one pass where the order is known."""
    for operations in (1_500, 6_000):
        history = register_history(3, replace(recipe, operations=operations))
        steps = lines_run(lambda history=history: check_sessions(history))  # type: ignore[misc]
        assert steps < (160 if recipe.deletes or not recipe.old_values else 50) * operations
