"""The general search and its models."""

from __future__ import annotations

import pytest

from dynalab_checkers.general import search
from dynalab_checkers.generate import Recipe, register_history
from dynalab_checkers.history import History, Json, Operation
from dynalab_checkers.linearizability import check_model
from dynalab_checkers.models import ILLEGAL, KV, MODELS, REGISTER, UnknownOperation


def op(process: int, f: str, call: int, ret: int | None, value: Json = None, **more: object) -> Operation:
    outcome = "info" if ret is None else "ok"
    operation = Operation(process, f, "k", call, ret, outcome, value, call_index=2 * call)
    operation.ret_index = None if ret is None else 2 * ret + 1
    for name, given in more.items():
        setattr(operation, name, given)
    return operation


def verdict(*operations: Operation, budget: int = 100_000) -> str:
    return check_model(History(operations), REGISTER, budget=budget).verdict


def test_the_order_found_is_legal_and_respects_real_time() -> None:
    for seed in range(40):
        recipe = Recipe(operations=60, processes=5, deletes=30, indeterminate_per_mille=60, old_values=seed % 2 == 0)
        operations = register_history(seed, recipe).operations
        found = search(REGISTER, operations, None, 1_000_000)
        assert found.order is not None
        state: object = None
        for index in found.order:
            action = REGISTER.lower(operations[index])
            assert action is not None
            following = REGISTER.step(state, action)  # type: ignore[arg-type]
            assert following is not ILLEGAL
            state = following
        place = {index: n for n, index in enumerate(found.order)}
        for n, one in enumerate(operations):
            # Every operation that returned is in the order, unless it constrains nothing.
            assert n in place or one.ret is None or REGISTER.lower(one) is None
            for m, other in enumerate(operations):
                if n in place and m in place and one.ret is not None and one.ret < other.call:
                    assert place[n] < place[m]


def test_a_write_of_the_value_that_is_there_may_be_needed_later() -> None:
    # The delete finds the key absent, and yet it is what makes it absent again behind the write.
    assert verdict(op(0, "delete", 0, 9), op(1, "write", 1, 2, 5), op(2, "read", 3, 8)) == "valid"


def test_an_operation_of_unknown_outcome_may_take_effect_late_or_never() -> None:
    late = op(0, "write", 0, None, 5)
    assert verdict(late, op(1, "read", 10, 11), op(1, "read", 20, 21, result=5)) == "valid"
    assert verdict(late, op(1, "read", 10, 11), op(1, "read", 20, 21)) == "valid"
    assert verdict(late, op(1, "read", 10, 11, result=5), op(1, "read", 20, 21)) == "invalid"


def test_operations_that_touch_are_concurrent_but_not_within_a_process() -> None:
    write = op(0, "write", 0, 5, 7)
    assert verdict(write, op(1, "read", 5, 9)) == "valid"
    own = op(0, "read", 5, 9)
    own.call_index = write.ret_index = 11
    own.call_index += 1
    assert verdict(write, own) == "invalid"


def test_two_processes_that_touch_themselves_at_one_instant_are_ordered_each_by_itself() -> None:
    # a1 -> a2 and b1 -> b2 at one instant, and everything else concurrent: no order of intervals says that.
    a1, b1 = op(0, "write", 0, 5, 1), op(1, "write", 0, 5, 2)
    a2, b2 = op(0, "read", 5, 9, result=1), op(1, "read", 5, 9, result=2)
    for index, operation in enumerate([a2, b2]):
        operation.call_index = 20 + index
    a1.ret_index, b1.ret_index = 18, 19
    assert verdict(a1, b1, a2, b2) == "valid"
    a2.result = None
    assert verdict(a1, b1, a2, b2) == "invalid"


def test_of_two_equal_writes_the_one_that_its_own_process_follows_may_have_to_come_first() -> None:
    # At one instant: 1 writes 5 and then 6, and 0 writes 5 again behind that. Only then is 5 what is left.
    other, own = op(0, "write", 0, 5, 5), op(1, "write", 0, 5, 5)
    other.ret_index, own.ret_index = 18, 19
    following = op(1, "write", 5, 9, 6)
    following.call_index = 20
    assert verdict(other, own, following, op(2, "read", 20, 21, result=5)) == "valid"


def test_an_exhausted_budget_is_unknown_and_says_how_far_it_came() -> None:
    writes = [op(n, "write", 0, 100, n) for n in range(14)]
    reads = [op(20, "read", 10 * n, 10 * n + 1, result=value) for n, value in enumerate([1, 2, 1], 1)]
    judged = check_model(History([*writes, *reads]), REGISTER, budget=2_000)
    assert judged.verdict == "unknown"
    assert "gave up after" in judged.why
    assert "returns explained" in judged.why


def test_steps_are_counted_the_same_way_twice() -> None:
    operations = register_history(5, Recipe(operations=80, processes=6, old_values=False)).operations
    assert search(REGISTER, operations, None, 10**6) == search(REGISTER, operations, None, 10**6)


def test_appends_concatenate_and_a_read_sees_all_of_them() -> None:
    history = History([op(0, "append", 0, 1, "a"), op(0, "append", 2, 3, "b"), op(1, "read", 4, 5, result="ab")])
    assert check_model(history, KV).verdict == "valid"
    history.operations[2].result = "ba"
    judged = check_model(history, KV)
    assert judged.verdict == "invalid"
    assert judged.highlight == [history.operations[2]]
    assert "'ba'" in judged.why


def test_a_model_refuses_what_it_does_not_know() -> None:
    with pytest.raises(UnknownOperation):
        REGISTER.lower(op(0, "append", 0, 1, "a"))
    judged = check_model(History([op(0, "append", 0, 1, "a")]), REGISTER)
    assert (judged.verdict, judged.why) == ("unknown", "a register knows no append")


def test_every_model_is_found_under_its_name() -> None:
    assert set(MODELS) == {"register", "cas-register", "kv", "set", "counter", "queue", "mutex"}
    assert all(model.name == name for name, model in MODELS.items())
