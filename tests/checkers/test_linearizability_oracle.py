"""Agreement with an oracle that tries every order, on small random histories. The oracle shares no code with the
checkers.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from dynalab_checkers import register_fast
from dynalab_checkers.generate import Recipe, register_history
from dynalab_checkers.generate_small import TASTES, small_history
from dynalab_checkers.history import History
from dynalab_checkers.linearizability import check_register, judge_key
from dynalab_checkers.models import register
from dynalab_checkers.oracle import linearizable
from dynalab_checkers.reduce import Parts

SEEDS = 1500


@pytest.mark.parametrize("name", TASTES)
def test_no_verdict_differs_from_an_oracle_that_tries_every_order(name: str) -> None:
    taste = TASTES[name]
    model = register(taste.initial)
    counts: Counter[str] = Counter()
    methods: Counter[str] = Counter()
    for seed in range(SEEDS):
        operations = small_history(seed, taste)
        expected = "valid" if linearizable(operations, taste.initial) else "invalid"
        judged = judge_key(operations, model, 1_000_000)
        searched = judge_key(operations, model, 1_000_000, general=True)
        assert judged.verdict == expected, (name, seed, judged.method, judged.why)
        assert searched.verdict == expected, (name, seed, "general")
        counts[expected] += 1
        methods[judged.method] += 1
    # The comparison means something: both verdicts are common, and the fast method decided most of them.
    # (Where half of all operations may never have happened, most histories can be explained.)
    least = 30 if taste.indeterminate < 50 else 10
    assert SEEDS * least <= counts["invalid"] * 100 <= SEEDS * 70, counts
    assert methods["general"] * 2 < SEEDS or taste.repeated_values, methods
    if taste.deletes and not taste.repeated_values:
        assert min(methods[method] for method in ("facts", "blocks", "zones", "search", "open")) > 0, methods


@pytest.mark.parametrize("name", ["everything", "repeated values", "every process touches itself"])
def test_the_smallest_part_is_a_violation_by_itself_and_the_marked_operations_belong_to_it(name: str) -> None:
    taste = replace(TASTES[name], operations=12, processes=4)
    seen = 0
    for seed in range(300):
        history = History(small_history(seed, taste))
        verdict = check_register(history, initial=taste.initial)
        if verdict.verdict != "invalid":
            continue
        seen += 1
        assert verdict.why
        assert verdict.operations
        assert verdict.highlight
        assert all(any(o is p for p in history.operations) for o in verdict.operations)
        assert all(any(o is p for p in verdict.operations) for o in verdict.highlight)
    assert seen > 90


@pytest.mark.parametrize("name", ["everything", "repeated values", "deletes that nobody saw", "an initial value"])
def test_every_weakened_part_of_a_valid_history_is_valid(name: str) -> None:
    taste = replace(TASTES[name], corrupt=0, found_known=40)
    judged = smaller = 0
    for seed in range(600):
        operations = small_history(seed, taste)
        assert linearizable(operations, taste.initial)
        draw = random.Random(seed)
        for _ in range(4):
            part = [n for n in range(len(operations)) if draw.randrange(3)]
            until = draw.choice([None, draw.randrange(taste.span)])
            weakened, kept = Parts(operations, taste.initial).weakened(part, until)
            assert set(kept) <= set(part)
            assert linearizable(weakened, taste.initial), (seed, part, until)
            judged += 1
            smaller += len(weakened) < len(operations)
    assert smaller * 2 > judged


def test_the_verdict_is_the_same_whatever_the_budget_unless_it_is_unknown() -> None:
    taste = TASTES["repeated values"]
    unknown = 0
    for seed in range(200):
        operations = small_history(seed, taste)
        full = judge_key(operations, register(), 1_000_000).verdict
        poor = judge_key(operations, register(), 6).verdict
        unknown += poor == "unknown"
        assert poor in (full, "unknown")
    assert unknown > 0


@pytest.mark.parametrize("name", ["failed conditions that told nothing", "everything", "no deletes", "wide"])
def test_the_search_for_an_order_with_refusals_agrees_with_the_oracle(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if no fixed order ever left a place, so that every history with such a condition is searched.
    monkeypatch.setattr(register_fast, "place_refusals", lambda *_: False)
    taste = replace(TASTES[name], found_known=0, indeterminate=5, repeated_values=False)
    counts: Counter[tuple[str, str]] = Counter()
    for seed in range(1200):
        operations = small_history(seed, taste)
        expected = "valid" if linearizable(operations, taste.initial) else "invalid"
        judged = judge_key(operations, register(taste.initial), 1_000_000)
        assert judged.verdict == expected, (name, seed, judged.method, judged.why)
        counts[judged.method, expected] += 1
    assert counts["refusals", "valid"] > 60, counts
    assert counts["refusals", "invalid"] > 1, counts


def test_conditions_that_nearly_held_are_decided_in_long_histories_too() -> None:
    methods: Counter[str] = Counter()
    for seed in range(4):
        recipe = Recipe(4_000, conditional=40, deletes=30, old_values=False, near_misses=True)
        judged = judge_key(register_history(seed, recipe).operations, register(), 300_000)
        assert judged.verdict == "valid", judged.why
        methods[judged.method] += 1
    assert methods["refusals"] > 0
