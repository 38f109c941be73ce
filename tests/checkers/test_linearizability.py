"""Verdicts on registers: known ones, their sentences and their smallest parts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from dynalab_checkers.generate import Recipe, plant_stale_read, register_history
from dynalab_checkers.history import MISSING, History, Json, Missing, Operation, Scalar
from dynalab_checkers.linearizability import check_register
from dynalab_checkers.verdict import Verdict

MS = 1_000_000


class Script:
    """A history written by hand: one line an operation, times in milliseconds. Every call is a process of its own."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def add(
        self,
        f: str,
        call: int,
        ret: int | None,
        value: Json = None,
        *,
        result: Scalar = None,
        old: Scalar | Missing = MISSING,
        found: Scalar | Missing = MISSING,
        outcome: str = "ok",
        consistency: str | None = None,
        process: int | None = None,
    ) -> Operation:
        number = len(self.operations)
        operation = Operation(
            number if process is None else process,
            f,
            "k",
            call * MS,
            None if ret is None else ret * MS,
            "info" if ret is None else outcome,
            value,
            result,
            old,
            found,
            consistency,
            call_index=2 * number,
            ret_index=None if ret is None else 2 * number + 1,
        )
        self.operations.append(operation)
        return operation

    def write(self, value: Json, call: int, ret: int | None, **more: Scalar) -> Operation:
        return self.add("write", call, ret, value, **more)  # type: ignore[arg-type]

    def read(self, result: Scalar, call: int, ret: int, **more: str) -> Operation:
        return self.add("read", call, ret, result=result, **more)  # type: ignore[arg-type]

    def check(self, initial: Scalar = None) -> Verdict:
        return check_register(History(self.operations), initial=initial)


def test_an_empty_history_is_valid() -> None:
    assert check_register(History([])).verdict == "valid"


@pytest.mark.claim("S24")
def test_a_strong_read_of_a_replaced_value_is_named_with_the_write_that_replaced_it() -> None:
    script = Script()
    first = script.write(7, 1100, 1110)
    second = script.write(8, 1180, 1190)
    script.write(9, 1300, 1310)
    script.read(8, 1191, 1195)
    stale = script.read(7, 1204, 1209)
    verdict = script.check()
    assert verdict.verdict == "invalid"
    assert verdict.key == "k"
    assert verdict.operations == [first, second, stale]
    assert verdict.highlight == [stale]
    assert verdict.why == (
        "the read at 1.204 s returned 7, which was replaced at 1.190 s by a write of 8 that had been acknowledged"
    )


def test_a_read_concurrent_with_the_write_may_return_either_value() -> None:
    for result in (1, 2):
        script = Script()
        script.write(1, 0, 5)
        script.write(2, 10, 20)
        script.read(result, 12, 15)
        assert script.check().verdict == "valid"


def test_two_reads_within_one_write_may_not_go_back() -> None:
    script = Script()
    script.write(1, 0, 5)
    script.write(2, 10, 40)
    new = script.read(2, 12, 15)
    old = script.read(1, 20, 25)
    verdict = script.check()
    assert verdict.verdict == "invalid"
    assert verdict.highlight == [old]
    assert new in verdict.operations


def test_touching_at_one_instant_is_concurrent_except_within_a_process() -> None:
    script = Script()
    script.write(1, 0, 5)
    script.read(None, 5, 9)
    assert script.check().verdict == "valid"
    script = Script()
    script.add("write", 0, 5, 1, process=3)
    script.add("read", 5, 9, process=3)
    assert script.check().verdict == "invalid"


def test_a_value_that_nobody_wrote_convicts_by_itself() -> None:
    script = Script()
    script.write(1, 0, 5)
    ghost = script.read(9, 10, 11)
    verdict = script.check()
    assert (verdict.verdict, verdict.operations) == ("invalid", [ghost])
    assert verdict.why == "the read at 0.010 s returned 9, which nobody wrote"


def test_a_value_read_before_its_write_began_is_invalid() -> None:
    script = Script()
    early = script.read(1, 0, 5)
    write = script.write(1, 10, 15)
    verdict = script.check()
    assert (verdict.verdict, verdict.operations) == ("invalid", [early, write])
    assert "before that was written" in verdict.why


def test_a_value_of_a_refused_write_may_never_be_seen() -> None:
    script = Script()
    script.add("write", 0, 5, 1, outcome="fail")
    script.read(1, 10, 11)
    assert script.check().verdict == "invalid"


def test_one_value_replaced_twice_is_a_lost_update() -> None:
    script = Script()
    base = script.write(1, 0, 5)
    one = script.add("cas", 10, 20, [1, 2])
    other = script.add("cas", 11, 21, [1, 3])
    verdict = script.check()
    assert (verdict.verdict, verdict.operations) == ("invalid", [base, one, other])
    assert "both replaced 1" in verdict.why


def test_writes_that_replaced_each_other_in_a_circle_are_invalid() -> None:
    script = Script()
    script.write(1, 0, 50, old=3)
    script.write(2, 0, 50, old=1)
    script.write(3, 0, 50, old=2)
    verdict = script.check()
    assert verdict.verdict == "invalid"
    assert len(verdict.operations) == 3
    assert "in a circle" in verdict.why


def test_a_condition_that_failed_although_it_found_what_it_asked_for_is_invalid() -> None:
    script = Script()
    write = script.write(1, 0, 5)
    failed = script.add("cas", 10, 11, [1, 2], outcome="fail", found=1)
    verdict = script.check()
    assert (verdict.verdict, verdict.operations, verdict.highlight) == ("invalid", [write, failed], [failed])
    assert "although it found just that" in verdict.why


def test_a_condition_that_held_although_it_replaced_something_else_is_invalid() -> None:
    script = Script()
    script.write(1, 0, 5)
    script.add("cas", 10, 11, [5, 2], old=1)
    assert script.check().verdict == "invalid"


def test_a_failed_condition_that_found_an_old_value_is_a_stale_read() -> None:
    script = Script()
    script.write(1, 0, 5)
    script.write(2, 10, 15)
    failed = script.add("cas", 20, 25, [9, 3], outcome="fail", found=1)
    verdict = script.check()
    assert verdict.verdict == "invalid"
    assert verdict.highlight == [failed]


def test_a_failed_condition_that_told_nothing_still_says_what_was_not_there() -> None:
    script = Script()
    script.write(1, 0, 5)
    script.add("cas", 10, 15, [1, 2], outcome="fail")
    assert script.check().verdict == "invalid"
    script.write(3, 12, 30)
    assert script.check().verdict == "valid"


def test_refused_conditions_keep_their_own_order() -> None:
    # The first needs 1 to be gone, and after it the second needs 2 not to be there: nobody writes a third value.
    script = Script()
    script.write(1, 0, 1)
    script.add("cas", 2, 4, [1, 8], outcome="fail")
    script.write(2, 3, 100)
    script.add("cas", 5, 6, [2, 9], outcome="fail")
    assert script.check().verdict == "invalid"
    script.write(3, 3, 100)
    assert script.check().verdict == "valid"


def test_a_condition_refused_for_another_reason_says_nothing() -> None:
    script = Script()
    script.write(1, 0, 5)
    failed = script.add("cas", 10, 15, [1, 2], outcome="fail")
    failed.ret_extra = {"error": "ThrottlingException"}
    assert script.check().verdict == "valid"
    failed.ret_extra = {"error": "ConditionalCheckFailedException"}
    assert script.check().verdict == "invalid"


def test_a_write_of_unknown_outcome_may_happen_at_any_later_time_or_never() -> None:
    script = Script()
    script.write(1, 0, None)
    script.read(None, 10, 11)
    assert script.check().verdict == "valid"
    script.read(1, 500, 501)
    assert script.check().verdict == "valid"
    script.read(None, 600, 601)
    assert script.check().verdict == "invalid"


def test_a_write_of_unknown_outcome_took_effect_if_another_is_known_to_have_replaced_it() -> None:
    script = Script()
    script.write(1, 0, None)
    script.write(2, 10, 15, old=1)
    script.read(1, 20, 25)
    assert script.check().verdict == "invalid"


def test_a_delete_of_unknown_outcome_explains_absence_once() -> None:
    script = Script()
    script.write(1, 0, 5, old=None)
    script.add("delete", 6, None)
    script.read(None, 10, 11)
    assert script.check().verdict == "valid"
    script.write(2, 20, 25, old=None)
    script.read(None, 30, 31)
    verdict = script.check()
    assert verdict.verdict == "invalid"


def test_a_conditional_delete_of_unknown_outcome_removes_only_what_it_asked_for() -> None:
    for removed, expected in ((1, "valid"), (2, "invalid")):
        script = Script()
        script.write(2, 0, 1)
        script.write(1, 2, 5)
        script.add("cas", 6, None, [removed, None])
        script.read(None, 10, 11)
        assert script.check().verdict == expected


def test_a_key_that_is_absent_again_without_a_delete_is_invalid() -> None:
    script = Script()
    script.write(1, 0, 5)
    script.read(None, 10, 11)
    verdict = script.check()
    assert verdict.verdict == "invalid"
    assert "returned nothing" in verdict.why


def test_a_deleted_value_may_not_come_back() -> None:
    script = Script()
    script.write(1, 0, 5, old=None)
    script.add("delete", 10, 15, old=1)
    script.read(None, 16, 17)
    script.read(1, 20, 25)
    assert script.check().verdict == "invalid"


def test_two_writes_cannot_both_have_found_the_key_absent_when_nobody_removed_the_first() -> None:
    script = Script()
    script.write(1, 0, 5, old=None)
    script.add("delete", 6, 9, old=1)
    script.write(2, 10, 20, old=None)
    script.write(3, 10, 20, old=None)
    verdict = script.check()
    assert verdict.verdict == "invalid"
    assert "nobody removed either" in verdict.why
    script.add("delete", 12, 18, old=2)
    assert script.check().verdict == "valid"


def test_the_initial_value_counts_as_written_before_everything() -> None:
    script = Script()
    script.read(5, 0, 1)
    assert script.check(initial=5).verdict == "valid"
    assert script.check().verdict == "invalid"
    script.write(6, 2, 3, old=5)
    script.read(5, 4, 5)
    assert script.check(initial=5).verdict == "invalid"


def test_true_is_not_one() -> None:
    script = Script()
    script.write(1, 0, 5)
    script.write(True, 10, 15)
    script.read(True, 20, 21)
    assert script.check().verdict == "valid"
    script.read(1, 30, 31)
    assert script.check().verdict == "invalid"


def test_an_eventual_read_may_be_stale_but_what_it_saw_had_been_written() -> None:
    script = Script()
    script.write(1, 0, 5)
    script.write(2, 10, None)
    script.read(1, 20, 21, consistency="eventual")
    assert script.check().verdict == "valid"
    script.read(2, 30, 31, consistency="eventual")
    script.read(1, 25, 26)
    assert script.check().verdict == "valid"
    # The write of unknown outcome was seen at 31 ms: from then on it holds.
    script.read(1, 40, 41)
    assert script.check().verdict == "invalid"


def test_an_eventual_read_may_see_what_was_called_at_the_instant_of_its_return_even_where_ties_matter() -> None:
    script = Script()
    script.add("read", 0, 1, process=50)
    script.add("read", 1, 2, process=50)
    script.read(1, 0, 5, consistency="eventual")
    script.write(1, 5, None)
    assert script.check().verdict == "valid"
    script.read(None, 6, 7)
    assert script.check().verdict == "invalid"


def test_values_written_twice_go_to_the_general_search() -> None:
    script = Script()
    script.write(1, 0, 5)
    script.write(2, 10, 15)
    script.write(1, 20, 25)
    script.read(1, 30, 31)
    verdict = script.check()
    assert verdict.verdict == "valid"
    assert verdict.details["methods"] == Counter({"general": 1})
    script.read(2, 40, 41)
    verdict = script.check()
    assert verdict.verdict == "invalid"
    assert len(verdict.operations) == 3


def test_keys_are_judged_alone_and_the_broken_one_is_named() -> None:
    script = Script()
    for key, seen in (("a", 1), ("b", None)):
        for operation in (script.write(1, 0, 5), script.read(seen, 10, 11)):
            operation.key = key
    verdict = script.check()
    assert (verdict.verdict, verdict.key) == ("invalid", "b")


def test_a_key_that_transactions_write_is_unknown_and_not_valid() -> None:
    script = Script()
    script.write(1, 0, 5)
    transaction = script.add("txn", 10, 20, [["w", "k", 2]])
    transaction.key = ""
    assert script.check().verdict == "unknown"
    transaction.outcome = "fail"
    assert script.check().verdict == "valid"


def test_an_operation_that_a_register_does_not_know_makes_its_key_unknown() -> None:
    script = Script()
    script.write(1, 0, 5)
    script.add("increment", 10, 20, 5)
    verdict = script.check()
    assert verdict.verdict == "unknown"
    assert "increment" in verdict.why


def test_the_violation_planted_in_a_long_history_is_shown_by_a_few_operations() -> None:
    for seed in range(12):
        recipe = Recipe(
            operations=3_000,
            keys=1 + seed % 3,
            processes=8,
            deletes=20,
            indeterminate_per_mille=10,
            old_values=seed % 2 == 0,
        )
        history = register_history(seed, recipe)
        assert check_register(history).verdict == "valid"
        verdict = check_register(plant_stale_read(history, seed))
        assert verdict.verdict == "invalid"
        assert len(verdict.operations) <= 8, verdict.operations


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(old_values=False),
        Recipe(deletes=30, indeterminate_per_mille=10),
        Recipe(deletes=30, old_values=False),
    ],
    ids=["old values", "blind", "deletes and unknown outcomes", "blind with deletes"],
)
def test_twice_the_operations_cost_about_twice_the_steps(recipe: Recipe) -> None:
    costs = []
    for operations in (4_000, 8_000, 16_000):
        verdict = check_register(register_history(11, replace(recipe, operations=operations)))
        assert verdict.verdict == "valid"
        steps = verdict.details["steps"]
        assert isinstance(steps, int)
        costs.append(steps)
    assert costs[1] < 2.5 * costs[0]
    assert costs[2] < 2.5 * costs[1]
