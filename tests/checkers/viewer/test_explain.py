"""The largest linearizable prefix and its order, against an oracle that shares no code with the checkers."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from dynalab_checkers.explain import Prefix, explain, linearizable_prefix, linearizable_prefixes
from dynalab_checkers.formats import read_history
from dynalab_checkers.generate import Recipe, plant_stale_read, register_history
from dynalab_checkers.history import MISSING, History, Operation
from dynalab_checkers.linearizability import check_register
from dynalab_checkers.models import KV, REGISTER
from dynalab_checkers.verdict import Verdict
from dynalab_checkers.witness import build, verified

LOGS = Path(__file__).parents[2] / "data" / "histories" / "porcupine"
LATER = 1 << 60


def effect_of(operation: Operation, state: object) -> tuple[bool, object]:
    """Whether the operation fits a register that holds `state`, and what it leaves."""
    f, value = operation.f, operation.value
    if f == "read":
        return operation.result == state, state
    if operation.outcome == "fail":
        assert isinstance(value, list)
        return (operation.found == state if operation.found is not MISSING else True) and state != value[0], state
    if operation.old is not MISSING and operation.old != state:
        return False, state
    if f == "cas":
        assert isinstance(value, list)
        return value[0] == state, value[1]
    return True, value


def judged(operation: Operation) -> bool:
    if operation.f == "read":
        return operation.outcome == "ok" and operation.consistency is None
    return operation.f == "cas" or operation.outcome != "fail"


def must_return(operations: list[Operation]) -> list[int]:
    """By when each has taken effect: at its return, or when an eventual read had seen its value."""
    latest = [LATER if o.ret is None else o.ret for o in operations]
    for read in operations:
        if read.f == "read" and read.consistency == "eventual" and read.outcome == "ok" and read.result is not None:
            assert read.ret is not None
            for n, o in enumerate(operations):
                written = o.value[1] if isinstance(o.value, list) else o.value
                if o.f in ("write", "cas") and o.outcome != "fail" and written == read.result and o.call <= read.ret:
                    latest[n] = min(latest[n], read.ret)
    return latest


def explainable(operations: list[Operation]) -> bool:
    """Whether any order works, by trying them all."""
    latest = must_return(operations)
    alive = [n for n, o in enumerate(operations) if judged(o)]
    seen: set[tuple[frozenset[int], object]] = set()

    def search(left: frozenset[int], state: object) -> bool:
        if all(latest[n] == LATER for n in left):
            return True
        if (left, state) in seen:
            return False
        seen.add((left, state))
        for n in left:
            mine = operations[n]
            blocked = any(
                latest[m] < mine.call
                or (operations[m].process == mine.process and operations[m].call_index < mine.call_index)
                for m in left
                if m != n
            )
            if blocked:
                continue
            fits, after = effect_of(mine, state)
            if fits and search(left - {n}, after):
                return True
        return False

    return search(frozenset(alive), None)


def cut(operations: list[Operation], until: int) -> list[Operation]:
    part = []
    for o in operations:
        if o.call <= until:
            if o.ret is None or o.ret <= until:
                part.append(o)
            elif o.outcome != "fail" and o.f != "read":
                part.append(replace(o, ret=None, ret_index=None, outcome="info", old=MISSING, found=MISSING))
    return part


def small_history(seed: int) -> History:
    """A few operations with tight times, many of them equal; most are then made wrong somewhere."""
    draw = random.Random(seed)
    recipe = Recipe(
        operations=draw.randrange(3, 9),
        processes=draw.randrange(2, 4),
        deletes=draw.choice([0, 0, 40]),
        conditional=draw.choice([20, 50]),
        indeterminate_per_mille=draw.choice([0, 250]),
        old_values=draw.random() < 0.6,
        latency_max_ns=draw.choice([2, 6, 100]),
        pause_max_ns=draw.choice([1, 2, 30]),
    )
    history = register_history(seed, recipe)
    for operation in history:
        if operation.f == "read" and operation.outcome == "ok":
            if draw.random() < 0.3:
                operation.result = draw.choice([None, 1, 2, 3])
            if draw.random() < 0.2:
                operation.consistency = "eventual"
    return history


def assert_shown_order_is_legal(prefix: Prefix, operations: list[Operation]) -> None:
    """The order by the definition alone: moments inside the intervals, growing, and values that fit."""
    until = LATER if prefix.complete else -1 if prefix.until_ns is None else prefix.until_ns
    known = {o.call_index: o for o in cut(operations, until)}
    latest = {o.call_index: ret for o, ret in zip(known.values(), must_return(list(known.values())), strict=True)}
    state: object = None
    assert prefix.at_ns == sorted(prefix.at_ns)
    for operation, at, (before, after) in zip(prefix.order, prefix.at_ns, prefix.states(), strict=True):
        fits, state_after = effect_of(known[operation.call_index], state)
        assert fits
        assert (before, after) == (state, state_after)
        assert operation.call <= at <= latest[operation.call_index]
        state = state_after
    placed = {o.call_index for o in prefix.order}
    left = [o for o in known.values() if judged(o) and latest[o.call_index] != LATER and o.call_index not in placed]
    assert left == []


def test_the_prefix_is_the_largest_that_any_order_explains_and_its_order_is_legal() -> None:
    kinds: Counter[bool] = Counter()
    for seed in range(1500):
        operations = small_history(seed).operations
        prefix = linearizable_prefix(History(operations), "k0")
        assert prefix.exact, seed
        assert prefix.complete == explainable(operations), seed
        kinds[prefix.complete] += 1
        if not prefix.complete:
            returns = sorted({o.ret for o in operations if o.ret is not None})
            good = [ret for ret in returns if explainable(cut(operations, ret))]
            assert prefix.until_ns == max(good, default=None), seed
            following = min(ret for ret in returns if ret not in good)
            assert {o.ret for o in prefix.blocked} <= {following}
        assert_shown_order_is_legal(prefix, operations)
    assert min(kinds[True], kinds[False]) > 300, kinds


def test_an_order_is_shown_for_every_small_history_that_can_be_explained() -> None:
    for seed in range(300):
        history = small_history(seed)
        prefix = linearizable_prefix(history, "k0")
        if prefix.complete:
            assert prefix.why == "", seed
            assert {id(o) for o in prefix.order} >= {id(o) for o in history if o.outcome == "ok" and judged(o)}


def test_operations_of_one_process_that_touch_keep_their_order() -> None:
    first = Operation(0, "write", "k", 0, 10, "ok", 1, call_index=0, ret_index=1)
    second = Operation(0, "write", "k", 10, 20, "ok", 2, call_index=2, ret_index=3)
    read = Operation(1, "read", "k", 30, 40, "ok", result=1, call_index=4, ret_index=5)
    prefix = linearizable_prefix(History([first, second, read]), "k")
    assert (prefix.complete, prefix.until_ns, prefix.order, prefix.blocked) == (False, 20, [first, second], [read])


def test_a_valid_history_shows_the_order_of_all_that_returned() -> None:
    history = register_history(11, Recipe(operations=5000, keys=3, deletes=10, indeterminate_per_mille=5))
    prefixes = linearizable_prefixes(history)
    assert all(prefix.complete and not prefix.why for prefix in prefixes.values())
    placed = {id(o) for prefix in prefixes.values() for o in prefix.order}
    assert all(id(o) in placed for o in history if o.outcome == "ok" or (o.outcome == "fail" and o.f == "cas"))


def test_one_stale_read_in_a_large_history_ends_the_prefix_of_its_key_alone() -> None:
    history = plant_stale_read(register_history(5, Recipe(operations=20_000, keys=10)), 3)
    verdict = check_register(history)
    (read,) = verdict.highlight
    prefixes = linearizable_prefixes(history)
    assert [key for key, prefix in prefixes.items() if not prefix.complete] == [read.key]
    assert prefixes[read.key].blocked == [read]
    assert prefixes[read.key].why.startswith("no order explains the read at ")


@pytest.mark.parametrize("name, complete", [("etcd_002.log", True), ("etcd_000.log", False), ("etcd_007.log", True)])
def test_recorded_logs_with_repeated_values_get_an_order_from_the_general_search(name: str, complete: bool) -> None:
    history = read_history(LOGS / name, "etcd-log")
    prefix = linearizable_prefix(history, "register")
    assert (prefix.complete, prefix.exact) == (complete, True)
    assert_shown_order_is_legal(prefix, history.operations)
    assert bool(prefix.blocked) != complete


def test_other_models_are_explained_by_the_general_search() -> None:
    history = read_history(LOGS / "c01-bad.txt", "kv-log")
    prefixes = linearizable_prefixes(history, KV)
    broken = [prefix for prefix in prefixes.values() if not prefix.complete]
    assert broken
    for prefix in prefixes.values():
        assert list(prefix.states())[-1:] != [] or not prefix.order


def test_without_a_budget_for_the_search_no_order_is_shown_and_the_reason_is() -> None:
    history = read_history(LOGS / "etcd_002.log", "etcd-log")
    prefix = linearizable_prefix(history, "register", budget=0)
    assert (prefix.complete, prefix.exact) == (False, False)
    assert "it could not be told how far the order goes" in prefix.why


def test_a_key_that_transactions_write_is_left_to_the_checkers_of_isolation() -> None:
    transaction = Operation(0, "txn", "", 0, 5, "ok", [["w", "k", 1]], call_index=0, ret_index=1)
    read = Operation(1, "read", "k", 6, 7, "ok", result=1, call_index=2, ret_index=3)
    prefix = linearizable_prefix(History([transaction, read]), "k")
    assert (prefix.complete, prefix.exact, prefix.order) == (False, False, [])
    assert prefix.why == "transactions write this key too"


def test_an_operation_that_the_model_does_not_know_is_named() -> None:
    prefix = linearizable_prefix(History([Operation(0, "increment", "k", 0, 5, "ok", 1)]), "k")
    assert (prefix.exact, prefix.why) == (False, "a register knows no increment")


@pytest.mark.parametrize(
    "order, sound",
    [([0, 1, 2], True), ([1, 0, 2], False), ([0, 2, 1], False), ([0, 1], False), ([0, 1, 1, 2], False)],
)
def test_verification_refuses_orders_against_clock_model_or_completeness(order: list[int], sound: bool) -> None:
    operations = [
        Operation(0, "write", "k", 0, 10, "ok", 1, call_index=0),
        Operation(1, "write", "k", 5, 15, "ok", 2, old=1, call_index=1),
        Operation(2, "read", "k", 20, 25, "ok", result=2, call_index=2),
    ]
    assert verified(operations, order, REGISTER) is sound


def test_verification_counts_a_value_that_an_eventual_read_saw_as_written_by_then() -> None:
    late = Operation(0, "write", "k", 0, None, "info", 1, call_index=0)
    weak = Operation(1, "read", "k", 1, 2, "ok", result=1, consistency="eventual", call_index=1)
    strong = Operation(1, "read", "k", 3, 4, "ok", result=None, call_index=2)
    assert not verified([late, weak, strong], [2, 0], REGISTER)
    assert build([late, strong], REGISTER, 100)[0] is not None
    assert build([late, weak, strong], REGISTER, 100)[0] is None


def test_an_explanation_has_the_sentence_the_picture_and_the_table() -> None:
    history = plant_stale_read(register_history(5, Recipe(operations=500)), 3)
    verdict = check_register(history)
    told = explain(verdict)
    assert told is not None
    assert told.sentence == verdict.why
    assert told.picture.startswith("<svg") and 'class="op read bad"' in told.picture
    assert told.table.count("\n") == len(verdict.operations) + 1


def test_a_verdict_without_operations_has_nothing_to_draw() -> None:
    assert explain(Verdict("valid", "linearizability")) is None
